/**
 * Inverse functions of angles and of hyperbolas in single precision, for scalar and vector cores.
 *
 * asin x = x + x^3 p(x^2) for |x| <= 1/2, beyond by half angles: asin x = pi/2 - 2 asin sqrt((1 - x) / 2). atan x = x +
 * x^3 p(x^2) for |x| <= tan(pi / 8), beyond by atan x = pi/4 + atan((x - 1) / (x + 1)) and pi/2 - atan(1 / x). Polynomials
 * are fitted for the least relative error (6e-9 and 2e-9). The inverse hyperbolic functions are logarithms of 1 + t
 * where that would round what matters away. Bounds are measured by test/codegen/functions.test.ts.
 */

import type { Lanes, Unary } from "../lanes.ts";
import { polynomial } from "../lanes.ts";
import { type F, ZERO } from "../register.ts";
import { logarithm, logOnePlus } from "./logarithm.ts";

const ARC_SINE = [0.166667536, 0.0749524161, 0.0454770997, 0.0241476018, 0.0422185659];
const ARC_TANGENT = [-0.333333164, 0.199984893, -0.142438486, 0.105960011, -0.0608345307];
/** pi / 2 in two parts. */
const HALF_PI = [1.5707963705062866, -4.3711388286737929e-8] as const;
const HALF = 0.5;

/** asin x and acos x of the magnitude alone. */
interface Arcs<T> {
  /** Where |x| <= 1/2: asin |x|; beyond: 2 asin sqrt((1 - |x|) / 2) = acos |x|. */
  readonly arc: T;
  readonly size: T;
}

function arcs<T, I>(l: Lanes<T, I>): (x: T) => Arcs<T> {
  const { k } = l;
  const [one, half] = [k.constant(1), k.constant(HALF)];
  const series = polynomial(l, ARC_SINE);
  return (x) => {
    const size = l.abs(x);
    const chord = l.mul(l.subFrom(one, size), half);
    const square = l.replace(l.mul(size, size), size, "gt", half, chord);
    const base = l.replace(l.copy(size), size, "gt", half, l.sqrt(chord));
    const arc = l.accumulate(l.copy(base), l.mul(base, square), series(square));
    return { arc: l.replace(l.copy(arc), size, "gt", half, l.add(arc, arc)), size };
  };
}

/** pi / 2 - x, without the error of a rounded pi. */
function quarterLess<T, I>(l: Lanes<T, I>): Unary<T> {
  const [high, low] = [l.k.constant(HALF_PI[0]), l.k.constant(HALF_PI[1])];
  return (x) => l.subFrom(high, l.sub(x, low));
}

/** Within 3 ulp. */
export function arcSine<T, I>(l: Lanes<T, I>): Unary<T> {
  const [of, complement, half] = [arcs(l), quarterLess(l), l.k.constant(HALF)];
  return (x) => {
    const { arc, size } = of(x);
    return l.withSign(l.replace(l.copy(arc), size, "gt", half, complement(arc)), x);
  };
}

/** Within 3 ulp. */
export function arcCosine<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [of, complement] = [arcs(l), quarterLess(l)];
  const [half, minusHalf] = [k.constant(HALF), k.constant(-HALF)];
  const [pi, low] = [k.constant(2 * HALF_PI[0]), k.constant(2 * HALF_PI[1])];
  return (x) => {
    const { arc, size } = of(x);
    const near = complement(l.withSign(arc, x));
    l.replace(near, size, "gt", half, arc);
    return l.replace(near, x, "lt", minusHalf, l.subFrom(pi, l.sub(arc, low)));
  };
}

/** Within 2 ulp. */
export function arcTangent<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [one, minusOne, zero] = [k.constant(1), k.constant(-1), k.f("fmv.w.x", ZERO)];
  const [eighth, threeEighths] = [Math.tan(Math.PI / 8), Math.tan((3 * Math.PI) / 8)].map((t) =>
    k.constant(t),
  );
  const turns = [0.5, 1].map((t) => HALF_PI.map((part) => k.constant(part * t)));
  const series = polynomial(l, ARC_TANGENT);
  return (x) => {
    const size = l.abs(x);
    const [above, below] = [l.copy(size), l.splat(one, x)];
    const [high, low] = [l.splat(zero, x), l.splat(zero, x)];
    const from = (least: F, dividend: T, divisor: T, turn: readonly F[]): void => {
      const [h, w] = turn;
      if (!h || !w) return;
      l.replace(above, size, "gt", least, dividend);
      l.replace(below, size, "gt", least, divisor);
      l.replace(high, size, "gt", least, h);
      l.replace(low, size, "gt", least, w);
    };
    if (eighth && turns[0]) from(eighth, l.sub(size, one), l.add(size, one), turns[0]);
    if (threeEighths && turns[1]) from(threeEighths, l.splat(minusOne, x), size, turns[1]);
    const t = l.div(above, below);
    const square = l.mul(t, t);
    const rest = l.add(l.mul(l.mul(series(square), square), t), low);
    return l.withSign(l.add(l.add(rest, t), high), x);
  };
}

/** From here on x + sqrt(x^2 + 1) is 2 x. */
const FAR = 4096;

/** log(2 x) for x >= 2^12, without the product; log y for others. */
function farLogarithm<T, I>(l: Lanes<T, I>): (x: T, y: T) => T {
  const { k } = l;
  const [log, far, ln2] = [logarithm(l), k.constant(FAR), k.constant(Math.LN2)];
  const zero = k.f("fmv.w.x", ZERO);
  return (x, y) => {
    const more = l.replace(l.splat(zero, x), x, "ge", far, ln2);
    return l.add(log(l.replace(l.copy(y), x, "ge", far, x)), more);
  };
}

/** Within 3 ulp. */
export function areaSine<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [one, near] = [k.constant(1), k.constant(0.75)];
  const [log, logNear] = [farLogarithm(l), logOnePlus(l)];
  return (x) => {
    const size = l.abs(x);
    const square = l.mul(size, size);
    const root = l.sqrt(l.add(square, one));
    const t = l.add(size, l.div(square, l.add(root, one)));
    const y = log(size, l.add(size, root));
    return l.withSign(l.replace(y, size, "le", near, logNear(t)), x);
  };
}

/** Within 3 ulp. */
export function areaCosine<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [one, two, near] = [k.constant(1), k.constant(2), k.constant(1.25)];
  const none = k.constant(Number.NaN);
  const [log, logNear] = [farLogarithm(l), logOnePlus(l)];
  return (x) => {
    const t = l.sub(x, one);
    const root = l.sqrt(l.mul(t, l.add(t, two)));
    const y = log(x, l.add(x, root));
    l.replace(y, x, "le", near, logNear(l.add(t, root)));
    return l.replace(y, x, "lt", one, none);
  };
}

/** Within 3 ulp. */
export function areaTangent<T, I>(l: Lanes<T, I>): Unary<T> {
  const { k } = l;
  const [one, half, near] = [k.constant(1), k.constant(HALF), k.constant(1 / 3)];
  const [log, logNear] = [logarithm(l), logOnePlus(l)];
  return (x) => {
    const size = l.abs(x);
    const rest = l.subFrom(one, size);
    const y = log(l.div(l.add(size, one), rest));
    l.replace(y, size, "le", near, logNear(l.div(l.add(size, size), rest)));
    return l.withSign(l.mul(y, half), x);
  };
}
