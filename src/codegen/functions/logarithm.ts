/**
 * Logarithms in single precision, for scalar and vector cores.
 *
 * x = 2^e m with m from sqrt(1/2) to sqrt(2), taken apart as integers; log(1 + f) = f - f^2 / 2 + f^3 p(f) with p of
 * degree 7 (relative error 8e-9), plus e ln 2 in two parts. Within 1 ulp, subnormal arguments included; log(0) is -inf,
 * of negative numbers NaN. Measured by test/codegen/functions.test.ts.
 */

import { LN2_HIGH, LN2_LOW } from "../exponential.ts";
import type { Lanes, Unary } from "../lanes.ts";
import { polynomial } from "../lanes.ts";
import { ZERO } from "../register.ts";

/** The bits of sqrt(1/2) in single precision. */
const ROOT_HALF = 0x3f3504f3;
const FRACTION_BITS = 23;
const LEAST_NORMAL = 2 ** -126;

export const LOG_SERIES = [
  0.333333313, -0.250008225, 0.200012267, -0.166233569, 0.142017618, -0.131601945, 0.127615497,
  -0.0763442963,
];

/** (f, e) -> log(1 + f) + e ln 2. */
function ofParts<T, I>(l: Lanes<T, I>): (f: T, e: T) => T {
  const { k } = l;
  const [high, low, half] = [k.constant(LN2_HIGH), k.constant(LN2_LOW), k.constant(0.5)];
  const series = polynomial(l, LOG_SERIES);
  return (f, e) => {
    const square = l.mul(f, f);
    const tail = l.deduct(l.mul(l.mul(series(f), f), square), square, half);
    return l.accumulate(l.add(l.accumulate(tail, e, low), f), e, high);
  };
}

/** x = 2^e (1 + f). */
interface Parts<T> {
  readonly f: T;
  readonly e: T;
}

/** Takes positive finite numbers apart, subnormal ones too; of others, anything. */
export function takenApart<T, I>(l: Lanes<T, I>): (x: T) => Parts<T> {
  const { k } = l;
  const [root, one] = [k.li(ROOT_HALF), k.constant(1)];
  const [least, scale] = [k.constant(LEAST_NORMAL), k.constant(2 ** FRACTION_BITS)];
  const [zero, down] = [k.f("fmv.w.x", ZERO), k.constant(-FRACTION_BITS)];
  return (x) => {
    const bits = l.bits(l.replace(l.copy(x), x, "lt", least, l.mul(x, scale)));
    const shift = l.replace(l.splat(zero, x), x, "lt", least, down);
    const exponent = l.on("sra", l.on("sub", bits, root), FRACTION_BITS);
    const fraction = l.fromBits(l.on("sub", bits, l.on("sll", exponent, FRACTION_BITS)));
    return { f: l.sub(fraction, one), e: l.add(l.fromWhole(exponent), shift) };
  };
}

export function logarithm<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [parts, sum] = [takenApart(l), ofParts(l)];
  const zero = k.f("fmv.w.x", ZERO);
  const [infinite, none] = [k.constant(Number.POSITIVE_INFINITY), k.constant(Number.NaN)];
  const negative = k.constant(Number.NEGATIVE_INFINITY);
  return (x) => {
    const { f, e } = parts(x);
    const y = sum(f, e);
    l.replace(y, x, "eq", infinite, infinite);
    l.replace(y, x, "eq", zero, negative);
    l.replace(y, x, "lt", zero, none);
    return l.replace(y, x, "ne", x, x);
  };
}

/**
 * log(1 + t) for t from 0 to 1, with the small relative error also near 0: 1 + t is never rounded, f is t itself or
 * (t - 1) / 2.
 */
export function logOnePlus<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const sum = ofParts(l);
  const [zero, one, half] = [k.f("fmv.w.x", ZERO), k.constant(1), k.constant(0.5)];
  const middle = k.constant(Math.SQRT2 - 1);
  return (t) => {
    const f = l.replace(l.copy(t), t, "gt", middle, l.mul(l.sub(t, one), half));
    return sum(f, l.replace(l.splat(zero, t), t, "gt", middle, one));
  };
}
