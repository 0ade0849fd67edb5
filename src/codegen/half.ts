/**
 * Halves (IEEE binary16) and bfloats as single precision and back, in integer instructions: cores need no Zfh. Widening
 * is exact; narrowing rounds to the nearest, ties to even, as src/tensor does.
 */

import type { Lanes } from "./lanes.ts";

export type Narrow = "f16" | "bf16";

/** From bits, of which the lower 16 count, to numbers. */
export type Widen<T, I> = (bits: I) => T;
/** From numbers to bits, of which the lower 16 count. */
export type Narrowing<T, I> = (value: T) => I;

const WIDER = 13;
const INFINITY_BITS = 0x7f800000;
const HALF_NAN = 0x7e00;
const HALF_INFINITY = 0x7c00;
/** Exponents differ by so much. */
const BIAS = 112;

export const widen = <T, I>(l: Lanes<T, I>, elem: Narrow): Widen<T, I> =>
  elem === "bf16" ? (bits) => l.fromBits(l.on("sll", bits, 16)) : widenHalf(l);

function widenHalf<T, I>(l: Lanes<T, I>): Widen<T, I> {
  const { k } = l;
  const [magnitude, infinity] = [k.li(0x7fff), k.li(INFINITY_BITS)];
  const [scale, least] = [k.constant(2 ** BIAS), k.constant(2 ** 16)];
  return (bits) => {
    const small = l.fromBits(l.on("sll", l.on("and", bits, magnitude), WIDER));
    // Subnormal halves become right by the multiplication; the largest exponent is infinity and NaN.
    const value = l.mul(small, scale);
    const special = l.fromBits(l.on("or", l.bits(value), infinity));
    const found = l.replace(l.copy(value), value, "ge", least, special);
    return l.withSign(found, l.fromBits(l.on("sll", bits, 16)));
  };
}

export const narrow = <T, I>(l: Lanes<T, I>, elem: Narrow): Narrowing<T, I> =>
  elem === "bf16" ? narrowBfloat(l) : narrowHalf(l);

/** The upper bits of a number, without its last `bits`, rounded. */
function rounded<T, I>(l: Lanes<T, I>, bits: number): (word: I) => I {
  const almostHalf = l.k.li(2 ** (bits - 1) - 1);
  return (word) => {
    const odd = l.on("and", l.on("srl", word, bits), 1);
    return l.on("srl", l.on("add", l.on("add", word, almostHalf), odd), bits);
  };
}

function narrowBfloat<T, I>(l: Lanes<T, I>): Narrowing<T, I> {
  const round = rounded(l, 16);
  const quiet = l.k.li(0x40);
  return (value) => {
    const nan = l.on("or", l.on("srl", l.bits(value), 16), quiet);
    return l.bits(l.replace(l.fromBits(round(l.bits(value))), value, "ne", value, l.fromBits(nan)));
  };
}

function narrowHalf<T, I>(l: Lanes<T, I>): Narrowing<T, I> {
  const { k } = l;
  const round = rounded(l, WIDER);
  const rebias = k.li(-(BIAS << 10));
  // The sum of this and a small number has the number's half as its last bits.
  const [magic, magicBits] = [k.constant(0.5), k.li(-0x3f000000)];
  const [least, most] = [k.constant(2 ** -14), k.constant(65520)];
  const [infinity, nan] = [HALF_INFINITY, HALF_NAN].map((b) => k.f("fmv.w.x", k.li(b)));
  const sign = k.li(0x8000);
  if (!infinity || !nan) throw new Error("two constants");
  return (value) => {
    const size = l.abs(value);
    const found = l.fromBits(l.on("add", round(l.bits(size)), rebias));
    const small = l.fromBits(l.on("add", l.bits(l.add(size, magic)), magicBits));
    l.replace(found, size, "lt", least, small);
    l.replace(found, size, "ge", most, infinity);
    l.replace(found, value, "ne", value, nan);
    return l.on("or", l.bits(found), l.on("and", l.on("srl", l.bits(value), 16), sign));
  };
}
