/**
 * Products of levels in 16-bit integers: the inputs are those of a converter, at most 181 of either sign, so that they and their
 * squares are exact; weights are rounded to a share of the largest of their column (docs/numerics.md, "Products"). One
 * instruction multiplies and adds eight pairs where floats take four.
 *
 * Inputs lie in groups of 4 vectors, weights in panels of 8 columns; both by pairs of rows, since that is what the instruction
 * adds up: a group is [pairs][4 vectors][2 rows] and a panel [pairs][8 columns][2 rows]. There is an even number of pairs; rows
 * and vectors that are missing are 0. Sums of whole groups come out, in floats: [vectors][8 columns].
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

/** Pairs of rows whose products are added up as integers, and those whose squares are. */
const RUN: i32 = 256;
const SQUARES: i32 = 32;

/** Pairs of rows whose distances count as one. */
const NEAR: i32 = 4;

/**
 * y[m, n] := the products of packed panels w[k, n] with the inputs of `levels` at q, less the IR drop, and with z times the deviation
 * of output and read noise, as irDrop and addNoise have them. The largest level is `most`. Without `scale` there is no drop, and
 * without z no noise. There is room for 8 sums of every vector, and of up to 3 more, at `main`, `load`, `power` and `far`, and for
 * 13 * (k + 4) words at `panel`.
 */
export function levelProduct(
  q: usize, w: usize, r: usize, y: usize, z: usize, main: usize, load: usize, power: usize,
  far: usize, panel: usize, m: i32, k: i32, n: i32, most: i32, step: f32,
  irLoad: f32, scale: f32, output: f32, read: f32,
): void {
  const pairs = pairsOf(k);
  const area: usize = (<usize>((m + 3) >> 2) * <usize>pairs) << 4;
  const size: usize = <usize>pairs << 5;
  const largest = panel + 3 * size, d = largest + 32;
  distances(r, d, k);
  // What integers may reach without overflow, shared by all that are added up.
  const fine = min<i32>(32767, i32.MAX_VALUE / (most * 2 * min<i32>(RUN, pairs)));
  const coarse = min<i32>(32767, i32.MAX_VALUE / (most * most * 2 * min<i32>(SQUARES, pairs)));
  const unit = step / <f32>fine, perPower = read * read * step * step / <f32>coarse;
  const constant = f32x4.splat(output * output), row: usize = <usize>n << 2;
  for (let j = 0; j < n; j += 8, w += <usize>k << 5, y += 32) {
    packHalf(w, panel, size, k, <f32>fine, <f32>coarse);
    packHalf(w + 16, panel + 16, size, k, <f32>fine, <f32>coarse);
    if (scale > 0) {
      farPanel(q, panel, d, main, far, m, pairs);
      sumPanel(q + area, panel + size, load, m, pairs, RUN);
    } else sumPanel(q, panel, main, m, pairs, RUN);
    if (z != 0) sumPanel(q + 2 * area, panel + 2 * size, power, m, pairs, SQUARES);
    for (let at: usize = 0; at < 32; at += 16) {
      const own = v128.load(largest + at);
      const sums = f32x4.mul(own, f32x4.splat(unit));
      const loads = f32x4.mul(own, f32x4.splat(irLoad * unit));
      const powers = f32x4.mul(own, f32x4.splat(perPower));
      let from = at, to = y + at, noise = z + at;
      for (let i = 0; i < m; i++, from += 32, to += row, noise += row) {
        let v = f32x4.mul(v128.load(main + from), sums);
        if (scale > 0) {
          const farther = f32x4.mul(v128.load(far + from), f32x4.mul(sums, f32x4.splat(scale)));
          v = f32x4.sub(v, f32x4.mul(share(v128.load(load + from), loads), farther));
        }
        if (z != 0) {
          const variance = f32x4.add(constant, f32x4.mul(v128.load(power + from), powers));
          v = f32x4.add(v, f32x4.mul(f32x4.sqrt(variance), v128.load(noise)));
        }
        v128.store(to, v);
      }
    }
    if (z != 0) z += 32;
  }
}

/**
 * What `farPanel` weighs its sums by, from the distances r[k] of the rows: the mean of those that count as one less that of the next,
 * so that over a run sum d s of the sums s so far is the sum of w x mean(r).
 */
function distances(r: usize, d: usize, k: i32): void {
  let before: f32 = 0;
  for (let first = 0; first < k; first += 2 * NEAR, d += 4) {
    const count = min(2 * NEAR, k - first);
    let sum: f32 = 0;
    for (const end = r + (<usize>count << 2); r < end; r += 4) sum += load<f32>(r);
    const mean = sum / <f32>count;
    if (first > 0) store<f32>(d - 4, first % (2 * RUN) == 0 ? before : before - mean);
    before = mean;
  }
  store<f32>(d - 4, before);
}

/** c = 0.05 a^3 - 0.2 a^2 + 0.5 a of sums that are a by `unit`. */
// @ts-ignore: decorator
@inline
function share(load: v128, unit: v128): v128 {
  const a = f32x4.mul(load, unit);
  const square = f32x4.add(f32x4.mul(f32x4.splat(0.05), a), f32x4.splat(-0.2));
  return f32x4.mul(f32x4.add(f32x4.mul(square, a), f32x4.splat(0.5)), a);
}

/**
 * Four columns of a panel as integers: w, |w|, and |w| coarser, each `size` bytes behind the one before; then the largest |w| of
 * each column.
 */
function packHalf(w: usize, panel: usize, size: usize, k: i32, fine: f32, coarse: f32): void {
  let most = f32x4.splat(<f32>1e-30);
  const end = w + (<usize>k << 5);
  for (let at = w; at < end; at += 32) most = f32x4.pmax(most, f32x4.abs(v128.load(at)));
  v128.store(panel + 3 * size, most);
  const f = f32x4.div(f32x4.splat(fine), most), c = f32x4.div(f32x4.splat(coarse), most);
  const zero = f32x4.splat(0);
  for (const last = panel + size; panel < last; panel += 32, w += 64) {
    const a = w < end ? v128.load(w) : zero;
    const b = w + 32 < end ? v128.load(w, 32) : zero;
    const both = paired(rounded(a, f), rounded(b, f));
    v128.store(panel, both);
    v128.store(panel + size, i16x8.abs(both));
    v128.store(panel + 2 * size, paired(rounded(f32x4.abs(a), c), rounded(f32x4.abs(b), c)));
  }
}

// @ts-ignore: decorator
@inline
function plus(s: v128, a: v128, b: v128): v128 {
  return i32x4.add(s, i32x4.dot_i16x8_s(a, b));
}

// @ts-ignore: decorator
@inline
function empty(out: usize): void {
  for (let at: usize = 0; at < 128; at += 16) v128.store(out + at, f32x4.splat(0));
}

/**
 * out[m, 8] := the sums of all vectors; `run` pairs are added up as integers. Of four vectors and eight columns, what is live in the
 * inner loop just fits into the registers.
 */
function sumPanel(q: usize, panel: usize, out: usize, m: i32, pairs: i32, run: i32): void {
  for (let i = 0; i < m; i += 4, out += 128) {
    empty(out);
    let w = panel;
    for (const last = q + (<usize>pairs << 4); q < last; ) {
      let s00 = i32x4.splat(0), s01 = i32x4.splat(0), s10 = i32x4.splat(0), s11 = i32x4.splat(0);
      let s20 = i32x4.splat(0), s21 = i32x4.splat(0), s30 = i32x4.splat(0), s31 = i32x4.splat(0);
      for (const end = min<usize>(last, q + (<usize>run << 4)); q < end; q += 16, w += 32) {
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
      grow(out, s00, s01);
      grow(out + 32, s10, s11);
      grow(out + 64, s20, s21);
      grow(out + 96, s30, s31);
    }
  }
}

/** out[8] += a and b. */
// @ts-ignore: decorator
@inline
function grow(out: usize, a: v128, b: v128): void {
  v128.store(out, f32x4.add(v128.load(out), f32x4.convert_i32x4_s(a)));
  v128.store(out, f32x4.add(v128.load(out, 16), f32x4.convert_i32x4_s(b)), 16);
}

/** The same sums, and far[m, 8] := what the weighed sums on the way add up to. */
function farPanel(
  q: usize, panel: usize, distance: usize, out: usize, far: usize, m: i32, pairs: i32,
): void {
  for (let i = 0; i < m; i += 4, out += 128, far += 128) {
    empty(out);
    empty(far);
    let w = panel, d = distance;
    for (const last = q + (<usize>pairs << 4); q < last; ) {
      let s00 = i32x4.splat(0), s01 = i32x4.splat(0), s10 = i32x4.splat(0), s11 = i32x4.splat(0);
      let s20 = i32x4.splat(0), s21 = i32x4.splat(0), s30 = i32x4.splat(0), s31 = i32x4.splat(0);
      for (const rest = min<usize>(last, q + (RUN << 4)); q < rest; d += 4) {
        for (const end = min<usize>(rest, q + (NEAR << 4)); q < end; q += 16, w += 32) {
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
        const by = v128.load32_splat(d);
        weigh(far, s00, s01, by);
        weigh(far + 32, s10, s11, by);
        weigh(far + 64, s20, s21, by);
        weigh(far + 96, s30, s31, by);
      }
      grow(out, s00, s01);
      grow(out + 32, s10, s11);
      grow(out + 64, s20, s21);
      grow(out + 96, s30, s31);
    }
  }
}

/** far[8] += a and b times `by`. */
// @ts-ignore: decorator
@inline
function weigh(far: usize, a: v128, b: v128, by: v128): void {
  v128.store(far, f32x4.add(v128.load(far), f32x4.mul(f32x4.convert_i32x4_s(a), by)));
  v128.store(far, f32x4.add(v128.load(far, 16), f32x4.mul(f32x4.convert_i32x4_s(b), by)), 16);
}
