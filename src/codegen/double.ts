/**
 * IEEE 754's binary64 as two words, on cores without double precision: taken apart, and packed with rounding to the nearest, ties
 * to even, with subnormal numbers. The steps are those of J. Hauser's Berkeley SoftFloat: a significand of 64 bits, whose leading
 * one goes to bit 62 so that ten bits are left for rounding; what is shifted out leaves a sticky bit.
 */

import type { Assembler } from "./assembler.ts";
import { type X, ZERO } from "./register.ts";
import {
  addWide,
  assignWide,
  copyWide,
  equalWide,
  lessWide,
  shiftedLeft,
  shiftedRight,
  type Wide,
} from "./wide.ts";

const EXPONENT_BITS = 11;
/** The exponent of infinities and NaN, as it is stored. */
export const SPECIAL = 0x7ff;
export const BIAS = 1023;
/** Bits of the upper word's part of the fraction. */
export const HIGH_FRACTION = 20;
const ROUNDING = 10;

/** A number of JavaScript as its two words. */
export function doubleConstant(k: Assembler, value: number): Wide {
  const [low = 0, high = 0] = new Int32Array(Float64Array.of(value).buffer);
  return { low: k.li(low), high: k.li(high) };
}

export const magnitudeOf = (k: Assembler, { low, high }: Wide): Wide => ({
  low,
  high: k.x("srli", k.x("slli", high, 1), 1),
});

export const negated = (k: Assembler, { low, high }: Wide): Wide => ({
  low,
  high: k.x("xor", high, k.x("lui", 0x80000)),
});

/** 1 where it is NaN. */
export function isNone(k: Assembler, x: Wide): X {
  const { low, high } = magnitudeOf(k, x);
  return lessWide(k, { low: ZERO, high: k.li(SPECIAL << HIGH_FRACTION) }, { low, high }, false);
}

/** 1 where it is 0 or -0. */
export const isZero = (k: Assembler, { low, high }: Wide): X =>
  k.x("sltiu", k.x("or", low, k.x("slli", high, 1)), 1);

/** Sign (0 or 1), exponent as it is stored, fraction. */
export interface Parts {
  readonly sign: X;
  readonly exponent: X;
  readonly fraction: Wide;
}

export function partsOf(k: Assembler, { low, high }: Wide): Parts {
  const upper = k.x("srli", k.x("slli", high, EXPONENT_BITS + 1), EXPONENT_BITS + 1);
  return {
    sign: k.x("srli", high, 31),
    exponent: k.x("srli", k.x("slli", high, 1), HIGH_FRACTION + 1),
    fraction: { low: k.copy(low), high: upper },
  };
}

/** In place, by 0 or more places; a bit stays where one was lost. */
export function shiftRightSticky(k: Assembler, a: Wide, places: X): void {
  const [most, all] = [k.li(63), k.copy(places)];
  k.when("lt", most, all, () => k.move(all, most));
  const moved = shiftedRight(k, a, all);
  const back = shiftedLeft(k, moved, all);
  const same = equalWide(k, back, a);
  // By 63 places and more, all that is left is whether there was anything.
  assignWide(k, a, moved);
  k.to(a.low, "or", a.low, k.x("xori", same, 1));
}

/** In place: the leading one goes to bit `top` of the high word, and the exponent goes down with each place. Not of 0. */
export function leadTo(k: Assembler, a: Wide, exponent: X, top: number): void {
  const [again, done] = [k.newLabel(), k.newLabel()];
  k.label(again);
  k.branch("ne", k.x("srli", a.high, top), ZERO, done);
  k.to(a.high, "slli", a.high, 1);
  k.to(a.high, "or", a.high, k.x("srli", a.low, 31));
  k.to(a.low, "slli", a.low, 1);
  k.addTo(exponent, exponent, -1);
  k.jump(again);
  k.label(done);
}

/** The number of a significand with its leading one at bit 62; the exponent is one less than what is stored. */
export function packed(k: Assembler, sign: X, exponent: X, significand: Wide): Wide {
  const sig = copyWide(k, significand);
  const field = k.copy(exponent);
  k.when("lt", field, ZERO, () => {
    shiftRightSticky(k, sig, k.sub(ZERO, field));
    k.set(field, 0);
  });
  const rest = k.x("andi", sig.low, 2 ** ROUNDING - 1);
  const half = 2 ** (ROUNDING - 1);
  const rounded = addWide(k, sig, { low: k.li(half), high: ZERO });
  const whole = shiftedRight(k, rounded, k.li(ROUNDING));
  // A tie goes to the even one.
  const isTie = k.x("sltiu", k.x("xori", rest, half), 1);
  k.to(whole.low, "and", whole.low, k.x("xori", isTie, -1));
  const top = k.x("slli", sign, 31);
  const result = { low: k.copy(whole.low), high: k.newX() };
  k.to(result.high, "add", whole.high, k.x("slli", field, HIGH_FRACTION));
  // Beyond the largest number the sum of exponent and fraction is that of infinity, or more.
  const infinity = k.li(SPECIAL << HIGH_FRACTION);
  const overflow = k.newLabel();
  const done = k.newLabel();
  k.branch("geu", result.high, infinity, overflow);
  k.branch("lt", field, k.li(SPECIAL), done);
  k.label(overflow);
  k.move(result.low, ZERO);
  k.move(result.high, infinity);
  k.label(done);
  k.to(result.high, "or", result.high, top);
  return result;
}

/** NaN as x86 and JavaScript have it, with a quiet bit. */
export const setNone = (k: Assembler, to: Wide): void => {
  k.set(to.low, 0);
  k.to(to.high, "lui", 0x7ff80);
};

/** The significand with its leading one at bit 52, and the exponent of subnormal numbers as it should be. */
export function significandOf(k: Assembler, { exponent, fraction }: Parts): Wide {
  k.when(
    "eq",
    exponent,
    ZERO,
    () => k.set(exponent, 1),
    () => k.to(fraction.high, "or", fraction.high, k.x("lui", 1 << (HIGH_FRACTION - 12))),
  );
  return fraction;
}
