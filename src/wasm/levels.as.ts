/**
 * The sums on which the noise of a crossbar depends, in 16-bit integers: the inputs are levels of a converter, at most 181 of
 * either sign, so that they and their squares are exact; weights are rounded to a share of the largest of their column
 * (docs/numerics.md, "Products"). One instruction multiplies and adds eight pairs where floats take four.
 *
 * Inputs lie in groups of 4 vectors, weights in panels of 8 columns; both by pairs of rows, since that is what the instruction
 * adds up: a group is [pairs][4 vectors][2 rows] and a panel [pairs][8 columns][2 rows]. There is an even number of pairs; rows
 * and vectors that are missing are 0.
 */

/** Pairs of k rows. */
// @ts-ignore: decorator
@inline
function pairsOf(k: i32): i32 {
  return ((k + 3) >> 2) << 1;
}

/** 1.5 * 2^23: a float of this size ends in whole numbers. */
const WHOLE: f32 = 12582912;

// @ts-ignore: decorator
@inline
function rounded(x: v128, by: v128): v128 {
  return f32x4.add(f32x4.mul(x, by), f32x4.splat(WHOLE));
}

/** Four levels of a vector, of which only the first `left` are there. */
// @ts-ignore: decorator
@inline
function levelsAt(x: usize, left: i32, by: v128): v128 {
  const v = i32x4.sub(rounded(v128.load(x), by), i32x4.splat(0x4b400000));
  return left >= 4 ? v : v128.and(v, i32x4.gt_s(i32x4.splat(left), i32x4(0, 1, 2, 3)));
}

/**
 * The levels of x[m, k] = step * level, their sizes and their squares, one after another at `out`; perStep is 1 / step.
 */
export function levels(x: usize, out: usize, m: i32, k: i32, perStep: f32): void {
  const by = f32x4.splat(perStep), none = i32x4.splat(0);
  const row: usize = <usize>k << 2;
  const area: usize = (<usize>((m + 3) >> 2) * <usize>pairsOf(k)) << 4;
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < k; j += 4, out += 32) {
      const at = x + (<usize>j << 2);
      const left = k - j;
      const a = levelsAt(at, left, by);
      const b = i + 1 < m ? levelsAt(at + row, left, by) : none;
      const c = i + 2 < m ? levelsAt(at + 2 * row, left, by) : none;
      const d = i + 3 < m ? levelsAt(at + 3 * row, left, by) : none;
      const ab = i16x8.narrow_i32x4_s(a, b), cd = i16x8.narrow_i32x4_s(c, d);
      const p = v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), q = v128.shuffle<i32>(ab, cd, 1, 3, 5, 7);
      v128.store(out, p);
      v128.store(out, q, 16);
      const sizes = out + area, squares = sizes + area;
      v128.store(sizes, i16x8.abs(p));
      v128.store(sizes, i16x8.abs(q), 16);
      v128.store(squares, i16x8.mul(p, p));
      v128.store(squares, i16x8.mul(q, q), 16);
    }
    x += row << 2;
  }
}

/** Two rows of four columns, rounded by WHOLE: the lower halves of these words are the integers. */
// @ts-ignore: decorator
@inline
function paired(first: v128, second: v128): v128 {
  return v128.or(v128.and(first, i32x4.splat(0xffff)), i32x4.shl(second, 16));
}

/** Pairs of rows whose squares are added up as integers. */
const CHUNK: i32 = 32;

/**
 * y[m, n] -= the IR drop and += z times the deviation of output and read noise, as irDrop and addNoise have it, for the sums
 * of `levels` at q with packed panels w[k, n]. The largest level is `most`. Without `scale` there is no drop, and without z
 * no noise. There is room for 8 * m sums at `load`, `power` and `far`, and for 12 * (k + 3) + 8 words at `panel`.
 */
export function levelNoise(
  q: usize, w: usize, r: usize, y: usize, z: usize, load: usize, power: usize, far: usize,
  panel: usize, m: i32, k: i32, n: i32, most: i32, step: f32,
  irLoad: f32, scale: f32, output: f32, read: f32,
): void {
  const pairs = pairsOf(k);
  const area: usize = (<usize>((m + 3) >> 2) * <usize>pairs) << 4;
  const size: usize = <usize>pairs << 5;
  // What integers may reach without overflow, shared by all that are added up.
  const fine = min<i32>(32767, i32.MAX_VALUE / (most * 2 * pairs));
  const coarse = min<i32>(32767, i32.MAX_VALUE / (most * most * 2 * min<i32>(CHUNK, pairs)));
  const perFine = step / <f32>fine, perCoarse = read * read * step * step / <f32>coarse;
  for (let j = 0; j < n; j += 8, w += <usize>k << 5) {
    packHalf(w, r, panel, size, k, <f32>fine, <f32>coarse);
    packHalf(w + 16, r, panel + 16, size, k, <f32>fine, <f32>coarse);
    const at = <usize>j << 2;
    const scales = panel + 3 * size;
    if (scale > 0) {
      sumPanel(q + area, panel, load, m, pairs, pairs);
      sumPanel(q, panel + 2 * size, far, m, pairs, pairs);
      dropPanel(y + at, load, far, scales, m, n, perFine, irLoad, scale);
    }
    if (z == 0) continue;
    sumPanel(q + 2 * area, panel + size, power, m, pairs, CHUNK);
    addPanel(y + at, z + at, power, scales, m, n, output * output, perCoarse);
  }
}

/** y[m, 8], in rows of n, -= the IR drop of what loads and distances add up to. */
function dropPanel(
  y: usize, load: usize, far: usize, scales: usize, m: i32, n: i32, unit: f32, irLoad: f32,
  scale: f32,
): void {
  const il = f32x4.splat(irLoad * unit), is = f32x4.splat(scale * unit);
  const a0 = f32x4.mul(v128.load(scales), il), a1 = f32x4.mul(v128.load(scales, 16), il);
  const f0 = f32x4.mul(v128.load(scales), is), f1 = f32x4.mul(v128.load(scales, 16), is);
  for (let i = 0; i < m; i++, y += <usize>n << 2, load += 32, far += 32) {
    const drop0 = f32x4.mul(share(load, a0), f32x4.mul(v128.load(far), f0));
    v128.store(y, f32x4.sub(v128.load(y), drop0));
    const drop1 = f32x4.mul(share(load + 16, a1), f32x4.mul(v128.load(far, 16), f1));
    v128.store(y, f32x4.sub(v128.load(y, 16), drop1), 16);
  }
}

/** c = 0.05 a^3 - 0.2 a^2 + 0.5 a of sums that are a by `unit`. */
// @ts-ignore: decorator
@inline
function share(load: usize, unit: v128): v128 {
  const a = f32x4.mul(v128.load(load), unit);
  const square = f32x4.add(f32x4.mul(f32x4.splat(0.05), a), f32x4.splat(-0.2));
  return f32x4.mul(f32x4.add(f32x4.mul(square, a), f32x4.splat(0.5)), a);
}

/** y[m, 8], in rows of n, += z times the root of `constant` + unit * power. */
function addPanel(
  y: usize, z: usize, power: usize, scales: usize, m: i32, n: i32, constant: f32, unit: f32,
): void {
  const c = f32x4.splat(constant), u = f32x4.splat(unit);
  const p0 = f32x4.mul(v128.load(scales), u), p1 = f32x4.mul(v128.load(scales, 16), u);
  const step: usize = <usize>n << 2;
  for (let i = 0; i < m; i++, y += step, z += step, power += 32) {
    const s0 = f32x4.sqrt(f32x4.add(c, f32x4.mul(v128.load(power), p0)));
    v128.store(y, f32x4.add(v128.load(y), f32x4.mul(s0, v128.load(z))));
    const s1 = f32x4.sqrt(f32x4.add(c, f32x4.mul(v128.load(power, 16), p1)));
    v128.store(y, f32x4.add(v128.load(y, 16), f32x4.mul(s1, v128.load(z, 16))), 16);
  }
}

/**
 * Four columns of a panel as integers: |w|, |w| again coarser, and w r, each `size` bytes behind the one before; then the
 * largest |w| of each column.
 */
function packHalf(
  w: usize, r: usize, panel: usize, size: usize, k: i32, fine: f32, coarse: f32,
): void {
  let most = f32x4.splat(<f32>1e-30);
  const end = w + (<usize>k << 5);
  for (let at = w; at < end; at += 32) most = f32x4.pmax(most, f32x4.abs(v128.load(at)));
  v128.store(panel + 3 * size, most);
  const f = f32x4.div(f32x4.splat(fine), most), c = f32x4.div(f32x4.splat(coarse), most);
  const zero = f32x4.splat(0);
  const last = panel + size;
  for (; panel < last; panel += 32, w += 64, r += 8) {
    const a = w < end ? v128.load(w) : zero;
    const b = w + 32 < end ? v128.load(w, 32) : zero;
    const ra = w < end ? v128.load32_splat(r) : zero;
    const rb = w + 32 < end ? v128.load32_splat(r, 4) : zero;
    v128.store(panel + 2 * size, paired(rounded(f32x4.mul(a, ra), f), rounded(f32x4.mul(b, rb), f)));
    const sa = f32x4.abs(a), sb = f32x4.abs(b);
    v128.store(panel, paired(rounded(sa, f), rounded(sb, f)));
    v128.store(panel + size, paired(rounded(sa, c), rounded(sb, c)));
  }
}

/** out[m, 8] := the sums of all vectors; `chunk` pairs are added up as integers. */
function sumPanel(q: usize, panel: usize, out: usize, m: i32, pairs: i32, chunk: i32): void {
  for (let i = 0; i < m; i += 4, q += <usize>pairs << 4, out += 128) {
    for (let first = 0; first < pairs; first += chunk) {
      const count = min<i32>(chunk, pairs - first);
      const from = q + (<usize>first << 4), by = panel + (<usize>first << 5);
      if (i + 4 <= m) {
        four(from, by, count, out, first == 0);
        continue;
      }
      for (let v = 0; v < m - i; v++) {
        one(from + (<usize>v << 2), by, count, out + (<usize>v << 5), first == 0);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function put(out: usize, a: v128, b: v128, isFirst: bool): void {
  let x = f32x4.convert_i32x4_s(a), y = f32x4.convert_i32x4_s(b);
  if (!isFirst) {
    x = f32x4.add(x, v128.load(out));
    y = f32x4.add(y, v128.load(out, 16));
  }
  v128.store(out, x);
  v128.store(out, y, 16);
}

// @ts-ignore: decorator
@inline
function plus(s: v128, a: v128, b: v128): v128 {
  return i32x4.add(s, i32x4.dot_i16x8_s(a, b));
}

/** out[4, 8] := the sums of four vectors, or += them. What is live in the loop just fits into the registers. */
function four(q: usize, w: usize, count: i32, out: usize, isFirst: bool): void {
  let s00 = i32x4.splat(0), s01 = i32x4.splat(0), s10 = i32x4.splat(0), s11 = i32x4.splat(0);
  let s20 = i32x4.splat(0), s21 = i32x4.splat(0), s30 = i32x4.splat(0), s31 = i32x4.splat(0);
  for (const end = q + (<usize>count << 4); q < end; q += 16, w += 32) {
    const w0 = v128.load(w), w1 = v128.load(w, 16);
    const x0 = v128.load32_splat(q);
    s00 = plus(s00, x0, w0);
    s01 = plus(s01, x0, w1);
    const x1 = v128.load32_splat(q, 4);
    s10 = plus(s10, x1, w0);
    s11 = plus(s11, x1, w1);
    const x2 = v128.load32_splat(q, 8);
    s20 = plus(s20, x2, w0);
    s21 = plus(s21, x2, w1);
    const x3 = v128.load32_splat(q, 12);
    s30 = plus(s30, x3, w0);
    s31 = plus(s31, x3, w1);
  }
  put(out, s00, s01, isFirst);
  put(out + 32, s10, s11, isFirst);
  put(out + 64, s20, s21, isFirst);
  put(out + 96, s30, s31, isFirst);
}

function one(q: usize, w: usize, count: i32, out: usize, isFirst: bool): void {
  let s0 = i32x4.splat(0), s1 = i32x4.splat(0);
  for (const end = q + (<usize>count << 4); q < end; q += 16, w += 32) {
    const x = v128.load32_splat(q);
    s0 = plus(s0, x, v128.load(w));
    s1 = plus(s1, x, v128.load(w, 16));
  }
  put(out, s0, s1, isFirst);
}
