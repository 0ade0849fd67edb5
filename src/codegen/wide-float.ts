/** Between floats and integers of 64 bits, by their bits. */

import type { Assembler } from "./assembler.ts";
import { type F, type X, ZERO } from "./register.ts";
import type { Wide } from "./wide.ts";

/** The two's complement in place. */
function negate(k: Assembler, { low, high }: Wide): void {
  const borrow = k.x("sltu", ZERO, low);
  k.to(low, "sub", ZERO, low);
  k.to(high, "sub", k.x("sub", ZERO, high), borrow);
}

/** The exponent of a float's bits, as it is stored. */
const exponentOf = (k: Assembler, bits: X): X => k.x("srli", k.x("slli", bits, 1), 24);

const BIAS = 127;
const FRACTION = 23;

/**
 * A float without what is behind its point. What 64 bits do not hold becomes the least integer with a sign, as on x86;
 * there what is too large for 64 bits without a sign becomes 0.
 */
export function wideOfFloat(k: Assembler, value: F, signed: boolean): Wide {
  const word = k.x("fmv.x.w", value);
  const exponent = exponentOf(k, word);
  const leading = k.x("lui", 0x800);
  const digits = k.x("or", k.x("srli", k.x("slli", word, 9), 9), leading);
  const shift = k.add(exponent, -(BIAS + FRACTION));
  const wide = { low: k.copy(ZERO), high: k.copy(ZERO) };
  const done = k.newLabel();
  const most = k.li(BIAS + 63);
  if (!signed) {
    const negative = k.newLabel();
    k.branch("lt", word, ZERO, negative);
    k.addTo(most, most, 1);
    k.when("eq", word, k.x("fmv.x.w", k.constant(Infinity)), () => k.jump(done));
    k.when("geu", exponent, most, () => k.when("ne", exponent, k.li(255), () => k.jump(done)));
    k.label(negative);
  }
  k.when("geu", exponent, most, () => {
    k.to(wide.high, "lui", 0x80000);
    k.jump(done);
  });
  k.when("lt", exponent, k.li(BIAS), () => k.jump(done));
  k.when(
    "lt",
    shift,
    ZERO,
    () => k.to(wide.low, "srl", digits, k.x("sub", ZERO, shift)),
    () => {
      k.when(
        "lt",
        shift,
        k.li(32),
        () => {
          k.to(wide.low, "sll", digits, shift);
          k.to(wide.high, "srl", k.x("srli", digits, 1), k.x("xori", shift, 31));
        },
        () => k.to(wide.high, "sll", digits, shift),
      );
    },
  );
  k.when("lt", word, ZERO, () => negate(k, wide));
  k.label(done);
  return wide;
}

/**
 * The nearest float to an integer's nearest double: the kernels of src/tensor go that way, and rounding twice is not
 * rounding once.
 */
export function floatOfWide(k: Assembler, given: Wide, signed: boolean): F {
  const result = k.newF();
  const done = k.newLabel();
  if (signed) {
    const far = k.newLabel();
    k.branch("ne", given.high, k.x("srai", given.low, 31), far);
    k.to(result, "fcvt.s.w", given.low);
    k.jump(done);
    k.label(far);
  } else {
    k.when("eq", given.high, ZERO, () => {
      k.to(result, "fcvt.s.wu", given.low);
      k.jump(done);
    });
  }
  const wide = { low: k.copy(given.low), high: k.copy(given.high) };
  if (signed) k.when("lt", given.high, ZERO, () => negate(k, wide));
  const exponent = k.li(BIAS + 32);
  normalise(k, wide, exponent);
  roundToDouble(k, wide, exponent);
  // Digits that the float does not keep only say whether there are any.
  const sticky = k.x("sltu", ZERO, wide.low);
  const digits = k.f("fcvt.s.wu", k.x("or", wide.high, sticky));
  k.to(result, "fmul.s", digits, k.f("fmv.w.x", k.x("slli", exponent, FRACTION)));
  if (signed) {
    k.when("lt", given.high, ZERO, () => k.to(result, "fsgnjn.s", result, result));
  }
  k.label(done);
  return result;
}

/** Shifts the highest digit to the top; the exponent becomes that of the high word's last digit. */
function normalise(k: Assembler, { low, high }: Wide, exponent: X): void {
  k.when("eq", high, ZERO, () => {
    k.move(high, low);
    k.move(low, ZERO);
    k.addTo(exponent, exponent, -32);
  });
  const [again, done] = [k.newLabel(), k.newLabel()];
  k.label(again);
  k.branch("lt", high, ZERO, done);
  const carry = k.x("srli", low, 31);
  k.to(high, "or", k.x("slli", high, 1), carry);
  k.to(low, "slli", low, 1);
  k.addTo(exponent, exponent, -1);
  k.jump(again);
  k.label(done);
}

/** Keeps 53 digits of 64, rounded to nearest even. */
function roundToDouble(k: Assembler, { low, high }: Wide, exponent: X): void {
  const last = k.x("andi", k.x("srli", low, 11), 1);
  const before = k.copy(low);
  k.to(low, "add", low, k.add(last, 1023));
  const carry = k.x("sltu", low, before);
  k.to(high, "add", high, carry);
  k.to(low, "slli", k.x("srli", low, 11), 11);
  k.when("eq", high, ZERO, () => {
    k.when("ne", carry, ZERO, () => {
      k.to(high, "lui", 0x80000);
      k.addTo(exponent, exponent, 1);
    });
  });
}
