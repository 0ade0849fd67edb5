/**
 * e^x in single precision, for scalar and vector cores.
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6): n by adding a number so large that the sum has
 * no fraction; ln 2 in two parts; e^r as 1 + r (1 + r q(r)) with q of degree 4, fitted at Chebyshev's nodes (relative error
 * 1.1e-8). 2^(n-1) is made of the sum's bits and the polynomial is doubled, so that results up to the largest number are
 * right. Within 1 ulp where the result is at least 2^-125; smaller ones are 0. NaN stays NaN; inf and overflow are
 * inf; -inf is 0. Measured by test/codegen/exponential.test.ts.
 */

import type { Lanes, Unary } from "./lanes.ts";
import { polynomial } from "./lanes.ts";
import { ZERO } from "./register.ts";

/** Below, the result is less than 2^-125 times 1.42 and counts as 0. */
const LEAST = -86.98976135253906;
/** 1.5 * 2^23, plus the exponent's bias less 1: the last bits of a sum are then the exponent of 2^(n-1). */
const BIASED = 0xc00000 + 126;
/** From here on e^x overflows, however large r gets. */
const MOST_POWER = 128;
/** ln 2 in two parts: the first has so few bits that its product with n is exact. */
export const LN2_HIGH = 0.693359375;
export const LN2_LOW = -2.1219444005469057e-4;
const FRACTION_BITS = 23;

/** Of 2 q(r). */
export const EXPONENT_SERIES = [1, 0.33333153, 0.083333108, 0.016726466, 0.0027852502];

/** `most` says that no argument is above 0, as of a softmax: one instruction less. */
export function exponential<T, I>(l: Lanes<T, I>, most: "any" | "zero" = "any"): Unary<T> {
  const { k } = l;
  const [least, biased] = [k.constant(LEAST), k.constant(BIASED)];
  const top = k.constant(BIASED + MOST_POWER);
  const perLn2 = k.constant(Math.LOG2E);
  const [high, low] = [k.constant(LN2_HIGH), k.constant(LN2_LOW)];
  const series = polynomial(l, EXPONENT_SERIES);
  const two = k.constant(2);
  const zero = k.f("fmv.w.x", ZERO);
  return (x) => {
    const sum = l.fma(x, perLn2, biased);
    const bounded = most === "any" ? l.min(sum, top) : sum;
    const n = l.sub(bounded, biased);
    const r = l.deduct(l.fnma(n, high, x), n, low);
    const power = l.fromBits(l.on("sll", l.bits(bounded), FRACTION_BITS));
    const twice = l.fma(l.fma(series(r), r, two), r, two);
    return l.replace(l.mul(twice, power), x, "lt", least, zero);
  };
}
