/**
 * Matrix products in halves, as an array of FP16 units computes them: every fused multiply-add is rounded once, in the
 * order of the summed axis.
 *
 * Doubles do it. A product p of two halves has 22 bits, so a double holds it. The sum s = p + c with a half c is rounded
 * to a double first and to a half then, which is one rounding in effect:
 * - Where the double holds s there is only one; from 65520 on both ways lead to infinity.
 * - Otherwise, with 2^e <= |s| < 2^(e+1), a bit below 2^(e-52) is lost. It is none of c's, which is a multiple of 2^-24:
 *   then |s| would be above 2^28. So it is one of p's, whose bits lie within 22 places: |p| < 2^(e-30), and s is that
 *   near to c, a half. p is a multiple of 2^-48, so e > 4: the halves around c are normal, and what lies halfway between
 *   two of them is at least 2^(e-12) away from c. Both s and the double are nearer to c than that: both become c.
 */

const LEAST_NORMAL: f64 = 6.103515625e-5;
const OVERFLOW: f64 = 65520;
const TWO_TO_112: f64 = 5.192296858534828e33;
/** 1.5 * 2^42: added to a number between 1 and 2 and taken away again, it leaves the eleven bits of a half. */
const LAST_BIT: f64 = 6597069766656;

/** Two doubles rounded to halves, ties to even. */
// @ts-ignore: decorator
@inline
function rounded(s: v128): v128 {
  const power = v128.and(s, i64x2.splat(0x7ff0000000000000));
  const magic = f64x2.mul(f64x2.max(power, f64x2.splat(LEAST_NORMAL)), f64x2.splat(LAST_BIT));
  const r = f64x2.sub(f64x2.add(s, magic), magic);
  const isLarge = f64x2.ge(f64x2.abs(s), f64x2.splat(OVERFLOW));
  const size = v128.bitselect(f64x2.splat(Infinity), r, isLarge);
  return v128.bitselect(size, s, i64x2.splat(0x7fffffffffffffff));
}

/** The number that the bits of a half stand for. */
// @ts-ignore: decorator
@inline
function wide(bits: u32): f64 {
  const magnitude = bits & 0x7fff;
  const special = magnitude >= 0x7c00 ? 0x7f800000 : 0;
  const scaled = reinterpret<f32>(magnitude << 13) * <f32>TWO_TO_112;
  const size = reinterpret<f32>(reinterpret<u32>(scaled) | special);
  return <f64>reinterpret<f32>(reinterpret<u32>(size) | ((bits & 0x8000) << 16));
}

/** The bits of a double that is a half; all NaN become one, as in RISC-V. */
// @ts-ignore: decorator
@inline
function bitsOf(value: f64): u32 {
  if (value != value) return 0x7e00;
  const word = reinterpret<u64>(value);
  const sign = <u32>(word >> 48) & 0x8000;
  const size = abs(value);
  if (size < LEAST_NORMAL) return sign | <u32>(size * 16777216);
  if (size == Infinity) return sign | 0x7c00;
  return sign | (<u32>((word >> 42) & 0x1fffff) - (1008 << 10));
}

/**
 * z[m, k] += x[m, n] · w[n, k], all halves. `row` has room for n doubles, `panel` for n * 8.
 */
export function addHalfProduct(
  x: usize, w: usize, z: usize, m: i32, n: i32, k: i32, row: usize, panel: usize,
): void {
  for (let j = 0; j < k; j += 8) {
    const columns = min(8, k - j);
    for (let p = 0; p < n; p++) {
      const to = panel + (<usize>p << 6);
      const from = w + ((<usize>p * <usize>k + <usize>j) << 1);
      for (let c = 0; c < 8; c++) {
        store<f64>(to + (<usize>c << 3), c < columns ? wide(load<u16>(from + (<usize>c << 1))) : 0);
      }
    }
    for (let i = 0; i < m; i++) {
      const from = x + ((<usize>i * <usize>n) << 1);
      for (let p = 0; p < n; p++) {
        store<f64>(row + (<usize>p << 3), wide(load<u16>(from + (<usize>p << 1))));
      }
      eightColumns(row, panel, n, z + ((<usize>i * <usize>k + <usize>j) << 1), columns);
    }
  }
}

/** The first `columns` of eight sums at `z` go on. */
function eightColumns(row: usize, panel: usize, n: i32, z: usize, columns: i32): void {
  let s0 = pairAt(z, columns), s1 = pairAt(z + 4, columns - 2);
  let s2 = pairAt(z + 8, columns - 4), s3 = pairAt(z + 12, columns - 6);
  for (const end = row + (<usize>n << 3); row < end; row += 8, panel += 64) {
    const x = v128.load64_splat(row);
    s0 = rounded(f64x2.add(f64x2.mul(x, v128.load(panel)), s0));
    s1 = rounded(f64x2.add(f64x2.mul(x, v128.load(panel, 16)), s1));
    s2 = rounded(f64x2.add(f64x2.mul(x, v128.load(panel, 32)), s2));
    s3 = rounded(f64x2.add(f64x2.mul(x, v128.load(panel, 48)), s3));
  }
  storePair(z, s0, columns);
  storePair(z + 4, s1, columns - 2);
  storePair(z + 8, s2, columns - 4);
  storePair(z + 12, s3, columns - 6);
}

// @ts-ignore: decorator
@inline
function pairAt(at: usize, count: i32): v128 {
  const first = count > 0 ? wide(load<u16>(at)) : 0;
  const second = count > 1 ? wide(load<u16>(at, 2)) : 0;
  return f64x2.replace_lane(f64x2.splat(first), 1, second);
}

// @ts-ignore: decorator
@inline
function storePair(at: usize, pair: v128, count: i32): void {
  if (count > 0) store<u16>(at, <u16>bitsOf(f64x2.extract_lane(pair, 0)));
  if (count > 1) store<u16>(at, <u16>bitsOf(f64x2.extract_lane(pair, 1)), 2);
}
