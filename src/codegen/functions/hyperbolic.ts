/**
 * e^x - 1 and the hyperbolic tangent in single precision, for scalar and vector cores.
 *
 * With x = n ln 2 + r as in the exponential, e^x - 1 = 2^n (e^r - 1) + (2^n - 1): for x <= 0 nothing cancels, since n = 0
 * wherever x is small. tanh |x| = -m / (m + 2) with m = e^(-2 |x|) - 1. Within 2 and 3 ulp. sinh x = x + x^3 p(x^2) for
 * |x| < 1 (relative error 7e-9); beyond, as cosh x, from h = e^(|x| / 2), whose square is never taken before it is
 * halved: within 4 ulp. Measured by test/codegen/functions.test.ts.
 */

import { EXPONENT_SERIES, exponential, LN2_HIGH, LN2_LOW } from "../exponential.ts";
import type { Lanes, Unary } from "../lanes.ts";
import { polynomial } from "../lanes.ts";

/** 1.5 * 2^23 and the exponent's bias: the last bits of a sum are the exponent of 2^n. */
const BIASED = 0xc00000 + 127;
/** e^x is nothing beside 1 from here on. */
const LEAST = -60;
const FRACTION_BITS = 23;

/** e^x - 1 for x <= 0; anything for other numbers and for NaN. */
export function exponentialLessOne<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [least, biased, one] = [k.constant(LEAST), k.constant(BIASED), k.constant(1)];
  const perLn2 = k.constant(Math.LOG2E);
  const [high, low] = [k.constant(LN2_HIGH), k.constant(LN2_LOW)];
  const series = polynomial(
    l,
    EXPONENT_SERIES.map((c) => c / 2),
  );
  return (x) => {
    const bounded = l.max(x, least);
    const sum = l.fma(bounded, perLn2, biased);
    const n = l.sub(sum, biased);
    const r = l.deduct(l.fnma(n, high, bounded), n, low);
    const power = l.fromBits(l.on("sll", l.bits(sum), FRACTION_BITS));
    const less = l.accumulate(l.copy(r), l.mul(r, r), series(r));
    return l.accumulate(l.sub(power, one), power, less);
  };
}

export function tangent<T, I>(l: Lanes<T, I>): Unary<T> {
  const [two, minusTwo] = [l.k.constant(2), l.k.constant(-2)];
  const lessOne = exponentialLessOne(l);
  return (x) => {
    const m = lessOne(l.mul(l.abs(x), minusTwo));
    const y = l.withSign(l.div(m, l.add(m, two)), x);
    return l.replace(y, x, "ne", x, x);
  };
}

const SINE = [0.166666672, 0.00833335053, 0.000198360663, 2.81743951e-6];

/** e^|x| / 2 and e^-|x| / 2. */
function halfPowers<T, I>(l: Lanes<T, I>): (size: T) => readonly [up: T, down: T] {
  const [half, one] = [l.k.constant(0.5), l.k.constant(1)];
  const exp = exponential(l);
  return (size) => {
    const root = exp(l.mul(size, half));
    const inverse = l.divFrom(one, root);
    return [l.mul(l.mul(root, half), root), l.mul(l.mul(inverse, half), inverse)];
  };
}

export function hyperbolicCosine<T, I>(l: Lanes<T, I>): Unary<T> {
  const powers = halfPowers(l);
  return (x) => {
    const [up, down] = powers(l.abs(x));
    return l.add(up, down);
  };
}

export function hyperbolicSine<T, I>(l: Lanes<T, I>): Unary<T> {
  const [powers, series, one] = [halfPowers(l), polynomial(l, SINE), l.k.constant(1)];
  return (x) => {
    const size = l.abs(x);
    const [up, down] = powers(size);
    const far = l.withSign(l.sub(up, down), x);
    const square = l.mul(x, x);
    const near = l.accumulate(l.copy(x), l.mul(x, square), series(square));
    return l.replace(far, size, "lt", one, near);
  };
}
