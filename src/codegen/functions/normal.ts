/**
 * The error function and the normal distribution in single precision, for scalar and vector cores.
 *
 * The upper tail of the normal distribution is Q(t) = e^(-t^2 / 2) s p(s) with s = 1 / (1 + 0.3 t) and p of degree 7 (after
 * Abramowitz and Stegun, 26.2.17; fitted for the least relative error, 1.7e-7 up to t = 14). erf(x) = 1 - 2 Q(|x| sqrt 2)
 * with the sign of x, and x + x p(x^2) for |x| < 0.95, where the difference would cancel (relative error 8e-9). erf is
 * within 3 ulp; the relative error of Q is 5e-6 where Q > 1e-30. Measured by test/codegen/functions.test.ts.
 */

import { exponential } from "../exponential.ts";
import type { Lanes, Unary } from "../lanes.ts";
import { polynomial } from "../lanes.ts";

const SLOPE = 0.3;
const TAIL = [
  0.119629301, 0.120753966, 0.0999134108, 0.128561929, -0.0536842421, 0.206354186, -0.157203496,
  0.0356748775,
];
const NEAR_ZERO = [
  0.128379166, -0.376126319, 0.112836637, -0.0268577058, 0.0051969518, -0.000809770252,
  8.1850907e-5,
];
const MIDDLE = 0.95;

/** The chance that a normal variable is above t, for t >= 0. */
export function upperTail<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [slope, one, minusHalf] = [k.constant(SLOPE), k.constant(1), k.constant(-0.5)];
  const series = polynomial(l, TAIL);
  const exp = exponential(l, "zero");
  return (t) => {
    const power = exp(l.mul(l.mul(t, minusHalf), t));
    const s = l.divFrom(one, l.fma(t, slope, one));
    return l.mul(power, l.mul(series(s), s));
  };
}

export function errorFunction<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [root, one, middle] = [k.constant(Math.SQRT2), k.constant(1), k.constant(MIDDLE)];
  const minusTwo = k.constant(-2);
  const tail = upperTail(l);
  const series = polynomial(l, NEAR_ZERO);
  return (x) => {
    const size = l.abs(x);
    const far = l.withSign(l.fma(tail(l.mul(size, root)), minusTwo, one), x);
    const near = l.accumulate(l.copy(x), x, series(l.mul(x, x)));
    return l.replace(far, size, "lt", middle, near);
  };
}
