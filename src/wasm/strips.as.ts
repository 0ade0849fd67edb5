/** What src/backend/strips.ts calls: rows and columns taken out of stored weights, with their largest magnitudes. */

/** All bits of a number but its sign. */
// @ts-ignore: decorator
@inline
function signless<T>(): T {
  return <T>(sizeof<T>() == 2 ? 0x7fff : 0x7fffffff);
}

// @ts-ignore: decorator
@inline
function magnitudes<T>(v: v128): v128 {
  return v128.and(v, v128.splat<T>(signless<T>()));
}

/**
 * Copies the first `cols` bytes of each of some rows, which lie `width` bytes apart, close together, and raises
 * largest[] to the largest magnitude of each column. Floats without their sign compare as the whole numbers
 * that their bits are; infinity and NaN, in this order, are larger than all.
 */
export function takeWords(
  from: usize, to: usize, largest: usize, rows: i32, cols: usize, width: usize,
): void {
  take<i32>(from, to, largest, rows, cols, width);
}

/** The same for half floats of either kind. */
export function takeHalves(
  from: usize, to: usize, largest: usize, rows: i32, cols: usize, width: usize,
): void {
  take<i16>(from, to, largest, rows, cols, width);
}

function take<T>(
  from: usize, to: usize, largest: usize, rows: i32, cols: usize, width: usize,
): void {
  const whole = cols & ~(<usize>15);
  let left = rows;
  for (; left >= 4; left -= 4, from += width << 2, to += cols << 2) {
    const from2 = from + (width << 1), to2 = to + (cols << 1);
    for (let at: usize = 0; at < whole; at += 16) {
      const v0 = v128.load(from + at), v1 = v128.load(from + width + at);
      const v2 = v128.load(from2 + at), v3 = v128.load(from2 + width + at);
      v128.store(to + at, v0); v128.store(to + cols + at, v1);
      v128.store(to2 + at, v2); v128.store(to2 + cols + at, v3);
      const a = v128.max<T>(magnitudes<T>(v0), magnitudes<T>(v1));
      const b = v128.max<T>(magnitudes<T>(v2), magnitudes<T>(v3));
      v128.store(largest + at, v128.max<T>(v128.load(largest + at), v128.max<T>(a, b)));
    }
    for (let r: usize = 0; r < 4; r++) {
      takeRest<T>(from + r * width, to + r * cols, largest, whole, cols);
    }
  }
  for (; left > 0; left--, from += width, to += cols) takeRest<T>(from, to, largest, 0, cols);
}

/** One row, from a byte of it on. */
function takeRest<T>(
  from: usize, to: usize, largest: usize, at: usize, end: usize,
): void {
  for (; at < end; at += sizeof<T>()) takeOne<T>(from + at, to + at, largest + at);
}

// @ts-ignore: decorator
@inline
function takeOne<T>(from: usize, to: usize, largest: usize): void {
  const v = load<T>(from);
  store<T>(to, v);
  store<T>(largest, max<T>(load<T>(largest), v & signless<T>()));
}

/** Rows that are written between two visits of a column: their cache lines stay in the first cache. */
const TURNED: i32 = 256;

/**
 * The transpose of `cols` lines, `width` bytes apart, of which `rows` words are taken: to[rows, cols]. Raises
 * largest[] as takeWords does.
 */
export function turnWords(
  from: usize, to: usize, largest: usize, rows: i32, cols: i32, width: usize,
): void {
  const step = <usize>cols << 2;
  const sign = i32x4.splat(0x7fffffff);
  for (let top = 0; top < rows; top += TURNED) {
    const end = min(rows, top + TURNED);
    const whole = top + ((end - top) & ~3);
    let j = 0;
    for (; j + 4 <= cols; j += 4) {
      const line = from + <usize>j * width;
      let most = v128.load(largest + (<usize>j << 2));
      for (let i = top; i < whole; i += 4) {
        const at = line + (<usize>i << 2);
        const v0 = v128.load(at), v1 = v128.load(at + width);
        const v2 = v128.load(at + (width << 1)), v3 = v128.load(at + 3 * width);
        const a = v128.shuffle<i32>(v0, v1, 0, 4, 1, 5), b = v128.shuffle<i32>(v2, v3, 0, 4, 1, 5);
        const c = v128.shuffle<i32>(v0, v1, 2, 6, 3, 7), d = v128.shuffle<i32>(v2, v3, 2, 6, 3, 7);
        const r0 = v128.shuffle<i64>(a, b, 0, 2), r1 = v128.shuffle<i64>(a, b, 1, 3);
        const r2 = v128.shuffle<i64>(c, d, 0, 2), r3 = v128.shuffle<i64>(c, d, 1, 3);
        const place = to + <usize>i * step + (<usize>j << 2);
        v128.store(place, r0); v128.store(place + step, r1);
        v128.store(place + (step << 1), r2); v128.store(place + 3 * step, r3);
        const m = i32x4.max_s(v128.and(r0, sign), v128.and(r1, sign));
        const n = i32x4.max_s(v128.and(r2, sign), v128.and(r3, sign));
        most = i32x4.max_s(most, i32x4.max_s(m, n));
      }
      v128.store(largest + (<usize>j << 2), most);
      for (let c = j; c < j + 4; c++) turnRest<i32>(from, to, largest, whole, end, c, cols, width);
    }
    for (; j < cols; j++) turnRest<i32>(from, to, largest, top, end, j, cols, width);
  }
}

/** One column, from a row on. */
function turnRest<T>(
  from: usize, to: usize, largest: usize, row: i32, end: i32, col: i32, cols: i32, width: usize,
): void {
  const own = largest + <usize>col * sizeof<T>();
  for (; row < end; row++) {
    const source = from + <usize>col * width + <usize>row * sizeof<T>();
    takeOne<T>(source, to + (<usize>row * <usize>cols + <usize>col) * sizeof<T>(), own);
  }
}

/** The same for half floats, in squares of eight. */
export function turnHalves(
  from: usize, to: usize, largest: usize, rows: i32, cols: i32, width: usize,
): void {
  for (let top = 0; top < rows; top += TURNED) {
    const end = min(rows, top + TURNED);
    const whole = top + ((end - top) & ~7);
    let j = 0;
    for (; j + 8 <= cols; j += 8) {
      for (let i = top; i < whole; i += 8) {
        turnSquare(from + <usize>j * width + (<usize>i << 1), width,
          to + ((<usize>i * <usize>cols + <usize>j) << 1), <usize>cols << 1, largest + (<usize>j << 1));
      }
      for (let c = j; c < j + 8; c++) turnRest<i16>(from, to, largest, whole, end, c, cols, width);
    }
    for (; j < cols; j++) turnRest<i16>(from, to, largest, top, end, j, cols, width);
  }
}

// @ts-ignore: decorator
@inline
function low16(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @ts-ignore: decorator
@inline
function high16(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** Three rounds of interleaving lines that are four apart put each column into a row. */
function turnSquare(from: usize, width: usize, to: usize, step: usize, largest: usize): void {
  const l0 = v128.load(from), l1 = v128.load(from + width), l2 = v128.load(from + 2 * width);
  const l3 = v128.load(from + 3 * width), l4 = v128.load(from + 4 * width);
  const l5 = v128.load(from + 5 * width), l6 = v128.load(from + 6 * width);
  const l7 = v128.load(from + 7 * width);
  const a0 = low16(l0, l4), a1 = high16(l0, l4), a2 = low16(l1, l5), a3 = high16(l1, l5);
  const a4 = low16(l2, l6), a5 = high16(l2, l6), a6 = low16(l3, l7), a7 = high16(l3, l7);
  const b0 = low16(a0, a4), b1 = high16(a0, a4), b2 = low16(a1, a5), b3 = high16(a1, a5);
  const b4 = low16(a2, a6), b5 = high16(a2, a6), b6 = low16(a3, a7), b7 = high16(a3, a7);
  const c0 = low16(b0, b4), c1 = high16(b0, b4), c2 = low16(b1, b5), c3 = high16(b1, b5);
  const c4 = low16(b2, b6), c5 = high16(b2, b6), c6 = low16(b3, b7), c7 = high16(b3, b7);
  v128.store(to, c0); v128.store(to + step, c1); v128.store(to + 2 * step, c2);
  v128.store(to + 3 * step, c3); v128.store(to + 4 * step, c4); v128.store(to + 5 * step, c5);
  v128.store(to + 6 * step, c6); v128.store(to + 7 * step, c7);
  const sign = i16x8.splat(0x7fff);
  const d0 = i16x8.max_s(v128.and(c0, sign), v128.and(c1, sign));
  const d1 = i16x8.max_s(v128.and(c2, sign), v128.and(c3, sign));
  const d2 = i16x8.max_s(v128.and(c4, sign), v128.and(c5, sign));
  const d3 = i16x8.max_s(v128.and(c6, sign), v128.and(c7, sign));
  const most = i16x8.max_s(i16x8.max_s(d0, d1), i16x8.max_s(d2, d3));
  v128.store(largest, i16x8.max_s(v128.load(largest), most));
}
