/**
 * Matrix products. Sums run over k in order with a rounding after every product and every addition, so
 * that no result depends on blocking.
 *
 * Weight panels: a matrix [k, n] is read as n / 8 panels of 8 columns. `bRow` is the distance of two
 * rows of a panel and `bPanel` that of two panels, so that both a plain row-major matrix (n, 8) and
 * packed panels (8, 8 * k) fit.
 */

/** out[m, n] = a[m, k] · b[k, n]; n is a multiple of 8; out is row-major. */
export function matmul(
  a: usize, b: usize, out: usize, m: i32, k: i32, n: i32, bRow: i32, bPanel: i32,
): void {
  const aStep: usize = <usize>k << 2;
  const outStep: usize = <usize>n << 2;
  const bStep: usize = <usize>bRow << 2;
  for (let j = 0; j < n; j += 8) {
    const panel = b + ((<usize>(j >> 3) * <usize>bPanel) << 2);
    const to = out + (<usize>j << 2);
    let i = 0;
    for (; i + 4 <= m; i += 4) {
      block4x8(a + <usize>i * aStep, aStep, panel, bStep, k, to + <usize>i * outStep, outStep);
    }
    for (; i < m; i++) {
      block1x8(a + <usize>i * aStep, panel, bStep, k, to + <usize>i * outStep);
    }
  }
}

// @ts-ignore: decorator
@inline
function block4x8(
  a0: usize, aStep: usize, panel: usize, bStep: usize, k: i32, out: usize, outStep: usize,
): void {
  let s00 = f32x4.splat(0), s01 = f32x4.splat(0), s10 = f32x4.splat(0), s11 = f32x4.splat(0);
  let s20 = f32x4.splat(0), s21 = f32x4.splat(0), s30 = f32x4.splat(0), s31 = f32x4.splat(0);
  const end = a0 + (<usize>k << 2);
  const a1 = aStep, a2 = aStep * 2, a3 = aStep * 3;
  for (; a0 < end; a0 += 4, panel += bStep) {
    const b0 = v128.load(panel);
    const b1 = v128.load(panel, 16);
    const x0 = v128.load32_splat(a0);
    s00 = f32x4.add(s00, f32x4.mul(x0, b0));
    s01 = f32x4.add(s01, f32x4.mul(x0, b1));
    const x1 = v128.load32_splat(a0 + a1);
    s10 = f32x4.add(s10, f32x4.mul(x1, b0));
    s11 = f32x4.add(s11, f32x4.mul(x1, b1));
    const x2 = v128.load32_splat(a0 + a2);
    s20 = f32x4.add(s20, f32x4.mul(x2, b0));
    s21 = f32x4.add(s21, f32x4.mul(x2, b1));
    const x3 = v128.load32_splat(a0 + a3);
    s30 = f32x4.add(s30, f32x4.mul(x3, b0));
    s31 = f32x4.add(s31, f32x4.mul(x3, b1));
  }
  v128.store(out, s00); v128.store(out, s01, 16);
  out += outStep;
  v128.store(out, s10); v128.store(out, s11, 16);
  out += outStep;
  v128.store(out, s20); v128.store(out, s21, 16);
  out += outStep;
  v128.store(out, s30); v128.store(out, s31, 16);
}

// @ts-ignore: decorator
@inline
function block1x8(a: usize, panel: usize, bStep: usize, k: i32, out: usize): void {
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0);
  for (const end = a + (<usize>k << 2); a < end; a += 4, panel += bStep) {
    const x = v128.load32_splat(a);
    s0 = f32x4.add(s0, f32x4.mul(x, v128.load(panel)));
    s1 = f32x4.add(s1, f32x4.mul(x, v128.load(panel, 16)));
  }
  v128.store(out, s0); v128.store(out, s1, 16);
}

/**
 * Three more sums for every row of x[m, k] and column of packed panels w[k, n], on which the noise of a
 * crossbar depends; each is a matrix [m, n] at its own address, 0 where it is not wanted:
 * load = sum |w| |x|, power = sum |w| x^2, and far = sum w x r, where r[k] says how far each row is from
 * the converter. `size` and `square` have room for m * k, `panel` for 8 * k.
 */
export function crossbarSums(
  x: usize, w: usize, r: usize, load: usize, power: usize, far: usize,
  size: usize, square: usize, panel: usize, m: i32, k: i32, n: i32,
): void {
  const bytes = (<usize>m * <usize>k) << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const v = v128.load(x + at);
    v128.store(size + at, f32x4.abs(v));
    v128.store(square + at, f32x4.mul(v, v));
  }
  const step: usize = <usize>k << 5;
  for (let j = 0; j < n; j += 8, w += step) {
    const to = <usize>j << 2;
    if (load != 0 || power != 0) {
      for (let at: usize = 0; at < step; at += 16) {
        v128.store(panel + at, f32x4.abs(v128.load(w + at)));
      }
      if (load != 0) onePanel(size, panel, load + to, m, k, n);
      if (power != 0) onePanel(square, panel, power + to, m, k, n);
    }
    if (far == 0) continue;
    for (let at: usize = 0; at < step; at += 32) {
      const distance = v128.load32_splat(r + (at >> 3));
      v128.store(panel + at, f32x4.mul(v128.load(w + at), distance));
      v128.store(panel + at, f32x4.mul(v128.load(w + at, 16), distance), 16);
    }
    onePanel(x, panel, far + to, m, k, n);
  }
}

/** Eight columns of the result, of a row-major [m, n] that begins at `out`. */
function onePanel(a: usize, panel: usize, out: usize, m: i32, k: i32, n: i32): void {
  const aStep: usize = <usize>k << 2;
  const outStep: usize = <usize>n << 2;
  let i = 0;
  for (; i + 4 <= m; i += 4) {
    block4x8(a + <usize>i * aStep, aStep, panel, 32, k, out + <usize>i * outStep, outStep);
  }
  for (; i < m; i++) block1x8(a + <usize>i * aStep, panel, 32, k, out + <usize>i * outStep);
}

/**
 * Rows `first` to `first + count` of a matrix b[k, n], row-major at `from`, into packed panels at `to`; what lies
 * behind the last column stays as it is.
 */
export function pack(from: usize, to: usize, first: i32, count: i32, k: i32, n: i32): void {
  const step: usize = <usize>k << 5, line = <usize>n << 2;
  const whole = n & ~7;
  to += <usize>first << 5;
  // Panels are often a power of two apart, so that lines of the cache for few of them fit: one after the other.
  for (let j = 0; j < n; j += 8, from += 32, to += step) {
    let row = from;
    for (let panel = to, end = to + (<usize>count << 5); panel < end; panel += 32, row += line) {
      if (j < whole) {
        v128.store(panel, v128.load(row));
        v128.store(panel, v128.load(row, 16), 16);
      } else {
        for (let c: usize = 0; c < <usize>(n - whole) << 2; c += 4) {
          store<f32>(panel + c, load<f32>(row + c));
        }
      }
    }
  }
}
