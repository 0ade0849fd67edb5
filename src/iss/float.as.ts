/**
 * Floating point after RISC-V: five rounding modes, exact flags, canonical NaNs, tininess detected after rounding.
 *
 * Every operand is the bits of an f32 (a half is widened first, which is exact). An operation gives an f64 that is
 * exact or rounded to odd at 53 bits, from which one more rounding to 24 or 11 bits is the right one, because 53 is
 * at least two more than twice 24 (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
 */

export const RNE: u32 = 0, RTZ: u32 = 1, RDN: u32 = 2, RUP: u32 = 3, RMM: u32 = 4;
export const NX: u32 = 1, UF: u32 = 2, OF: u32 = 4, DZ: u32 = 8, NV: u32 = 16;

const NAN32: u32 = 0x7fc00000, NAN16: u32 = 0x7e00;

/** Flags raised so far; the caller clears or keeps them. */
export let flags: u32 = 0;
export function setFlags(to: u32): void { flags = to; }
export function raise(more: u32): void { flags |= more; }

// @ts-ignore: decorator
@inline
export function value(bits: u32): f64 { return <f64>reinterpret<f32>(bits); }

// @ts-ignore: decorator
@inline
export function isNan(bits: u32): bool { return (bits & 0x7fffffff) > 0x7f800000; }

// @ts-ignore: decorator
@inline
export function isSignalling(bits: u32): bool {
  return isNan(bits) && (bits & 0x00400000) == 0;
}

// @ts-ignore: decorator
@inline
function isInf(bits: u32): bool { return (bits & 0x7fffffff) == 0x7f800000; }

/** A half's bits as those of the f32 of the same value; the quiet bit of a NaN stays. */
export function widen(half: u32): u32 {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent == 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent != 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  return sign | reinterpret<u32>(<f32>fraction * <f32>(1.0 / 16777216.0));
}

/** Whether a magnitude with this fraction of a unit goes up to the next one. */
function goesUp(fraction: f64, odd: bool, negative: bool, mode: u32): bool {
  if (mode == RNE) return fraction > 0.5 || (fraction == 0.5 && odd);
  if (mode == RMM) return fraction >= 0.5;
  if (mode == RDN) return negative && fraction > 0;
  if (mode == RUP) return !negative && fraction > 0;
  return false;
}

/** Rounds to a format with `digits` bits of significand and smallest normal exponent `least`. */
function roundTo(d: f64, digits: i32, least: i32, mode: u32): u32 {
  const raw = reinterpret<u64>(d);
  const negative = <bool>(raw >> 63);
  const wide = digits == 24;
  const sign: u32 = negative ? (wide ? 0x80000000 : 0x8000) : 0;
  const infinite: u32 = wide ? 0x7f800000 : 0x7c00;
  const size = abs(d);
  if (size == 0) return sign;
  if (size == Infinity) return sign | infinite;
  const exponent = <i32>((raw >> 52) & 0x7ff) - 1023;
  const lowest = max(exponent, least);
  const scaled = size * power(digits - 1 - lowest);
  const whole = floor(scaled);
  const fraction = scaled - whole;
  const units = <u32>whole + <u32>goesUp(fraction, (<u32>whole & 1) != 0, negative, mode);
  const hidden: u32 = 1 << (digits - 1);
  // A carry out of the significand becomes the next exponent by itself.
  const bits = exponent < least ? units : ((<u32>(exponent - least + 1)) << (digits - 1)) + units - hidden;
  if (bits >= infinite) {
    flags |= OF | NX;
    const stays = mode == RTZ || (mode == RDN && !negative) || (mode == RUP && negative);
    return sign | (stays ? infinite - 1 : infinite);
  }
  if (fraction != 0) {
    flags |= NX;
    if (exponent < least && isTiny(scaled, exponent == least - 1, hidden, negative, mode)) flags |= UF;
  }
  return sign | bits;
}

/** Tiny is what stays below the smallest normal number when rounded as if exponents had no end. */
function isTiny(scaled: f64, next: bool, hidden: u32, negative: bool, mode: u32): bool {
  if (!next) return true;
  const finer = scaled * 2;
  const whole = floor(finer);
  return <u32>whole + <u32>goesUp(finer - whole, (<u32>whole & 1) != 0, negative, mode) < hidden * 2;
}

function power(exponent: i32): f64 {
  return reinterpret<f64>(<u64>(exponent + 1023) << 52);
}

const MIN_NORMAL: f64 = 1.1754943508222875e-38;

/** Rounds to f32; to nearest by the machine's own conversion. */
export function round32(d: f64, mode: u32): u32 {
  if (mode == RNE && abs(d) >= MIN_NORMAL) {
    const f = <f32>d;
    if (<f64>f != d) flags |= abs(f) == Infinity ? OF | NX : NX;
    return reinterpret<u32>(f);
  }
  return roundTo(d, 24, -126, mode);
}

export function round16(d: f64, mode: u32): u32 { return roundTo(d, 11, -14, mode); }

function finish(d: f64, mode: u32, half: bool): u32 {
  return half ? round16(d, mode) : round32(d, mode);
}

function quiet(half: bool): u32 { return half ? NAN16 : NAN32; }

function invalid(half: bool): u32 {
  flags |= NV;
  return quiet(half);
}

/** A NaN for operands of which one is a NaN. */
function ofNan(a: u32, b: u32, half: bool): u32 {
  if (isSignalling(a) || isSignalling(b)) flags |= NV;
  return quiet(half);
}

/** A sum rounded to nearest and its error, rounded to odd. */
function odd(sum: f64, error: f64): f64 {
  const bits = reinterpret<u64>(sum);
  if (error == 0 || bits & 1) return sum;
  return reinterpret<f64>(error > 0 == sum > 0 ? bits + 1 : bits - 1);
}

function exactSum(a: f64, b: f64, mode: u32): f64 {
  const sum = a + b;
  if (sum == 0) {
    if (reinterpret<i64>(a) < 0 == reinterpret<i64>(b) < 0) return a;
    return mode == RDN ? -0.0 : 0.0;
  }
  if (abs(sum) == Infinity) return sum;
  const part = sum - a;
  return odd(sum, a - (sum - part) + (b - part));
}

export function add(a: u32, b: u32, mode: u32, half: bool): u32 {
  if (isNan(a) || isNan(b)) return ofNan(a, b, half);
  if (isInf(a) && isInf(b) && a != b) return invalid(half);
  return finish(exactSum(value(a), value(b), mode), mode, half);
}

export function mul(a: u32, b: u32, mode: u32, half: bool): u32 {
  if (isNan(a) || isNan(b)) return ofNan(a, b, half);
  const product = value(a) * value(b); // 48 bits: exact.
  return product != product ? invalid(half) : finish(product, mode, half);
}

/** a * b + c, rounded once. Infinity times zero is invalid even when c is a NaN. */
export function fma(a: u32, b: u32, c: u32, mode: u32, half: bool): u32 {
  const product = value(a) * value(b);
  if (isNan(a) || isNan(b)) {
    if (isSignalling(c)) flags |= NV;
    return ofNan(a, b, half);
  }
  if (product != product) return invalid(half);
  if (isNan(c)) return ofNan(c, c, half);
  if (abs(product) == Infinity && isInf(c) && product != value(c)) return invalid(half);
  return finish(exactSum(product, value(c), mode), mode, half);
}

const HIGH: u64 = ~((1 << 27) - 1);

/** A quotient or root cut to 26 bits, and what is left: nothing, more, or less than nothing. */
function sticky(cut: f64, rest: f64): f64 {
  if (rest == 0) return cut;
  const bits = reinterpret<u64>(cut);
  return reinterpret<f64>((rest < 0 ? bits - 1 : bits) | 1);
}

export function div(a: u32, b: u32, mode: u32, half: bool): u32 {
  if (isNan(a) || isNan(b)) return ofNan(a, b, half);
  const x = value(a), y = value(b);
  const quotient = x / y;
  if (quotient != quotient) return invalid(half);
  if (y == 0 || abs(x) == Infinity) {
    if (abs(x) != Infinity) flags |= DZ;
    return finish(quotient, mode, half);
  }
  if (quotient == 0) return finish(quotient, mode, half);
  const size = abs(quotient);
  const cut = reinterpret<f64>(reinterpret<u64>(size) & HIGH);
  const exact = sticky(cut, abs(x) - cut * abs(y)); // 26 and 24 bits: the product is exact, and the difference.
  return finish(quotient < 0 ? -exact : exact, mode, half);
}

export function sqrt(a: u32, mode: u32, half: bool): u32 {
  if (isNan(a)) return ofNan(a, a, half);
  const x = value(a);
  if (x < 0) return invalid(half);
  const root = Math.sqrt(x);
  if (x == 0 || x == Infinity) return finish(root, mode, half);
  const cut = reinterpret<f64>(reinterpret<u64>(root) & HIGH);
  return finish(sticky(cut, x - cut * cut), mode, half);
}

/** The smaller or the larger; -0 is smaller than 0. Operands and result are widened. */
export function least(a: u32, b: u32, largest: bool): u32 {
  if (isSignalling(a) || isSignalling(b)) flags |= NV;
  if (isNan(a)) return isNan(b) ? NAN32 : b;
  if (isNan(b)) return a;
  const x = value(a), y = value(b);
  const first = x == y ? <bool>(a >> 31) : x < y;
  return first != largest ? a : b;
}

export function equal(a: u32, b: u32): bool {
  if (isSignalling(a) || isSignalling(b)) flags |= NV;
  return value(a) == value(b);
}

export function less(a: u32, b: u32, orEqual: bool): bool {
  if (isNan(a) || isNan(b)) flags |= NV;
  return orEqual ? value(a) <= value(b) : value(a) < value(b);
}

export function classify(a: u32, half: bool): u32 {
  if (isNan(a)) return a & 0x00400000 ? 1 << 9 : 1 << 8;
  const size = abs(value(a));
  const smallest = half ? 6.103515625e-5 : MIN_NORMAL;
  const rank: u32 = size == Infinity ? 0 : size >= smallest ? 1 : size > 0 ? 2 : 3;
  return 1 << (a >> 31 ? rank : 7 - rank);
}

function integral(d: f64, mode: u32): f64 {
  if (mode == RNE) return nearest(d);
  if (mode == RTZ) return trunc(d);
  if (mode == RDN) return floor(d);
  if (mode == RUP) return ceil(d);
  return trunc(d + copysign(0.5, d));
}

/** To a whole number from `low` to `high`, saturated; a NaN is the highest. */
function saturated(a: u32, mode: u32, low: f64, high: f64): f64 {
  if (isNan(a)) {
    flags |= NV;
    return high;
  }
  const d = value(a);
  const whole = integral(d, mode);
  if (whole < low || whole > high) {
    flags |= NV;
    return whole < low ? low : high;
  }
  if (whole != d) flags |= NX;
  return whole;
}

export function toInt(a: u32, mode: u32, bits: i32): i32 {
  const most = power(bits - 1);
  return <i32>saturated(a, mode, -most, most - 1);
}

export function toUint(a: u32, mode: u32, bits: i32): u32 {
  return <u32>saturated(a, mode, 0, power(bits) - 1);
}

export function fromInt(x: f64, mode: u32, half: bool): u32 { return finish(x, mode, half); }

/** Between the formats; the operand is widened, so that from half to single only NaNs change. */
export function convert(a: u32, mode: u32, half: bool): u32 {
  return isNan(a) ? ofNan(a, a, half) : finish(value(a), mode, half);
}
