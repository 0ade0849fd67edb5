/** Doubles, as two words, from and to other numbers; and their order. */

import type { Assembler } from "./assembler.ts";
import {
  BIAS,
  HIGH_FRACTION,
  isNone,
  leadTo,
  magnitudeOf,
  packed,
  partsOf,
  SPECIAL,
  shiftRightSticky,
} from "./double.ts";
import { type F, type X, ZERO } from "./register.ts";
import {
  assignWide,
  copyWide,
  lessWide,
  shiftedLeft,
  shiftedRight,
  subWide,
  type Wide,
} from "./wide.ts";

const SINGLE_FRACTION = 23;
/** What exponents of doubles, as they are stored, have more than those of singles: of ordinary numbers, of infinities and NaN. */
const BIASES = BIAS - 127;
const SPECIALS = SPECIAL - 0xff;
const LEAST_SUBNORMAL = -149;
const SINGLE_INFINITY = 0x7f800000;
const FRACTION = 52;

/** Exact. */
export function doubleOfFloat(k: Assembler, value: F): Wide {
  const word = k.x("fmv.x.w", value);
  const bits = k.x("srli", k.x("slli", word, 1), 1);
  const more = k.li(BIASES << HIGH_FRACTION);
  const least = k.li(1 << SINGLE_FRACTION);
  k.when("geu", bits, k.li(SINGLE_INFINITY), () => k.set(more, SPECIALS << HIGH_FRACTION));
  k.when("ltu", bits, least, () => {
    // The digits of a subnormal number are a whole number, which the FPU normalises.
    k.set(more, 0);
    k.when("ne", bits, ZERO, () => {
      k.to(bits, "fmv.x.w", k.f("fcvt.s.wu", bits));
      k.set(more, (BIASES + LEAST_SUBNORMAL) << HIGH_FRACTION);
    });
  });
  const sign = k.x("slli", k.x("srli", word, 31), 31);
  const high = k.x("or", k.add(k.x("srli", bits, 3), more), sign);
  return { low: k.x("slli", bits, 29), high };
}

/** To the nearest, ties to even; or to the one with an odd last digit, which can be rounded once more. */
export type SingleRounding = "even" | "odd";

/** The bits of the number in single precision. */
export function singleBits(k: Assembler, value: Wide, rounding: SingleRounding): X {
  const { sign, exponent, fraction } = partsOf(k, value);
  const top = k.x("slli", sign, 31);
  const result = k.newX();
  const done = k.newLabel();
  k.when("eq", exponent, k.li(0x7ff), () => {
    const quiet = k.x("slli", isNone(k, value), 22);
    k.to(result, "or", k.x("or", top, quiet), k.li(SINGLE_INFINITY));
    k.jump(done);
  });
  const sticky = k.x("sltu", ZERO, k.x("slli", fraction.low, 10));
  const digits = k.x("or", k.x("slli", fraction.high, 10), k.x("srli", fraction.low, 22));
  k.to(digits, "or", k.x("or", digits, sticky), k.x("lui", 0x40000));
  k.when("eq", k.x("or", k.x("or", exponent, fraction.high), fraction.low), ZERO, () => {
    k.move(result, top);
    k.jump(done);
  });
  const field = k.add(exponent, -(BIASES + 1));
  k.when("lt", field, ZERO, () => {
    const places = k.min(k.sub(ZERO, field), k.li(31));
    const moved = k.x("srl", digits, places);
    const lost = k.x("sltu", ZERO, k.x("xor", k.x("sll", moved, places), digits));
    k.to(digits, "or", moved, lost);
    k.set(field, 0);
  });
  const rest = k.x("andi", digits, 0x7f);
  const whole = k.x("srli", rounding === "even" ? k.add(digits, 0x40) : digits, 7);
  if (rounding === "odd") k.to(whole, "or", whole, k.x("sltu", ZERO, rest));
  else k.to(whole, "and", whole, k.x("xori", k.x("sltiu", k.x("xori", rest, 0x40), 1), -1));
  k.to(result, "add", whole, k.x("slli", field, SINGLE_FRACTION));
  const infinity = k.li(SINGLE_INFINITY);
  const [overflow, held] = [k.newLabel(), k.newLabel()];
  k.branch("geu", result, infinity, overflow);
  k.branch("lt", field, k.li(0xff), held);
  k.label(overflow);
  k.move(result, infinity);
  k.label(held);
  k.to(result, "or", result, top);
  k.label(done);
  return result;
}

/** The nearest double, ties to even. */
export function doubleOfWide(k: Assembler, value: Wide, signed: boolean): Wide {
  const digits = copyWide(k, value);
  const sign = signed ? k.x("srli", value.high, 31) : k.copy(ZERO);
  if (signed) {
    k.when("ne", sign, ZERO, () =>
      assignWide(k, digits, subWide(k, { low: ZERO, high: ZERO }, value)),
    );
  }
  const result = { low: k.li(0), high: k.li(0) };
  k.when("ne", k.x("or", digits.low, digits.high), ZERO, () => {
    const exponent = k.li(BIAS + 61);
    k.when("lt", digits.high, ZERO, () => {
      shiftRightSticky(k, digits, k.li(1));
      k.addTo(exponent, exponent, 1);
    });
    leadTo(k, digits, exponent, 30);
    assignWide(k, result, packed(k, sign, exponent, digits));
  });
  return result;
}

/**
 * Without what is behind the point. What 64 bits do not hold becomes the least integer with a sign, as on x86; there
 * what is too large for 64 bits without a sign becomes 0.
 */
export function wideOfDouble(k: Assembler, value: Wide, signed: boolean): Wide {
  const { sign, exponent, fraction } = partsOf(k, value);
  const result = { low: k.li(0), high: k.li(0) };
  const done = k.newLabel();
  const power = k.add(exponent, -BIAS);
  const least = (): void => {
    k.set(result.low, 0);
    k.to(result.high, "lui", 0x80000);
    k.jump(done);
  };
  k.when("ne", isNone(k, value), ZERO, least);
  k.far("lt", power, ZERO, done);
  if (!signed) {
    const negative = k.newLabel();
    k.branch("ne", sign, ZERO, negative);
    k.far("ge", power, k.li(64), done);
    k.label(negative);
  }
  const most = k.li(63);
  if (!signed) k.to(most, "addi", k.x("xori", sign, 1), 63);
  k.when("ge", power, most, least);
  k.to(fraction.high, "or", fraction.high, k.x("lui", 1 << (HIGH_FRACTION - 12)));
  const places = k.add(power, -FRACTION);
  k.when(
    "lt",
    places,
    ZERO,
    () => assignWide(k, result, shiftedRight(k, fraction, k.sub(ZERO, places))),
    () => assignWide(k, result, shiftedLeft(k, fraction, places)),
  );
  k.when("ne", sign, ZERO, () =>
    assignWide(k, result, subWide(k, { low: ZERO, high: ZERO }, result)),
  );
  k.label(done);
  return result;
}

/** An integer with a sign, in the order of the numbers; both zeros are the same. Of NaN anything. */
export function orderOf(k: Assembler, value: Wide): Wide {
  const size = magnitudeOf(k, value);
  const key = copyWide(k, size);
  k.when("lt", value.high, ZERO, () =>
    assignWide(k, key, subWide(k, { low: ZERO, high: ZERO }, size)),
  );
  return key;
}

/** 1 where neither is NaN. */
const areNumbers = (k: Assembler, a: Wide, b: Wide): X =>
  k.x("xori", k.x("or", isNone(k, a), isNone(k, b)), 1);

/** 1 where a < b; not of NaN. */
export const lessDouble = (k: Assembler, a: Wide, b: Wide): X =>
  k.x("and", areNumbers(k, a, b), lessWide(k, orderOf(k, a), orderOf(k, b)));

/** 1 where a <= b; not of NaN. */
export const atMostDouble = (k: Assembler, a: Wide, b: Wide): X =>
  k.x("and", areNumbers(k, a, b), k.x("xori", lessWide(k, orderOf(k, b), orderOf(k, a)), 1));

/** To a whole number, the sign also of zero kept. */
export function wholeDouble(k: Assembler, value: Wide, rounding: "even" | "down" | "up"): Wide {
  const result = copyWide(k, value);
  const done = k.newLabel();
  const { sign, exponent } = partsOf(k, value);
  const size = magnitudeOf(k, value);
  const power = k.add(exponent, -BIAS);
  k.far("ge", power, k.li(FRACTION), done);
  const top = k.x("slli", sign, 31);
  const one = k.x("lui", 0x3ff00);
  k.when("lt", power, ZERO, () => {
    // What is less than 1 becomes 0 or 1.
    k.move(result.low, ZERO);
    k.move(result.high, top);
    const some = k.x("sltu", ZERO, k.x("or", size.low, size.high));
    const half = { low: ZERO, high: k.x("lui", 0x3fe00) };
    const away = {
      even: () => lessWide(k, half, size, false),
      down: () => k.x("and", some, sign),
      up: () => k.x("and", some, k.x("xori", sign, 1)),
    }[rounding]();
    k.when("ne", away, ZERO, () => k.to(result.high, "or", top, one));
    k.jump(done);
  });
  const places = k.sub(k.li(FRACTION), power);
  const cut = shiftedRight(k, value, places);
  const back = shiftedLeft(k, cut, places);
  const rest = subWide(k, value, back);
  const some = k.x("sltu", ZERO, k.x("or", rest.low, rest.high));
  const half = shiftedLeft(k, { low: k.li(1), high: k.copy(ZERO) }, k.add(places, -1));
  const away = {
    even: () => {
      const isTie = k.x(
        "sltiu",
        k.x("or", k.sub(rest.low, half.low), k.sub(rest.high, half.high)),
        1,
      );
      const isOdd = k.x("andi", cut.low, 1);
      return k.x("or", lessWide(k, half, rest, false), k.x("and", isTie, isOdd));
    },
    down: () => k.x("and", some, sign),
    up: () => k.x("and", some, k.x("xori", sign, 1)),
  }[rounding]();
  // One more digit may carry into the exponent, which is then right too.
  k.to(cut.low, "add", cut.low, away);
  k.to(cut.high, "add", cut.high, k.x("sltu", cut.low, away));
  assignWide(k, result, shiftedLeft(k, cut, places));
  k.label(done);
  return result;
}
