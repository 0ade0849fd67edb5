/**
 * x to the power y in single precision, for scalar and vector cores: e^(y log |x|), with the logarithm and the product in two
 * parts each. The relative error is below 2e-6, and below 2e-7 where |y log x| < 1; results below 2^-125 are 0. Special cases
 * as C's pow. Measured by test/codegen/functions.test.ts.
 */

import { exponential, LN2_HIGH, LN2_LOW } from "../exponential.ts";
import type { Lanes } from "../lanes.ts";
import { polynomial } from "../lanes.ts";
import { ZERO } from "../register.ts";
import { rounded } from "./activations.ts";
import { LOG_SERIES, takenApart } from "./logarithm.ts";

/** e^x is infinite, or 0, beyond. */
const MOST = 200;

interface Pair<T> {
  readonly high: T;
  readonly low: T;
}

/** log x of a positive finite number as a sum of two. */
function pairedLogarithm<T, I>(l: Lanes<T, I>): (x: T) => Pair<T> {
  const { k } = l;
  const [ln2High, ln2Low, half] = [k.constant(LN2_HIGH), k.constant(LN2_LOW), k.constant(0.5)];
  const [parts, series] = [takenApart(l), polynomial(l, LOG_SERIES)];
  return (x) => {
    const { f, e } = parts(x);
    const square = l.mul(f, f);
    const rest = l.deduct(l.mul(l.mul(series(f), f), square), square, half);
    const whole = l.mul(e, ln2High);
    const sum = l.add(whole, f);
    const lost = l.sub(f, l.sub(sum, whole));
    const small = l.add(l.accumulate(rest, e, ln2Low), lost);
    const high = l.add(sum, small);
    return { high, low: l.sub(small, l.sub(high, sum)) };
  };
}

/** |x|^y of numbers that are not NaN. */
function ofMagnitude<T, I>(l: Lanes<T, I>): (a: T, y: T) => T {
  const { k } = l;
  const [zero, one] = [k.f("fmv.w.x", ZERO), k.constant(1)];
  const infinite = k.constant(Number.POSITIVE_INFINITY);
  const negative = k.constant(Number.NEGATIVE_INFINITY);
  const [most, least] = [k.constant(MOST), k.constant(-MOST)];
  const [log, exp] = [pairedLogarithm(l), exponential(l)];
  return (a, y) => {
    const { high, low } = log(a);
    l.replace(high, a, "eq", infinite, infinite);
    l.replace(high, a, "eq", zero, negative);
    const product = l.mul(high, y);
    const lost = l.accumulate(l.negate(l.fnma(high, y, product)), low, y);
    l.replace(lost, l.abs(product), "ge", most, zero);
    const power = exp(l.max(l.min(product, most), least));
    const result = l.accumulate(l.copy(power), power, lost);
    l.replace(result, power, "eq", infinite, infinite);
    return l.replace(result, a, "eq", one, one);
  };
}

export function power<T, I>(l: Lanes<T, I>): (x: T, y: T) => T {
  const { k } = l;
  const [zero, one, half] = [k.f("fmv.w.x", ZERO), k.constant(1), k.constant(0.5)];
  const [none, negative] = [k.constant(Number.NaN), k.constant(Number.NEGATIVE_INFINITY)];
  const [magnitude, truncated] = [ofMagnitude(l), rounded("zero")(l)];
  return (x, y) => {
    const result = magnitude(l.abs(x), y);
    const part = l.mul(y, half);
    // Halves of odd numbers are not whole, those of even ones and of numbers with a fraction are told apart below.
    const odd = l.replace(l.copy(result), truncated(part), "ne", part, l.timesSign(result, x));
    const fraction = l.replace(l.splat(none, x), x, "eq", negative, result);
    l.replace(fraction, x, "ge", zero, result);
    l.replace(odd, truncated(y), "ne", y, fraction);
    l.replace(odd, x, "ne", x, x);
    l.replace(odd, y, "ne", y, y);
    l.replace(odd, x, "eq", one, one);
    return l.replace(odd, y, "eq", zero, one);
  };
}
