/**
 * What digital kernels do with float32 numbers: functions of one element, norms and softmax of rows. All of it is
 * computed in doubles and rounded at the end, so results are the nearest float32 number or its neighbour. A
 * row's sums depend on its own elements alone, so no result depends on how many rows are computed at once.
 */

// @ts-ignore: decorator
@inline
function low(x: v128): v128 {
  return f64x2.promote_low_f32x4(x);
}

// @ts-ignore: decorator
@inline
function high(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f32>(x, x, 2, 3, 0, 1));
}

// @ts-ignore: decorator
@inline
function join(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(a), f32x4.demote_f64x2_zero(b), 0, 1, 4, 5);
}

// @ts-ignore: decorator
@inline
function d(x: f64): v128 {
  return f64x2.splat(x);
}

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
function exp(x: v128): v128 {
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

/** to[count] := f(from[count]); which function is said by the order in module.ts's ELEMENT_FUNCTIONS. */
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

/** x[count] := x by, rounded once. */
export function scaled(x: usize, count: i32, by: f64): void {
  const b = d(by);
  for (const end = x + (<usize>count << 2); x < end; x += 16) {
    const v = v128.load(x);
    v128.store(x, join(f64x2.mul(low(v), b), f64x2.mul(high(v), b)));
  }
}

// @ts-ignore: decorator
@inline
function sumOf(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

/** Sum of x[n] - mean, or of its squares. */
// @ts-ignore: decorator
@inline
function deviations(x: usize, n: i32, mean: f64, squares: bool): f64 {
  const m = d(mean);
  let a = d(0), b = d(0);
  let j = 0;
  for (; j + 4 <= n; j += 4, x += 16) {
    const v = v128.load(x);
    const p = f64x2.sub(low(v), m), q = f64x2.sub(high(v), m);
    a = f64x2.add(a, squares ? f64x2.mul(p, p) : p);
    b = f64x2.add(b, squares ? f64x2.mul(q, q) : q);
  }
  let sum = sumOf(f64x2.add(a, b));
  for (; j < n; j++, x += 4) {
    const p = <f64>load<f32>(x) - mean;
    sum += squares ? p * p : p;
  }
  return sum;
}

/**
 * Rows of x[m, n] become (x - mean) / sqrt(variance + epsilon) scale[n] + bias[n]. Without `centred` the mean is
 * 0. Means and inverse deviations go to means[m] and inverses[m].
 */
export function rowNorms(
  x: usize, scale: usize, bias: usize, means: usize, inverses: usize, m: i32, n: i32,
  epsilon: f64, centred: i32,
): void {
  for (let i = 0; i < m; i++, means += 4, inverses += 4) {
    const mean = centred ? deviations(x, n, 0, false) / n : 0;
    const by = 1 / sqrt<f64>(deviations(x, n, mean, true) / n + epsilon);
    store<f32>(means, <f32>mean);
    store<f32>(inverses, <f32>by);
    const vm = d(mean), vb = d(by);
    let s = scale, b = bias;
    let j = 0;
    for (; j + 4 <= n; j += 4, x += 16, s += 16, b += 16) {
      const v = v128.load(x), vs = v128.load(s), vo = v128.load(b);
      const p = f64x2.mul(f64x2.mul(f64x2.sub(low(v), vm), vb), low(vs));
      const q = f64x2.mul(f64x2.mul(f64x2.sub(high(v), vm), vb), high(vs));
      v128.store(x, join(f64x2.add(p, low(vo)), f64x2.add(q, high(vo))));
    }
    for (; j < n; j++, x += 4, s += 4, b += 4) {
      const y = (<f64>load<f32>(x) - mean) * by;
      store<f32>(x, <f32>(y * <f64>load<f32>(s) + <f64>load<f32>(b)));
    }
  }
}

/** Four elements of which `left` are there; the others are -infinity. */
// @ts-ignore: decorator
@inline
function loadSome(x: usize, left: i32): v128 {
  let v = f32x4.splat(-Infinity);
  if (left > 0) v = f32x4.replace_lane(v, 0, load<f32>(x));
  if (left > 1) v = f32x4.replace_lane(v, 1, load<f32>(x, 4));
  if (left > 2) v = f32x4.replace_lane(v, 2, load<f32>(x, 8));
  return v;
}

// @ts-ignore: decorator
@inline
function storeSome(x: usize, left: i32, v: v128): void {
  if (left > 0) store<f32>(x, f32x4.extract_lane(v, 0));
  if (left > 1) store<f32>(x, f32x4.extract_lane(v, 1), 4);
  if (left > 2) store<f32>(x, f32x4.extract_lane(v, 2), 8);
}

/**
 * x[n] := e^(x - top) / sum, where top is the largest. `beside` is one more element, which takes its share and is
 * not written; -infinity is none.
 */
export function softmax(x: usize, n: i32, beside: f32): void {
  const whole = x + (<usize>(n & ~3) << 2), left = n & 3;
  let tops = f32x4.max(loadSome(whole, left), f32x4.splat(beside));
  for (let at = x; at < whole; at += 16) tops = f32x4.max(tops, v128.load(at));
  const top = max<f32>(
    max<f32>(f32x4.extract_lane(tops, 0), f32x4.extract_lane(tops, 1)),
    max<f32>(f32x4.extract_lane(tops, 2), f32x4.extract_lane(tops, 3)),
  );
  const t = d(<f64>top);
  let a = d(0), b = d(0);
  for (let at = x; at < whole; at += 16) {
    const v = v128.load(at);
    const p = exp(f64x2.sub(low(v), t)), q = exp(f64x2.sub(high(v), t));
    a = f64x2.add(a, p);
    b = f64x2.add(b, q);
    v128.store(at, join(p, q));
  }
  if (left > 0) {
    const v = loadSome(whole, left);
    const p = exp(f64x2.sub(low(v), t)), q = exp(f64x2.sub(high(v), t));
    a = f64x2.add(a, p);
    b = f64x2.add(b, q);
    storeSome(whole, left, join(p, q));
  }
  let sum = sumOf(f64x2.add(a, b));
  if (beside != -Infinity) {
    sum += f64x2.extract_lane(exp(d(<f64>beside - <f64>top)), 0);
  }
  const share = 1 / sum;
  const s = d(share);
  for (let at = x; at < whole; at += 16) {
    const v = v128.load(at);
    v128.store(at, join(f64x2.mul(low(v), s), f64x2.mul(high(v), s)));
  }
  for (let at = whole, end = whole + (<usize>left << 2); at < end; at += 4) {
    store<f32>(at, <f32>(<f64>load<f32>(at) * share));
  }
}
