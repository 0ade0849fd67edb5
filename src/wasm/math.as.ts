/**
 * Elementary functions of four numbers at once. Here as everywhere, pmin and pmax are one instruction of the processor, where min
 * and max are six; what may be NaN comes first, so that it stays.
 */

// The polynomials are those of Cephes 2.2, single precision (Moshier 1992).

// @ts-ignore: decorator
@inline
export function sine(t: v128): v128 {
  const z = f32x4.mul(t, t);
  let p = f32x4.splat(<f32>-1.9515295891e-4);
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>8.3321608736e-3));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>-1.6666654611e-1));
  return f32x4.add(f32x4.mul(f32x4.mul(p, z), t), t);
}

// @ts-ignore: decorator
@inline
export function cosine(t: v128): v128 {
  const z = f32x4.mul(t, t);
  let p = f32x4.splat(<f32>2.443315711809948e-5);
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>-1.388731625493765e-3));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>4.166664568298827e-2));
  const tail = f32x4.sub(f32x4.splat(1), f32x4.mul(z, f32x4.splat(0.5)));
  return f32x4.add(f32x4.mul(f32x4.mul(p, z), z), tail);
}

/**
 * Natural logarithm of positive normal numbers, to a rounding or two. The mantissa 1 + x lies between the roots of 1/2 and 2,
 * and ln(1 + x) = 2 atanh(s) with s = x / (2 + x); the polynomial is the minimax one of (2 atanh(s) - 2 s) / s^3.
 */
// @ts-ignore: decorator
@inline
export function ln(u: v128): v128 {
  const root = i32x4.splat(0x3f3504f3);
  const above = i32x4.sub(u, root);
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(above, 23));
  const mantissa = i32x4.add(v128.and(above, i32x4.splat(0x007fffff)), root);
  const one = f32x4.splat(1);
  const x = f32x4.sub(mantissa, one);
  const s = f32x4.div(x, f32x4.add(mantissa, one));
  const z = f32x4.mul(s, s);
  let p = f32x4.splat(<f32>0.2987609490216828);
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>0.399773463383936));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(<f32>0.6666677842981973));
  const y = f32x4.add(f32x4.add(s, s), f32x4.mul(f32x4.mul(s, z), p));
  return f32x4.add(f32x4.mul(e, f32x4.splat(<f32>0.6931471805599453)), y);
}

/**
 * e^x for x from -87, below which it stays, to 88: 2^n 2^f, with n the nearest integer to x / ln 2, found in the last places of
 * 1.5 2^23 + x / ln 2, and the minimax polynomial of (2^f - 1) / f. The relative error is 1e-7 (1 + |x|).
 */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87)), f32x4.splat(88));
  const power = f32x4.mul(bounded, f32x4.splat(<f32>1.4426950408889634));
  const magic = f32x4.splat(12582912);
  const shifted = f32x4.add(power, magic);
  const f = f32x4.sub(power, f32x4.sub(shifted, magic));
  let p = f32x4.splat(<f32>0.0013218672481635281);
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(<f32>0.009671697938404155));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(<f32>0.055508929524511225));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(<f32>0.24022238002741014));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(<f32>0.6931468559416912));
  const y = f32x4.add(f32x4.mul(p, f), f32x4.splat(1));
  return i32x4.add(y, i32x4.shl(shifted, 23));
}
