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
  // Only the first word of the counters differs, so that half of two rounds is the same for all of them.
  const p = <u64>M1 * <u64>c2;
  const once0 = <u32>(p >> 32) ^ c1 ^ k0;
  const once1 = i32x4.splat(<u32>p);
  const q = <u64>M0 * <u64>once0;
  const keep2 = i32x4.splat(<u32>(q >> 32) ^ (k1 + W1));
  const keep3 = i32x4.splat(<u32>q);
  const before2 = i32x4.splat(c3 ^ k1);
  const before0 = v128.xor(once1, i32x4.splat(k0 + W0));
  const m0 = i32x4.splat(M0), m1 = i32x4.splat(M1);
  const w0 = i32x4.splat(W0), w1 = i32x4.splat(W1);
  const third0 = i32x4.splat(k0 + 2 * W0), third1 = i32x4.splat(k1 + 2 * W1);
  let counters = i32x4.add(i32x4.splat(first >> 2), i32x4(0, 1, 2, 3));
  // Two groups at once: the processor multiplies for one while it waits for the other.
  for (const end = out + (<usize>count << 2); out < end; out += 128) {
    let x2 = v128.xor(high(counters, m0), before2);
    let x0 = v128.xor(high(x2, m1), before0);
    let x1 = i32x4.mul(x2, m1);
    x2 = v128.xor(i32x4.mul(counters, m0), keep2);
    let x3 = keep3;
    const later = i32x4.add(counters, i32x4.splat(4));
    let y2 = v128.xor(high(later, m0), before2);
    let y0 = v128.xor(high(y2, m1), before0);
    let y1 = i32x4.mul(y2, m1);
    y2 = v128.xor(i32x4.mul(later, m0), keep2);
    let y3 = keep3;
    let key0 = third0, key1 = third1;
    for (let round = 2; round < 10; round++) {
      const a = i64x2.extmul_low_i32x4_u(x0, m0), b = i64x2.extmul_high_i32x4_u(x0, m0);
      const c = i64x2.extmul_low_i32x4_u(x2, m1), d = i64x2.extmul_high_i32x4_u(x2, m1);
      x0 = v128.xor(v128.xor(v128.shuffle<i32>(c, d, 1, 3, 5, 7), x1), key0);
      x1 = v128.shuffle<i32>(c, d, 0, 2, 4, 6);
      x2 = v128.xor(v128.xor(v128.shuffle<i32>(a, b, 1, 3, 5, 7), x3), key1);
      x3 = v128.shuffle<i32>(a, b, 0, 2, 4, 6);
      const e = i64x2.extmul_low_i32x4_u(y0, m0), f = i64x2.extmul_high_i32x4_u(y0, m0);
      const g = i64x2.extmul_low_i32x4_u(y2, m1), h = i64x2.extmul_high_i32x4_u(y2, m1);
      y0 = v128.xor(v128.xor(v128.shuffle<i32>(g, h, 1, 3, 5, 7), y1), key0);
      y1 = v128.shuffle<i32>(g, h, 0, 2, 4, 6);
      y2 = v128.xor(v128.xor(v128.shuffle<i32>(e, f, 1, 3, 5, 7), y3), key1);
      y3 = v128.shuffle<i32>(e, f, 0, 2, 4, 6);
      key0 = i32x4.add(key0, w0);
      key1 = i32x4.add(key1, w1);
    }
    v128.store(out, x0); v128.store(out, x1, 16); v128.store(out, x2, 32); v128.store(out, x3, 48);
    if (out + 64 == end) break;
    v128.store(out, y0, 64); v128.store(out, y1, 80); v128.store(out, y2, 96); v128.store(out, y3, 112);
    counters = i32x4.add(later, i32x4.splat(4));
  }
}

/** The upper halves of four products. */
// @ts-ignore: decorator
@inline
function high(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(
    i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b), 1, 3, 5, 7,
  );
}

/**
 * Standard gaussians by Box and Muller from the words of the same addresses: words 0 and 1 of a counter
 * give values 0 and 1, words 2 and 3 give values 2 and 3. `first` and `count` are multiples of 16.
 */
export function gaussians(
  out: usize, first: i32, count: i32, k0: u32, k1: u32, c1: u32, c2: u32, c3: u32,
): void {
  words(out, first, count, k0, k1, c1, c2, c3);
  for (const end = out + (<usize>count << 2); out < end; out += 32) boxMuller(out);
}

/** Turns two vectors of words into two vectors of gaussians, in place. */
// @ts-ignore: decorator
@inline
function boxMuller(at: usize): void {
  const r = f32x4.sqrt(f32x4.mul(f32x4.splat(-2), ln(unit(v128.load(at)))));
  // The word is an angle, 2^32 a turn. Its nearest quarter turn is in the upper two bits of `a`, the rest below.
  const a = i32x4.add(v128.load(at, 16), i32x4.splat(0x20000000));
  const rest = i32x4.sub(v128.and(a, i32x4.splat(0x3fffffff)), i32x4.splat(0x20000000));
  const t = f32x4.mul(f32x4.convert_i32x4_s(rest), f32x4.splat(<f32>1.4629180792671596e-9));
  const s = sine(t);
  const c = cosine(t);
  // Odd quarter turns exchange the two; 1 and 2 negate the cosine, 2 and 3 the sine.
  const twice = i32x4.shl(a, 1);
  const differ = v128.and(v128.xor(s, c), i32x4.shr_s(twice, 31));
  const sign = i32x4.splat(0x80000000);
  const cos = v128.xor(v128.xor(c, differ), v128.and(v128.xor(a, twice), sign));
  const sin = v128.xor(v128.xor(s, differ), v128.and(a, sign));
  v128.store(at, f32x4.mul(r, cos));
  v128.store(at, f32x4.mul(r, sin), 16);
}

/**
 * (word + 1/2) / 2^32, rounded once, in (0, 1]: so that the logarithm exists; the tail ends at 6.7 sigma. The
 * halves of the word are put below the exponents of 2^7 and 2^-10, which are subtracted again.
 */
// @ts-ignore: decorator
@inline
function unit(word: v128): v128 {
  const upper = v128.or(i32x4.shr_u(word, 16), i32x4.splat(0x43000000));
  const odd = v128.or(i32x4.shl(word, 1), i32x4.splat(1));
  const lower = v128.or(v128.and(odd, i32x4.splat(0x1ffff)), i32x4.splat(0x3a800000));
  return f32x4.add(f32x4.sub(upper, f32x4.splat(<f32>128.0009765625)), lower);
}
