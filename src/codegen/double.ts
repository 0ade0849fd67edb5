/**
 * Arithmetic in double precision on cores without it: IEEE 754's binary64 as two words, rounded to the nearest, ties to
 * even, with subnormal numbers. The steps are those of J. Hauser's Berkeley SoftFloat: a significand of 64 bits, whose leading
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
  subWide,
  type Wide,
} from "./wide.ts";

const EXPONENT_BITS = 11;
const SPECIAL = 0x7ff;
const BIAS = 1023;
/** Bits of the upper word's part of the fraction. */
const HIGH_FRACTION = 20;
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
const none = (k: Assembler, to: Wide): void => {
  k.set(to.low, 0);
  k.to(to.high, "lui", 0x7ff80);
};

/** The significand with its leading one at bit 52, and the exponent of subnormal numbers as it should be. */
function significandOf(k: Assembler, { exponent, fraction }: Parts): Wide {
  k.when(
    "eq",
    exponent,
    ZERO,
    () => k.set(exponent, 1),
    () => k.to(fraction.high, "or", fraction.high, k.x("lui", 1 << (HIGH_FRACTION - 12))),
  );
  return fraction;
}

/** The larger magnitude first. */
function sorted(k: Assembler, a: Wide, b: Wide): readonly [Wide, Wide] {
  const [large, small] = [copyWide(k, a), copyWide(k, b)];
  const swapped = lessWide(k, magnitudeOf(k, a), magnitudeOf(k, b), false);
  k.when("ne", swapped, ZERO, () => {
    assignWide(k, large, b);
    assignWide(k, small, a);
  });
  return [large, small];
}

export function addDouble(k: Assembler, a: Wide, b: Wide): Wide {
  const [large, small] = sorted(k, a, b);
  const result = copyWide(k, large);
  const done = k.newLabel();
  const [p, q] = [partsOf(k, large), partsOf(k, small)];
  const differ = k.x("xor", p.sign, q.sign);
  k.when("eq", p.exponent, k.li(SPECIAL), () => {
    // NaN is the largest magnitude; of two infinities with different signs nothing is left.
    const bad = k.x("and", differ, k.x("sltiu", k.x("xor", q.exponent, p.exponent), 1));
    k.when("ne", k.x("or", bad, isNone(k, large)), ZERO, () => none(k, result));
    k.jump(done);
  });
  const [x, y] = [p, q].map((part) => shiftedLeft(k, significandOf(k, part), k.li(9))) as [
    Wide,
    Wide,
  ];
  shiftRightSticky(k, y, k.sub(p.exponent, q.exponent));
  const sum = copyWide(k, x);
  k.when(
    "eq",
    differ,
    ZERO,
    () => assignWide(k, sum, addWide(k, x, y)),
    () => assignWide(k, sum, subWide(k, x, y)),
  );
  k.when("eq", k.x("or", sum.low, sum.high), ZERO, () => {
    k.set(result.low, 0);
    k.to(result.high, "and", k.x("and", a.high, b.high), k.x("lui", 0x80000));
    k.jump(done);
  });
  leadTo(k, sum, p.exponent, 30);
  assignWide(k, result, packed(k, p.sign, p.exponent, sum));
  k.label(done);
  return result;
}

export const negated = (k: Assembler, { low, high }: Wide): Wide => ({
  low,
  high: k.x("xor", high, k.x("lui", 0x80000)),
});

export const subDouble = (k: Assembler, a: Wide, b: Wide): Wide => addDouble(k, a, negated(k, b));

/** What a product or quotient with a NaN, an infinity or a zero is; the others fall through. */
function special(
  k: Assembler,
  operands: readonly [Wide, Wide],
  isQuotient: boolean,
  result: Wide,
  done: string,
): readonly [Parts, Parts] {
  const [p, q] = operands.map((w) => partsOf(k, w)) as [Parts, Parts];
  const top = k.x("slli", k.x("xor", p.sign, q.sign), 31);
  const far = [p, q].map(({ exponent }) => k.x("sltiu", k.x("xori", exponent, SPECIAL), 1));
  const zero = operands.map((w) => isZero(k, w));
  const [farA, farB, zeroA, zeroB] = [...far, ...zero] as [X, X, X, X];
  // Infinity times 0, or 0 / 0 and infinity / infinity.
  const bad = isQuotient
    ? k.x("or", k.x("and", zeroA, zeroB), k.x("and", farA, farB))
    : k.x("or", k.x("and", farA, zeroB), k.x("and", farB, zeroA));
  const noNumber = k.x("or", isNone(k, operands[0]), isNone(k, operands[1]));
  k.when("ne", k.x("or", bad, noNumber), ZERO, () => {
    none(k, result);
    k.jump(done);
  });
  k.set(result.low, 0);
  k.when("ne", isQuotient ? k.x("or", farA, zeroB) : k.x("or", farA, farB), ZERO, () => {
    k.to(result.high, "or", top, k.li(SPECIAL << HIGH_FRACTION));
    k.jump(done);
  });
  k.when("ne", isQuotient ? k.x("or", zeroA, farB) : k.x("or", zeroA, zeroB), ZERO, () => {
    k.move(result.high, top);
    k.jump(done);
  });
  for (const part of [p, q]) leadTo(k, significandOf(k, part), part.exponent, HIGH_FRACTION);
  return [p, q];
}

/** The upper 64 bits of a product of numbers below 2^63, with a sticky bit for the lower ones. */
function upperProduct(k: Assembler, a: Wide, b: Wide): Wide {
  const lowest = k.x("mulhu", a.low, b.low);
  const crossed = [
    { low: k.x("mul", a.high, b.low), high: k.x("mulhu", a.high, b.low) },
    { low: k.x("mul", a.low, b.high), high: k.x("mulhu", a.low, b.high) },
  ];
  const middle = crossed.reduce((sum, c) => addWide(k, sum, c), {
    low: lowest,
    high: k.copy(ZERO),
  });
  const top = { low: k.x("mul", a.high, b.high), high: k.x("mulhu", a.high, b.high) };
  const sum = addWide(k, top, { low: middle.high, high: ZERO });
  const lost = k.x("sltu", ZERO, k.x("or", middle.low, k.x("mul", a.low, b.low)));
  return { low: k.x("or", sum.low, lost), high: sum.high };
}

export function mulDouble(k: Assembler, a: Wide, b: Wide): Wide {
  const result = { low: k.newX(), high: k.newX() };
  const done = k.newLabel();
  const [p, q] = special(k, [a, b], false, result, done);
  const exponent = k.add(k.add(p.exponent, q.exponent), 1 - BIAS);
  const [x, y] = [shiftedLeft(k, p.fraction, k.li(10)), shiftedLeft(k, q.fraction, k.li(10))];
  const product = upperProduct(k, x, y);
  leadTo(k, product, exponent, 30);
  assignWide(k, result, packed(k, k.x("xor", p.sign, q.sign), exponent, product));
  k.label(done);
  return result;
}

/** Bit by bit: 63 bits of the quotient. */
export function divDouble(k: Assembler, a: Wide, b: Wide): Wide {
  const result = { low: k.newX(), high: k.newX() };
  const done = k.newLabel();
  const [p, q] = special(k, [a, b], true, result, done);
  const exponent = k.add(k.sub(p.exponent, q.exponent), BIAS - 1);
  const rest = copyWide(k, p.fraction);
  const quotient = { low: k.li(0), high: k.li(0) };
  k.when("ne", lessWide(k, rest, q.fraction, false), ZERO, () => {
    doubled(k, rest, ZERO);
    k.addTo(exponent, exponent, -1);
  });
  k.repeat(63, () => {
    const fits = k.x("xori", lessWide(k, rest, q.fraction, false), 1);
    k.when("ne", fits, ZERO, () => assignWide(k, rest, subWide(k, rest, q.fraction)));
    doubled(k, quotient, fits);
    doubled(k, rest, ZERO);
  });
  k.to(quotient.low, "or", quotient.low, k.x("sltu", ZERO, k.x("or", rest.low, rest.high)));
  assignWide(k, result, packed(k, k.x("xor", p.sign, q.sign), exponent, quotient));
  k.label(done);
  return result;
}

/** In place: 2 a + bit. */
function doubled(k: Assembler, { low, high }: Wide, bit: X): void {
  k.to(high, "slli", high, 1);
  k.to(high, "or", high, k.x("srli", low, 31));
  k.to(low, "slli", low, 1);
  k.to(low, "or", low, bit);
}

/** Digit by digit: 55 bits of the root. */
export function sqrtDouble(k: Assembler, a: Wide): Wide {
  const result = copyWide(k, a);
  const done = k.newLabel();
  const part = partsOf(k, a);
  k.far("ne", isZero(k, a), ZERO, done);
  k.when("ne", k.x("or", part.sign, isNone(k, a)), ZERO, () => {
    none(k, result);
    k.jump(done);
  });
  k.far("eq", part.exponent, k.li(SPECIAL), done);
  leadTo(k, significandOf(k, part), part.exponent, HIGH_FRACTION);
  const unbiased = k.add(part.exponent, -BIAS);
  // Of an even power the leading one goes to bit 62, of an odd one to bit 63: pairs of bits are taken from the top.
  const square = shiftedLeft(k, part.fraction, k.add(k.x("andi", unbiased, 1), 10));
  const [root, rest] = [
    { low: k.li(0), high: k.li(0) },
    { low: k.li(0), high: k.li(0) },
  ];
  k.repeat(55, () => {
    for (let bit = 0; bit < 2; bit++) {
      const next = k.x("srli", square.high, 31);
      doubled(k, square, ZERO);
      doubled(k, rest, next);
    }
    const trial = shiftedLeft(k, root, k.li(2));
    k.to(trial.low, "ori", trial.low, 1);
    const fits = k.x("xori", lessWide(k, rest, trial, false), 1);
    k.when("ne", fits, ZERO, () => assignWide(k, rest, subWide(k, rest, trial)));
    doubled(k, root, fits);
  });
  const found = shiftedLeft(k, root, k.li(8));
  k.to(found.low, "or", found.low, k.x("sltu", ZERO, k.x("or", rest.low, rest.high)));
  const exponent = k.add(k.x("srai", unbiased, 1), BIAS - 1);
  assignWide(k, result, packed(k, ZERO, exponent, found));
  k.label(done);
  return result;
}
