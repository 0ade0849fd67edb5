/**
 * The inner loops, in AssemblyScript with SIMD. All pointers are byte addresses in linear memory, all
 * counts are elements. Sums run over k in order with a rounding after every product and every addition,
 * so that no result depends on blocking.
 *
 * Weight panels: a matrix [k, n] is read as n / 8 panels of 8 columns. `bRow` is the distance of two
 * rows of a panel and `bPanel` that of two panels, so that both a plain row-major matrix (n, 8) and
 * packed panels (8, 8 * k) fit.
 */

/** First byte that the caller may use. */
export function heapBase(): usize {
  return __heap_base;
}

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
 * Four sums at once for every row of x[m, k] and column of w[k, n], which the noise of a crossbar
 * depends on; each is a matrix [m, n] at its own address:
 * dot = sum w x, power = sum |w| x^2, load = sum |w| |x|, and far = sum w x r, where r[k] says how far
 * each row is from the converter.
 */
export function crossbarSums(
  x: usize, w: usize, r: usize, dot: usize, power: usize, load: usize, far: usize,
  m: i32, k: i32, n: i32,
): void {
  const bytes: usize = <usize>k << 2;
  for (let j = 0; j < n; j += 8) {
    const panel = w + <usize>j * bytes;
    for (let i = 0; i < m; i++) {
      const at = (<usize>i * <usize>n + <usize>j) << 2;
      sums1x8(x + <usize>i * bytes, panel, r, bytes, dot + at, power + at, load + at, far + at);
    }
  }
}

// @ts-ignore: decorator
@inline
function sums1x8(
  x: usize, panel: usize, r: usize, bytes: usize, dot: usize, power: usize, load: usize, far: usize,
): void {
  let d0 = f32x4.splat(0), d1 = f32x4.splat(0), p0 = f32x4.splat(0), p1 = f32x4.splat(0);
  let l0 = f32x4.splat(0), l1 = f32x4.splat(0), f0 = f32x4.splat(0), f1 = f32x4.splat(0);
  const end = x + bytes;
  for (; x < end; x += 4, r += 4, panel += 32) {
    const xs = v128.load32_splat(x);
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    const y0 = f32x4.mul(xs, w0);
    const y1 = f32x4.mul(xs, w1);
    const xa = f32x4.abs(xs);
    const rs = v128.load32_splat(r);
    d0 = f32x4.add(d0, y0);
    d1 = f32x4.add(d1, y1);
    f0 = f32x4.add(f0, f32x4.mul(y0, rs));
    f1 = f32x4.add(f1, f32x4.mul(y1, rs));
    const m0 = f32x4.abs(y0);
    const m1 = f32x4.abs(y1);
    l0 = f32x4.add(l0, m0);
    l1 = f32x4.add(l1, m1);
    p0 = f32x4.add(p0, f32x4.mul(m0, xa));
    p1 = f32x4.add(p1, f32x4.mul(m1, xa));
  }
  v128.store(dot, d0); v128.store(dot, d1, 16);
  v128.store(power, p0); v128.store(power, p1, 16);
  v128.store(load, l0); v128.store(load, l1, 16);
  v128.store(far, f0); v128.store(far, f1, 16);
}

/** x[count] := step * round(clip(x / range, +-bound) / step), the converter of the inputs. */
export function dac(x: usize, count: i32, range: f32, bound: f32, step: f32): void {
  const a = f32x4.splat(range), s = f32x4.splat(step);
  const hi = f32x4.splat(bound), lo = f32x4.splat(-bound);
  for (const end = x + (<usize>count << 2); x < end; x += 16) {
    const z = f32x4.min(f32x4.max(f32x4.div(v128.load(x), a), lo), hi);
    v128.store(x, f32x4.mul(f32x4.nearest(f32x4.div(z, s)), s));
  }
}

/** y[m, n] := scale[n] * step * round(clip(y, +-bound) / step), the converter of the results. */
export function adc(y: usize, scale: usize, m: i32, n: i32, bound: f32, step: f32): void {
  const hi = f32x4.splat(bound), lo = f32x4.splat(-bound), s = f32x4.splat(step);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j += 4, y += 16) {
      const z = f32x4.min(f32x4.max(v128.load(y), lo), hi);
      const q = f32x4.mul(f32x4.nearest(f32x4.div(z, s)), s);
      v128.store(y, f32x4.mul(q, v128.load(scale + (<usize>j << 2))));
    }
  }
}

/**
 * dot[count] becomes the current that reaches the converter: IR drop is subtracted, and one gaussian z
 * adds both the output noise and the short-term read noise (independent, so their variances add).
 * a = irLoad * load, c = 0.05 a^3 - 0.2 a^2 + 0.5 a, y = dot - irScale c far + z sqrt(out^2 + read^2 power).
 */
export function disturb(
  dot: usize, power: usize, load: usize, far: usize, z: usize, count: i32,
  irLoad: f32, irScale: f32, outNoise: f32, readNoise: f32,
): void {
  const il = f32x4.splat(irLoad), is = f32x4.splat(irScale);
  const vo = f32x4.splat(outNoise * outNoise), vr = f32x4.splat(readNoise * readNoise);
  const c3 = f32x4.splat(0.05), c2 = f32x4.splat(-0.2), c1 = f32x4.splat(0.5);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const a = f32x4.mul(il, v128.load(load + at));
    const c = f32x4.mul(f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(c3, a), c2), a), c1), a);
    const drop = f32x4.mul(f32x4.mul(is, c), v128.load(far + at));
    const sigma = f32x4.sqrt(f32x4.add(vo, f32x4.mul(vr, v128.load(power + at))));
    const y = f32x4.sub(v128.load(dot + at), drop);
    v128.store(dot + at, f32x4.add(y, f32x4.mul(sigma, v128.load(z + at))));
  }
}

// Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
const M0: u32 = 0xd2511f53;
const M1: u32 = 0xcd9e8d57;
const W0: u32 = 0x9e3779b9;
const W1: u32 = 0xbb67ae85;

/**
 * Random words: 16 a group of four counters. Word e of the array is word (e / 4) mod 4 of counter
 * (4 * (e / 16) + e mod 4, c1, c2, c3) under key (k0, k1). `count` is a multiple of 16.
 */
export function words(
  out: usize, count: i32, k0: u32, k1: u32, c1: u32, c2: u32, c3: u32,
): void {
  for (let g = 0; g < count; g += 16, out += 64) {
    philox(out, <u32>(g >> 2), k0, k1, c1, c2, c3);
  }
}

// @ts-ignore: decorator
@inline
function philox(out: usize, first: u32, k0: u32, k1: u32, c1: u32, c2: u32, c3: u32): void {
  let x0 = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
  let x1 = i32x4.splat(c1);
  let x2 = i32x4.splat(c2);
  let x3 = i32x4.splat(c3);
  const m0 = i32x4.splat(M0);
  const m1 = i32x4.splat(M1);
  for (let round = 0; round < 10; round++, k0 += W0, k1 += W1) {
    const a = i64x2.extmul_low_i32x4_u(x0, m0);
    const b = i64x2.extmul_high_i32x4_u(x0, m0);
    const c = i64x2.extmul_low_i32x4_u(x2, m1);
    const d = i64x2.extmul_high_i32x4_u(x2, m1);
    const lo0 = v128.shuffle<i32>(a, b, 0, 2, 4, 6);
    const hi0 = v128.shuffle<i32>(a, b, 1, 3, 5, 7);
    const lo1 = v128.shuffle<i32>(c, d, 0, 2, 4, 6);
    const hi1 = v128.shuffle<i32>(c, d, 1, 3, 5, 7);
    x0 = v128.xor(v128.xor(hi1, x1), i32x4.splat(k0));
    x1 = lo1;
    x2 = v128.xor(v128.xor(hi0, x3), i32x4.splat(k1));
    x3 = lo0;
  }
  v128.store(out, x0);
  v128.store(out, x1, 16);
  v128.store(out, x2, 32);
  v128.store(out, x3, 48);
}

/**
 * Standard gaussians by Box and Muller from the words of the same addresses: words 0 and 1 of a counter
 * give values 0 and 1, words 2 and 3 give values 2 and 3. `count` is a multiple of 16.
 */
export function gaussians(
  out: usize, count: i32, k0: u32, k1: u32, c1: u32, c2: u32, c3: u32,
): void {
  for (let g = 0; g < count; g += 16, out += 64) {
    philox(out, <u32>(g >> 2), k0, k1, c1, c2, c3);
    boxMuller(out);
    boxMuller(out + 32);
  }
}

/** Turns two vectors of words into two vectors of gaussians, in place. */
function boxMuller(at: usize): void {
  // u in (0, 1]: 2^-33 is added so that the logarithm exists; the tail ends at 6.7 sigma.
  const u = f32x4.add(
    f32x4.mul(f32x4.convert_i32x4_u(v128.load(at)), f32x4.splat(<f32>2.3283064365386963e-10)),
    f32x4.splat(<f32>1.1641532182693481e-10),
  );
  const r = f32x4.sqrt(f32x4.max(f32x4.mul(f32x4.splat(-2), ln(u)), f32x4.splat(0)));
  // The angle is pi * v with v in [-1, 1]; q counts its nearest quarter turns.
  const v = f32x4.mul(
    f32x4.convert_i32x4_s(v128.load(at, 16)),
    f32x4.splat(<f32>4.656612873077393e-10),
  );
  const q = f32x4.nearest(f32x4.mul(v, f32x4.splat(2)));
  const t = f32x4.mul(
    f32x4.sub(v, f32x4.mul(q, f32x4.splat(0.5))),
    f32x4.splat(<f32>3.141592653589793),
  );
  const s = sine(t);
  const c = cosine(t);
  const n = i32x4.trunc_sat_f32x4_s(q);
  const odd = i32x4.ne(v128.and(n, i32x4.splat(1)), i32x4.splat(0));
  // Quarter turns 1 and 2 (mod 4) negate the cosine, 2 and 3 the sine: shift that bit to the sign.
  const flipCos = i32x4.shl(v128.and(i32x4.add(n, i32x4.splat(1)), i32x4.splat(2)), 30);
  const flipSin = i32x4.shl(v128.and(n, i32x4.splat(2)), 30);
  const cos = v128.xor(v128.bitselect(s, c, odd), flipCos);
  const sin = v128.xor(v128.bitselect(c, s, odd), flipSin);
  v128.store(at, f32x4.mul(r, cos));
  v128.store(at, f32x4.mul(r, sin), 16);
}

// The polynomials are those of Cephes 2.2, single precision (Moshier 1992).

// @ts-ignore: decorator
@inline
function sine(t: v128): v128 {
  const z = f32x4.mul(t, t);
  let p = f32x4.splat(<f32>-1.9515295891e-4);
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>8.3321608736e-3));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>-1.6666654611e-1));
  return f32x4.add(f32x4.mul(f32x4.mul(p, z), t), t);
}

// @ts-ignore: decorator
@inline
function cosine(t: v128): v128 {
  const z = f32x4.mul(t, t);
  let p = f32x4.splat(<f32>2.443315711809948e-5);
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>-1.388731625493765e-3));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>4.166664568298827e-2));
  const tail = f32x4.sub(f32x4.splat(1), f32x4.mul(z, f32x4.splat(0.5)));
  return f32x4.add(f32x4.mul(f32x4.mul(p, z), z), tail);
}

/** Natural logarithm of positive normal numbers. */
function ln(u: v128): v128 {
  const mantissa = v128.or(v128.and(u, i32x4.splat(0x007fffff)), i32x4.splat(0x3f000000));
  const small = f32x4.lt(mantissa, f32x4.splat(<f32>0.7071067811865476));
  let e = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_u(u, 23), i32x4.splat(126)));
  e = f32x4.sub(e, v128.and(small, f32x4.splat(1)));
  const x = f32x4.sub(f32x4.add(mantissa, v128.and(small, mantissa)), f32x4.splat(1));
  const z = f32x4.mul(x, x);
  let p = f32x4.splat(<f32>7.0376836292e-2);
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(<f32>-1.151461031e-1));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(<f32>1.1676998740e-1));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(<f32>-1.2420140846e-1));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(<f32>1.4249322787e-1));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(<f32>-1.6668057665e-1));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(<f32>2.0000714765e-1));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(<f32>-2.4999993993e-1));
  p = f32x4.add(f32x4.mul(p, x), f32x4.splat(<f32>3.3333331174e-1));
  let y = f32x4.mul(f32x4.mul(x, z), p);
  y = f32x4.add(y, f32x4.mul(e, f32x4.splat(<f32>-2.12194440e-4)));
  y = f32x4.sub(y, f32x4.mul(z, f32x4.splat(0.5)));
  return f32x4.add(f32x4.add(x, y), f32x4.mul(e, f32x4.splat(<f32>0.693359375)));
}

/**
 * Copies the first `cols` bytes of each of some rows, which lie `width` bytes apart, close together, and raises
 * largest[] to the largest magnitude of each column. Floats without their sign compare as the whole numbers
 * that their bits are; infinity and NaN, in this order, are larger than all.
 */
export function takeWords(
  from: usize, to: usize, largest: usize, rows: i32, cols: usize, width: usize,
): void {
  const sign = i32x4.splat(0x7fffffff);
  const whole = cols & ~(<usize>15);
  let left = rows;
  for (; left >= 4; left -= 4, from += width << 2, to += cols << 2) {
    const from2 = from + (width << 1), to2 = to + (cols << 1);
    for (let at: usize = 0; at < whole; at += 16) {
      const v0 = v128.load(from + at), v1 = v128.load(from + width + at);
      const v2 = v128.load(from2 + at), v3 = v128.load(from2 + width + at);
      v128.store(to + at, v0); v128.store(to + cols + at, v1);
      v128.store(to2 + at, v2); v128.store(to2 + cols + at, v3);
      const a = i32x4.max_s(v128.and(v0, sign), v128.and(v1, sign));
      const b = i32x4.max_s(v128.and(v2, sign), v128.and(v3, sign));
      v128.store(largest + at, i32x4.max_s(v128.load(largest + at), i32x4.max_s(a, b)));
    }
    for (let r: usize = 0; r < 4; r++) {
      takeWordsOf(from + r * width, to + r * cols, largest, whole, cols);
    }
  }
  for (; left > 0; left--, from += width, to += cols) takeWordsOf(from, to, largest, 0, cols);
}

function takeWordsOf(from: usize, to: usize, largest: usize, at: usize, end: usize): void {
  for (; at < end; at += 4) {
    const v = load<i32>(from + at);
    store<i32>(to + at, v);
    store<i32>(largest + at, max(load<i32>(largest + at), v & 0x7fffffff));
  }
}

/** The same for half floats of either kind. */
export function takeHalves(
  from: usize, to: usize, largest: usize, rows: i32, cols: usize, width: usize,
): void {
  const sign = i16x8.splat(0x7fff);
  const whole = cols & ~(<usize>15);
  let left = rows;
  for (; left >= 4; left -= 4, from += width << 2, to += cols << 2) {
    const from2 = from + (width << 1), to2 = to + (cols << 1);
    for (let at: usize = 0; at < whole; at += 16) {
      const v0 = v128.load(from + at), v1 = v128.load(from + width + at);
      const v2 = v128.load(from2 + at), v3 = v128.load(from2 + width + at);
      v128.store(to + at, v0); v128.store(to + cols + at, v1);
      v128.store(to2 + at, v2); v128.store(to2 + cols + at, v3);
      const a = i16x8.max_s(v128.and(v0, sign), v128.and(v1, sign));
      const b = i16x8.max_s(v128.and(v2, sign), v128.and(v3, sign));
      v128.store(largest + at, i16x8.max_s(v128.load(largest + at), i16x8.max_s(a, b)));
    }
    for (let r: usize = 0; r < 4; r++) {
      takeHalvesOf(from + r * width, to + r * cols, largest, whole, cols);
    }
  }
  for (; left > 0; left--, from += width, to += cols) takeHalvesOf(from, to, largest, 0, cols);
}

function takeHalvesOf(from: usize, to: usize, largest: usize, at: usize, end: usize): void {
  for (; at < end; at += 2) {
    const v = <i32>load<u16>(from + at);
    store<u16>(to + at, <u16>v);
    store<u16>(largest + at, <u16>max(<i32>load<u16>(largest + at), v & 0x7fff));
  }
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
      for (let c = j; c < j + 4; c++) turnWordsOf(from, to, largest, whole, end, c, cols, width);
    }
    for (; j < cols; j++) turnWordsOf(from, to, largest, top, end, j, cols, width);
  }
}

function turnWordsOf(
  from: usize, to: usize, largest: usize, row: i32, end: i32, col: i32, cols: i32, width: usize,
): void {
  const own = largest + (<usize>col << 2);
  for (; row < end; row++) {
    const v = load<i32>(from + <usize>col * width + (<usize>row << 2));
    store<i32>(to + ((<usize>row * <usize>cols + <usize>col) << 2), v);
    store<i32>(own, max(load<i32>(own), v & 0x7fffffff));
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
      for (let c = j; c < j + 8; c++) turnHalvesOf(from, to, largest, whole, end, c, cols, width);
    }
    for (; j < cols; j++) turnHalvesOf(from, to, largest, top, end, j, cols, width);
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

function turnHalvesOf(
  from: usize, to: usize, largest: usize, row: i32, end: i32, col: i32, cols: i32, width: usize,
): void {
  const own = largest + (<usize>col << 1);
  for (; row < end; row++) {
    const v = <i32>load<u16>(from + <usize>col * width + (<usize>row << 1));
    store<u16>(to + ((<usize>row * <usize>cols + <usize>col) << 1), <u16>v);
    store<u16>(own, <u16>max(<i32>load<u16>(own), v & 0x7fff));
  }
}
