/** Random numbers by address. */

import { cosine, ln, sine } from "./math.as";

// Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
const M0: u32 = 0xd2511f53;
const M1: u32 = 0xcd9e8d57;
const W0: u32 = 0x9e3779b9;
const W1: u32 = 0xbb67ae85;

/**
 * Random words: 16 a group of four counters. Word e of the array is word (e / 4) mod 4 of counter
 * (4 * (e / 16) + e mod 4, c1, c2, c3) under key (k0, k1). `count` is a multiple of 16,
 * and so is `first`, the number of the first element.
 */
export function words(
  out: usize, first: i32, count: i32, k0: u32, k1: u32, c1: u32, c2: u32, c3: u32,
): void {
  for (let g = first; g < first + count; g += 16, out += 64) {
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
 * give values 0 and 1, words 2 and 3 give values 2 and 3. `first` and `count` are multiples of 16.
 */
export function gaussians(
  out: usize, first: i32, count: i32, k0: u32, k1: u32, c1: u32, c2: u32, c3: u32,
): void {
  for (let g = first; g < first + count; g += 16, out += 64) {
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
