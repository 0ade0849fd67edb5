/** What happens to a vector on its way into and out of a crossbar, in normalised units. */

/** alpha[m] := the largest |x| of each row of x[m, k], 1 where all are 0. */
export function ranges(x: usize, alpha: usize, m: i32, k: i32): void {
  for (let i = 0; i < m; i++) {
    let largest: f32 = 0;
    for (const end = x + (<usize>k << 2); x < end; x += 4) {
      largest = max<f32>(largest, abs<f32>(load<f32>(x)));
    }
    store<f32>(alpha + (<usize>i << 2), largest > 0 ? largest : 1);
  }
}

/** out[m, k] := step * round(clip(x / alpha[m], +-bound) / step), the converter of the inputs. */
export function dac(
  x: usize, out: usize, alpha: usize, m: i32, k: i32, bound: f32, step: f32,
): void {
  const s = f32x4.splat(step), hi = f32x4.splat(bound), lo = f32x4.splat(-bound);
  for (let i = 0; i < m; i++) {
    const range = load<f32>(alpha + (<usize>i << 2));
    const a = f32x4.splat(range);
    let j = 0;
    for (; j + 4 <= k; j += 4, x += 16, out += 16) {
      const z = f32x4.pmin(f32x4.pmax(f32x4.div(v128.load(x), a), lo), hi);
      v128.store(out, f32x4.mul(f32x4.nearest(f32x4.div(z, s)), s));
    }
    for (; j < k; j++, x += 4, out += 4) {
      const z = min<f32>(max<f32>(load<f32>(x) / range, -bound), bound);
      store<f32>(out, nearest<f32>(z / step) * step);
    }
  }
}

/** dot[count] -= scale c far with a = irLoad load and c = 0.05 a^3 - 0.2 a^2 + 0.5 a: the IR drop. */
export function irDrop(
  dot: usize, load: usize, far: usize, count: i32, irLoad: f32, scale: f32,
): void {
  const il = f32x4.splat(irLoad), is = f32x4.splat(scale);
  const c3 = f32x4.splat(0.05), c2 = f32x4.splat(-0.2), c1 = f32x4.splat(0.5);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const a = f32x4.mul(il, v128.load(load + at));
    const c = f32x4.mul(f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(c3, a), c2), a), c1), a);
    const drop = f32x4.mul(f32x4.mul(is, c), v128.load(far + at));
    v128.store(dot + at, f32x4.sub(v128.load(dot + at), drop));
  }
}

/**
 * dot[count] += z sqrt(output^2 + read^2 power): one gaussian for the output noise and the short-term
 * read noise, which are independent, so that their variances add.
 */
export function addNoise(
  dot: usize, power: usize, z: usize, count: i32, output: f32, read: f32,
): void {
  const vo = f32x4.splat(output * output), vr = f32x4.splat(read * read);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const sigma = f32x4.sqrt(f32x4.add(vo, f32x4.mul(vr, v128.load(power + at))));
    v128.store(dot + at, f32x4.add(v128.load(dot + at), f32x4.mul(sigma, v128.load(z + at))));
  }
}

/** y[count] += sigma z. */
export function addScaled(y: usize, z: usize, count: i32, sigma: f32): void {
  const s = f32x4.splat(sigma);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(y + at, f32x4.add(v128.load(y + at), f32x4.mul(s, v128.load(z + at))));
  }
}

/** y[m, n] := y / (1 + zeta[n] |y|), the S-shaped transfer of each column. */
export function sShape(y: usize, zeta: usize, m: i32, n: i32): void {
  const one = f32x4.splat(1);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j += 4, y += 16) {
      const v = v128.load(y);
      const curve = f32x4.mul(v128.load(zeta + (<usize>j << 2)), f32x4.abs(v));
      v128.store(y, f32x4.div(v, f32x4.add(one, curve)));
    }
  }
}

/**
 * plus[count], minus[count] := max(0, (load +- dot) / 2): the positive and the negative current. `plus` may be
 * `dot` itself.
 */
export function split(dot: usize, load: usize, plus: usize, minus: usize, count: i32): void {
  const half = f32x4.splat(0.5), zero = f32x4.splat(0);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const d = v128.load(dot + at);
    const l = v128.load(load + at);
    v128.store(plus + at, f32x4.pmax(f32x4.mul(half, f32x4.add(l, d)), zero));
    v128.store(minus + at, f32x4.pmax(f32x4.mul(half, f32x4.sub(l, d)), zero));
  }
}

/** y[count] := step * round(clip(y, low..high) / step), a converter of results. */
export function adc(y: usize, count: i32, low: f32, high: f32, step: f32): void {
  const hi = f32x4.splat(high), lo = f32x4.splat(low), s = f32x4.splat(step);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const z = f32x4.pmin(f32x4.pmax(v128.load(y + at), lo), hi);
    v128.store(y + at, f32x4.mul(f32x4.nearest(f32x4.div(z, s)), s));
  }
}

/** a[count] -= b[count]. */
export function subtract(a: usize, b: usize, count: i32): void {
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(a + at, f32x4.sub(v128.load(a + at), v128.load(b + at)));
  }
}

/** y[m, n] *= scale[n] alpha[m], the digital affine stage. */
export function affine(y: usize, scale: usize, alpha: usize, m: i32, n: i32): void {
  for (let i = 0; i < m; i++) {
    const a = v128.load32_splat(alpha + (<usize>i << 2));
    for (let j = 0; j < n; j += 4, y += 16) {
      const both = f32x4.mul(v128.load(scale + (<usize>j << 2)), a);
      v128.store(y, f32x4.mul(v128.load(y), both));
    }
  }
}

/** How many of y[count] lie outside low..high. */
export function clipped(y: usize, count: i32, low: f32, high: f32): i32 {
  let found = 0;
  for (const end = y + (<usize>count << 2); y < end; y += 4) {
    const v = load<f32>(y);
    if (v < low || v > high) found++;
  }
  return found;
}
