/**
 * Rows of float32 numbers: scaled, normalised, and their softmax. All of it is computed in doubles and rounded at the end, so results
 * are the nearest float32 number or its neighbour. A row's sums depend on its own elements alone, so no result depends on how many
 * rows are computed at once.
 */

import { d, high, join, low } from "./doubles.as";
import { exp } from "./functions.as";

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
