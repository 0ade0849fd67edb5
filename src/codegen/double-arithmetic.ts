/** Arithmetic on doubles as double.ts has them, correctly rounded; after Berkeley SoftFloat. */

import type { Assembler } from "./assembler.ts";
import {
  BIAS,
  HIGH_FRACTION,
  isNone,
  isZero,
  leadTo,
  magnitudeOf,
  negated,
  type Parts,
  packed,
  partsOf,
  SPECIAL,
  setNone,
  shiftRightSticky,
  significandOf,
} from "./double.ts";
import { type X, ZERO } from "./register.ts";
import {
  addWide,
  assignWide,
  copyWide,
  lessWide,
  shiftedLeft,
  subWide,
  type Wide,
} from "./wide.ts";

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
    k.when("ne", k.x("or", bad, isNone(k, large)), ZERO, () => setNone(k, result));
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
    setNone(k, result);
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
    setNone(k, result);
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
