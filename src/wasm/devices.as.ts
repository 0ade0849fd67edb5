/** Devices as they are programmed and as they age; formulas in docs/numerics.md. */

import { exp, ln } from "./math.as";

/** t[count] := ln x, with x taken as at least 1e-7. */
export function logarithms(t: usize, x: usize, count: i32): void {
  const least = f32x4.splat(<f32>1e-7);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(t + at, ln(f32x4.pmax(v128.load(x + at), least)));
  }
}

/**
 * out[count] := a curve of x[count] >= 0, of which t[count] are the logarithms; `count` is a multiple of 16.
 * `pieces` are 16 numbers each: the bound below which the piece holds (+inf for the last), its kind (0 a polynomial
 * in x, 1 a polynomial in ln x, 2 a power), lower and upper clamp, the number of coefficients, and up to 10
 * coefficients; of a power they are 0, its exponent and its factor.
 */
export function curve(
  out: usize, x: usize, t: usize, count: i32, pieces: usize, n: i32,
): void {
  const bytes = <usize>count << 2;
  for (let p = n - 1; p >= 0; p--) {
    const piece = pieces + (<usize>p << 6);
    const kind = load<f32>(piece, 4);
    const isLast = p == n - 1;
    if (kind == 2) {
      const exponent = v128.load32_splat(piece, 24), factor = v128.load32_splat(piece, 28);
      for (let at: usize = 0; at < bytes; at += 16) {
        const power = exp(f32x4.mul(v128.load(t + at), exponent));
        put(out + at, x + at, f32x4.mul(factor, power), piece, isLast);
      }
      continue;
    }
    const from = kind == 0 ? x : t;
    for (let at: usize = 0; at < bytes; at += 64) {
      polynomialOf16(out + at, x + at, from + at, piece, isLast);
    }
  }
}

/** Sixteen numbers at once, so that every coefficient is fetched once for all of them. */
// @ts-ignore: decorator
@inline
function polynomialOf16(out: usize, x: usize, from: usize, piece: usize, isLast: bool): void {
  const t0 = v128.load(from), t1 = v128.load(from, 16);
  const t2 = v128.load(from, 32), t3 = v128.load(from, 48);
  let c = piece + 16 + (<usize><i32>load<f32>(piece, 16) << 2);
  let y0 = v128.load32_splat(c), y1 = y0, y2 = y0, y3 = y0;
  for (c -= 4; c > piece + 16; c -= 4) {
    const k = v128.load32_splat(c);
    y0 = f32x4.add(f32x4.mul(y0, t0), k);
    y1 = f32x4.add(f32x4.mul(y1, t1), k);
    y2 = f32x4.add(f32x4.mul(y2, t2), k);
    y3 = f32x4.add(f32x4.mul(y3, t3), k);
  }
  put(out, x, y0, piece, isLast), put(out + 16, x + 16, y1, piece, isLast);
  put(out + 32, x + 32, y2, piece, isLast), put(out + 48, x + 48, y3, piece, isLast);
}

/** Clamps four values of a piece and keeps those of later pieces where they hold. */
// @ts-ignore: decorator
@inline
function put(out: usize, x: usize, y: v128, piece: usize, isLast: bool): void {
  y = f32x4.pmin(f32x4.pmax(y, v128.load32_splat(piece, 8)), v128.load32_splat(piece, 12));
  if (!isLast) {
    const holds = f32x4.lt(v128.load(x), v128.load32_splat(piece));
    y = v128.bitselect(y, v128.load(out), holds);
  }
  v128.store(out, y);
}

/** x[count] := |w|: what the device that carries the weight is to hold. */
export function magnitude(w: usize, x: usize, count: i32): void {
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(x + at, f32x4.abs(v128.load(w + at)));
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
    v128.store(g + at, f32x4.pmax(f32x4.add(v128.load(x + at), error), low));
  }
}

/**
 * out[count] := own where the device of this sign carries the weight, w sign > 0, and `idle` where the other one
 * of the pair does.
 */
export function ofSide(
  out: usize, w: usize, own: usize, count: i32, sign: f32, idle: f32,
): void {
  const s = f32x4.splat(sign), rest = f32x4.splat(idle), zero = f32x4.splat(0);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const carries = f32x4.gt(f32x4.mul(v128.load(w + at), s), zero);
    v128.store(out + at, v128.bitselect(v128.load(own + at), rest, carries));
  }
}

/** out[count] := g exp(-|mean + deviation z| logTime): drift. */
export function drifted(
  out: usize, g: usize, mean: usize, deviation: usize, z: usize, count: i32, logTime: f32,
): void {
  const t = f32x4.splat(-logTime);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const spread = f32x4.mul(v128.load(deviation + at), v128.load(z + at));
    const nu = f32x4.abs(f32x4.add(v128.load(mean + at), spread));
    v128.store(out + at, f32x4.mul(v128.load(g + at), exp(f32x4.mul(nu, t))));
  }
}

/** out[count] := max(floor, g (1 + q amount z)): the 1/f noise until the time of reading. */
export function flicker(
  out: usize, g: usize, q: usize, z: usize, count: i32, amount: f32, floor: f32,
): void {
  const a = f32x4.splat(amount), one = f32x4.splat(1), low = f32x4.splat(floor);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const error = f32x4.mul(f32x4.mul(v128.load(q + at), a), v128.load(z + at));
    v128.store(out + at, f32x4.pmax(f32x4.mul(v128.load(g + at), f32x4.add(one, error)), low));
  }
}

/** a[count] *= b[count]. */
export function multiply(a: usize, b: usize, count: i32): void {
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(a + at, f32x4.mul(v128.load(a + at), v128.load(b + at)));
  }
}

/** The sum of |x| over x[count], in double precision. */
export function sumOfSizes(x: usize, count: i32): f64 {
  let low = f64x2.splat(0), high = f64x2.splat(0);
  const end = x + (<usize>count << 2), whole = x + (<usize>(count & ~3) << 2);
  for (; x < whole; x += 16) {
    const size = f32x4.abs(v128.load(x));
    low = f64x2.add(low, f64x2.promote_low_f32x4(size));
    high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<i64>(size, size, 1, 0)));
  }
  const both = f64x2.add(low, high);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (; x < end; x += 4) sum += <f64>abs(load<f32>(x));
  return sum;
}

/** to[rows, cols] := clip(from / gamma, +-1), with gamma[cols] of the columns. */
export function normalise(from: usize, gamma: usize, to: usize, rows: i32, cols: i32): void {
  const one = f32x4.splat(1), minus = f32x4.splat(-1);
  const line = <usize>cols << 2, whole = line & ~15;
  for (let i = 0; i < rows; i++, from += line, to += line) {
    let at: usize = 0;
    for (; at < whole; at += 16) {
      const w = f32x4.div(v128.load(from + at), v128.load(gamma + at));
      v128.store(to + at, f32x4.pmin(f32x4.pmax(w, minus), one));
    }
    for (; at < line; at += 4) {
      const w = load<f32>(from + at) / load<f32>(gamma + at);
      store<f32>(to + at, min<f32>(max<f32>(w, -1), 1));
    }
  }
}

/** x[count] := 0. */
export function clear(x: usize, count: i32): void {
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) v128.store(x + at, i32x4.splat(0));
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
