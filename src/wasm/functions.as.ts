/**
 * Functions of one element on float32 numbers. All of it is computed in doubles and rounded at the end, so results are the nearest
 * float32 number or its neighbour.
 */

import { d, high, join, low } from "./doubles.as";

/** p z + c. */
// @ts-ignore: decorator
@inline
function step(p: v128, z: v128, c: f64): v128 {
  return f64x2.add(f64x2.mul(p, z), d(c));
}

/** 1.5 * 2^52: a double of this size ends in whole numbers. */
const WHOLE: f64 = 6755399441055744;

// e^x = 2^n (1 + r p(r)) with |r| <= ln 2 / 2. p interpolates (e^r - 1) / r at the zeros of a Chebyshev polynomial;
// its relative error is 5e-12.
// @ts-ignore: decorator
@inline
function remainder(r: v128): v128 {
  let p = d(2.4867859946254323e-5);
  p = step(p, r, 0.00019907569619166926);
  p = step(p, r, 0.0013888839135652391);
  p = step(p, r, 0.008333283538218);
  p = step(p, r, 0.04166666678608984);
  p = step(p, r, 0.1666666678631033);
  p = step(p, r, 0.49999999999955463);
  p = step(p, r, 0.999999999995509);
  return f64x2.mul(p, r);
}

/** 2^n as the low bits of t = n + WHOLE say. */
// @ts-ignore: decorator
@inline
function powerOfTwo(t: v128): v128 {
  return i64x2.add(i64x2.shl(t, 52), d(1));
}

/** x log2(e) + WHOLE, for x between bounds where 2^n is a number or infinite. NaN stays. */
// @ts-ignore: decorator
@inline
function wholePart(x: v128): v128 {
  return f64x2.add(f64x2.mul(x, d(1.4426950408889634)), d(WHOLE));
}

// @ts-ignore: decorator
@inline
function rest(x: v128, t: v128): v128 {
  return f64x2.sub(x, f64x2.mul(f64x2.sub(t, d(WHOLE)), d(0.6931471805599453)));
}

/** e^x of two doubles: nearly 0 below -700, infinite above 709.4, where n is 1024 and r must not be negative. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const most = v128.bitselect(d(710), x, f64x2.gt(x, d(709.4)));
  const z = f64x2.pmax(most, d(-700));
  const t = wholePart(z);
  const scale = powerOfTwo(t);
  return f64x2.add(f64x2.mul(remainder(rest(z, t)), scale), scale);
}

/** tanh x = m / (m + 2) with m = e^2|x| - 1, under the sign of x. */
// @ts-ignore: decorator
@inline
function tanh(x: v128): v128 {
  const size = f64x2.pmin(f64x2.abs(x), d(20));
  const z = f64x2.add(size, size);
  const t = wholePart(z);
  const scale = powerOfTwo(t);
  const less = f64x2.sub(scale, d(1));
  const m = f64x2.add(f64x2.mul(remainder(rest(z, t)), scale), less);
  return signed(f64x2.div(m, f64x2.add(m, d(2))), x);
}

/** The sign of x on a number without one. */
// @ts-ignore: decorator
@inline
function signed(y: v128, x: v128): v128 {
  return v128.or(y, v128.and(x, d(-0.0)));
}

/** x / (1 + e^-ax). */
// @ts-ignore: decorator
@inline
function swish(x: v128, ax: v128): v128 {
  return f64x2.div(x, f64x2.add(d(1), exp(f64x2.neg(ax))));
}

/** Half the argument of tanh in gelu, twice: x (1 + tanh u) / 2 = x / (1 + e^-2u). */
// @ts-ignore: decorator
@inline
function geluArgument(x: v128): v128 {
  const cube = f64x2.mul(f64x2.mul(f64x2.mul(x, x), x), d(0.044715));
  return f64x2.mul(f64x2.add(x, cube), d(1.5957691216057308));
}

/**
 * erfc z for z >= 0 as t P(t) e^(-z^2) with t = 3 / (3 + z), which is Press et al. (Numerical Recipes, section
 * 6.2.2) but for what is interpolated: P(t) itself, up to z = 20. Its relative error is 3e-10.
 */
// @ts-ignore: decorator
@inline
function erfc(z: v128): v128 {
  const t = f64x2.div(d(3), f64x2.add(z, d(3)));
  let p = d(-0.00708070628692918);
  p = step(p, t, 0.024299639850149678);
  p = step(p, t, 0.01422887979218153);
  p = step(p, t, -0.16325047512938448);
  p = step(p, t, 0.24649229412332263);
  p = step(p, t, -0.18558512916999131);
  p = step(p, t, 0.17695202173632307);
  p = step(p, t, 0.046125097820669585);
  p = step(p, t, 0.13928582634645048);
  p = step(p, t, 0.1545613747363939);
  p = step(p, t, 0.17786036897951216);
  p = step(p, t, 0.18804715493732732);
  p = step(p, t, 0.18806365219752197);
  return f64x2.mul(f64x2.mul(p, t), exp(f64x2.neg(f64x2.mul(z, z))));
}

/** erf x: x Q(x^2) up to 1, with a relative error of 4e-11, and 1 - erfc |x| beyond. */
// @ts-ignore: decorator
@inline
function erf(x: v128): v128 {
  const size = f64x2.abs(x);
  const s = f64x2.mul(x, x);
  let q = d(-9.66704345728431e-6);
  q = step(q, s, 0.000112659586392283);
  q = step(q, s, -0.0008484080352495482);
  q = step(q, s, 0.005221031804214073);
  q = step(q, s, -0.026865430726371597);
  q = step(q, s, 0.11283782495214606);
  q = step(q, s, -0.376126384680273);
  q = step(q, s, 1.1283791670615437);
  const far = f64x2.sub(d(1), erfc(size));
  return signed(v128.bitselect(far, f64x2.mul(q, size), f64x2.gt(size, d(1))), x);
}

/** x Phi(x), where Phi comes from erfc on either side so that no digits cancel. */
// @ts-ignore: decorator
@inline
function geluErf(x: v128): v128 {
  const tail = erfc(f64x2.mul(f64x2.abs(x), d(0.7071067811865476)));
  const share = v128.bitselect(tail, f64x2.sub(d(2), tail), f64x2.lt(x, d(0)));
  return f64x2.mul(f64x2.mul(x, d(0.5)), share);
}

// @ts-ignore: decorator
@inline
function valueOf(kind: i32, x: v128, alpha: v128): v128 {
  switch (kind) {
    case 0: return exp(x);
    case 1: return tanh(x);
    case 2: return swish(d(1), x);
    case 3: return swish(x, f64x2.mul(x, alpha));
    case 4: return swish(x, geluArgument(x));
    case 5: return geluErf(x);
    default: return erf(x);
  }
}

/** to[count] := f(from[count]); which function is said by the order of ELEMENT_FUNCTIONS in src/tensor/vectors.ts. */
export function mapped(from: usize, to: usize, count: i32, kind: i32, alpha: f64): void {
  const a = d(alpha);
  const bytes = <usize>count << 2;
  // Rows that are not routed to an expert are 0, and all but exp and sigmoid leave them so.
  const keepsZero = kind != 0 && kind != 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const x = v128.load(from + at);
    if (keepsZero && !v128.any_true(x)) {
      v128.store(to + at, x);
      continue;
    }
    v128.store(to + at, join(valueOf(kind, low(x), a), valueOf(kind, high(x), a)));
  }
}
