/** Devices as they are programmed and as they age; formulas in docs/numerics.md. */

import { exp, ln } from "./math.as";

/**
 * out[count] := a curve of x[count] >= 0. `pieces` are 16 numbers each: the bound below which the piece
 * holds (+inf for the last), its kind (0 a polynomial in x, 1 a polynomial in ln x, 2 a power), lower
 * and upper clamp, the number of coefficients, and up to 10 coefficients; of a power c0 x^c1. In logarithms
 * x is at least 1e-7.
 */
export function curve(out: usize, x: usize, count: i32, pieces: usize, n: i32): void {
  const bytes = <usize>count << 2;
  for (let p = n - 1; p >= 0; p--) {
    const piece = pieces + (<usize>p << 6);
    const below = f32x4.splat(load<f32>(piece));
    const kind = <i32>load<f32>(piece, 4);
    const low = f32x4.splat(load<f32>(piece, 8)), high = f32x4.splat(load<f32>(piece, 12));
    const terms = <i32>load<f32>(piece, 16);
    for (let at: usize = 0; at < bytes; at += 16) {
      const v = v128.load(x + at);
      let t = v;
      if (kind != 0) t = ln(f32x4.max(v, f32x4.splat(<f32>1e-7)));
      let y: v128;
      if (kind == 2) {
        const power = exp(f32x4.mul(t, f32x4.splat(load<f32>(piece, 24))));
        y = f32x4.mul(f32x4.splat(load<f32>(piece, 20)), power);
      } else {
        let c = piece + 16 + (<usize>terms << 2);
        y = f32x4.splat(load<f32>(c));
        for (c -= 4; c > piece + 16; c -= 4) {
          y = f32x4.add(f32x4.mul(y, t), f32x4.splat(load<f32>(c)));
        }
      }
      y = f32x4.min(f32x4.max(y, low), high);
      if (p < n - 1) y = v128.bitselect(y, v128.load(out + at), f32x4.lt(v, below));
      v128.store(out + at, y);
    }
  }
}

/** x[count] := |w|: what an unpaired device is to hold, up to its sign. */
export function magnitude(w: usize, x: usize, count: i32): void {
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(x + at, f32x4.abs(v128.load(w + at)));
  }
}

/** x[count] := max(0, sign w): what one device of a pair is to hold. */
export function target(w: usize, x: usize, count: i32, sign: f32): void {
  const s = f32x4.splat(sign), zero = f32x4.splat(0);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(x + at, f32x4.max(zero, f32x4.mul(s, v128.load(w + at))));
  }
}

/** g[count] := max(floor, x + sigma scale z). */
export function programmed(
  g: usize, x: usize, sigma: usize, z: usize, count: i32, scale: f32, floor: f32,
): void {
  const s = f32x4.splat(scale), low = f32x4.splat(floor);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const error = f32x4.mul(f32x4.mul(v128.load(sigma + at), s), v128.load(z + at));
    v128.store(g + at, f32x4.max(low, f32x4.add(v128.load(x + at), error)));
  }
}

/** g[count] *= exp(-|mean + deviation z| logTime): drift. */
export function drifted(
  g: usize, mean: usize, deviation: usize, z: usize, count: i32, logTime: f32,
): void {
  const t = f32x4.splat(-logTime);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const spread = f32x4.mul(v128.load(deviation + at), v128.load(z + at));
    const nu = f32x4.abs(f32x4.add(v128.load(mean + at), spread));
    v128.store(g + at, f32x4.mul(v128.load(g + at), exp(f32x4.mul(nu, t))));
  }
}

/** g[count] := max(floor, g (1 + q amount z)): the 1/f noise until the time of reading. */
export function flicker(
  g: usize, q: usize, z: usize, count: i32, amount: f32, floor: f32,
): void {
  const a = f32x4.splat(amount), one = f32x4.splat(1), zero = f32x4.splat(floor);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const error = f32x4.mul(f32x4.mul(v128.load(q + at), a), v128.load(z + at));
    v128.store(g + at, f32x4.max(zero, f32x4.mul(v128.load(g + at), f32x4.add(one, error))));
  }
}

/** sum[count] += scale g, with the sign of w. */
export function accumulateSigned(sum: usize, g: usize, w: usize, count: i32, scale: f32): void {
  const s = f32x4.splat(scale), sign = i32x4.splat(0x80000000);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const held = v128.xor(v128.load(g + at), v128.and(v128.load(w + at), sign));
    v128.store(sum + at, f32x4.add(v128.load(sum + at), f32x4.mul(s, held)));
  }
}

/** sum[count] += scale g[count]. */
export function accumulate(sum: usize, g: usize, count: i32, scale: f32): void {
  const s = f32x4.splat(scale);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(sum + at, f32x4.add(v128.load(sum + at), f32x4.mul(s, v128.load(g + at))));
  }
}

/**
 * One more round of write and verify: z[count] becomes other[count] wherever the device is further than
 * `margin` from its target, |sigma z| > margin. Gives how many still are.
 */
export function verify(z: usize, other: usize, sigma: usize, count: i32, margin: f32): i32 {
  const m = f32x4.splat(margin);
  const bytes = <usize>count << 2;
  let outside = 0;
  for (let at: usize = 0; at < bytes; at += 16) {
    const s = v128.load(sigma + at);
    const old = v128.load(z + at);
    const missed = f32x4.gt(f32x4.abs(f32x4.mul(s, old)), m);
    const now = v128.bitselect(v128.load(other + at), old, missed);
    v128.store(z + at, now);
    outside += popcnt(i32x4.bitmask(f32x4.gt(f32x4.abs(f32x4.mul(s, now)), m)));
  }
  return outside;
}

/** g[count] := 0 for a share `off` of the words u[count], 1 for a share `on`: devices that are stuck. */
export function stuck(g: usize, u: usize, count: i32, off: f32, on: f32): void {
  const o = f32x4.splat(off), either = f32x4.splat(off + on), one = f32x4.splat(1);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const v = f32x4.mul(
      f32x4.convert_i32x4_u(v128.load(u + at)),
      f32x4.splat(<f32>2.3283064365386963e-10),
    );
    const held = v128.bitselect(one, v128.load(g + at), f32x4.lt(v, either));
    v128.store(g + at, v128.andnot(held, f32x4.lt(v, o)));
  }
}

/** x[count] and sigma[count] := 0 where |x| < below. */
export function deadZone(x: usize, sigma: usize, count: i32, below: f32): void {
  const b = f32x4.splat(below);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const v = v128.load(x + at);
    const idle = f32x4.lt(f32x4.abs(v), b);
    v128.store(x + at, v128.andnot(v, idle));
    v128.store(sigma + at, v128.andnot(v128.load(sigma + at), idle));
  }
}

/** g[count] := 0 where w has the other sign: the device of a pair that takes no part. Zero is positive. */
export function idle(g: usize, w: usize, count: i32, sign: f32): void {
  const negative = sign < 0;
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const below = f32x4.lt(v128.load(w + at), f32x4.splat(0));
    const off = negative ? v128.not(below) : below;
    v128.store(g + at, v128.andnot(v128.load(g + at), off));
  }
}
