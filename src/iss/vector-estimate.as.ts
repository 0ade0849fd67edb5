/**
 * Estimates of 1 / x and 1 / sqrt(x) with seven bits, of singles. The tables of the specification are these functions
 * in the middle of each interval of significands, rounded. Source: RISC-V "V" Vector Extension 1.0, sections 13.9, 13.10.
 */

import * as fp from "./float.as";

const SIGN: u32 = 0x80000000, INFINITE: u32 = 0x7f800000, NAN: u32 = 0x7fc00000;
const FRACTION: u32 = 0x7fffff;

/** Seven bits behind the leading one of the number, which is below 2. */
// @ts-ignore: decorator
@inline
function sevenBits(x: f64): u32 { return <u32>Math.floor(x * 128 - 128 + 0.5); }

/** Of a subnormal number its exponent, as if it were a normal one. */
function exponentOf(magnitude: u32): i32 {
  const exponent = <i32>(magnitude >> 23);
  return exponent != 0 ? exponent : 9 - clz<u32>(magnitude);
}

/** The bits behind the leading one. */
function fractionOf(magnitude: u32, exponent: i32): u32 {
  return (exponent > 0 ? magnitude : magnitude << (1 - exponent)) & FRACTION;
}

export function inverseRoot(x: u32): u32 {
  const magnitude = x & ~SIGN;
  if (magnitude == 0) { fp.raise(fp.DZ); return x | INFINITE; }
  if (fp.isNan(x)) { if (fp.isSignalling(x)) fp.raise(fp.NV); return NAN; }
  if (x & SIGN) { fp.raise(fp.NV); return NAN; }
  if (x == INFINITE) return 0;
  const exponent = exponentOf(magnitude), part = fractionOf(magnitude, exponent) >> 17;
  const middle = 1 + (<f64>part + 0.5) / 64;
  const root = Math.sqrt(exponent & 1 ? middle : 2 * middle);
  return ((380 - exponent) >> 1) << 23 | (sevenBits(2 / root) << 16);
}

export function inverse(x: u32, mode: u32): u32 {
  const magnitude = x & ~SIGN, sign = x & SIGN;
  if (fp.isNan(x)) { if (fp.isSignalling(x)) fp.raise(fp.NV); return NAN; }
  if (magnitude == 0) { fp.raise(fp.DZ); return x | INFINITE; }
  if (magnitude == INFINITE) return sign;
  const exponent = exponentOf(magnitude);
  if (exponent < -1) {
    fp.raise(fp.OF | fp.NX);
    const below = mode == fp.RTZ || (mode == fp.RDN && !sign) || (mode == fp.RUP && sign);
    return sign | (below ? INFINITE - 1 : INFINITE);
  }
  const part = fractionOf(magnitude, exponent) >> 16;
  let bits = sevenBits(2 / (1 + (<f64>part + 0.5) / 128)) << 16;
  let to = 253 - exponent;
  // Results below the least normal number are shifted, with their leading one.
  if (to <= 0) {
    bits = ((bits >> 1) | 0x400000) >> -to;
    to = 0;
  }
  return sign | (to << 23) | bits;
}
