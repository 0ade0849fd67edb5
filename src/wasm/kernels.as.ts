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
