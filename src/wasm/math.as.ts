/** Elementary functions of four numbers at once. */

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

/** Natural logarithm of positive normal numbers. */
// @ts-ignore: decorator
@inline
export function ln(u: v128): v128 {
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

/** e^x; 0 below -87, where float32 has no normal numbers left. Cephes 2.2 expf. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const clipped = f32x4.min(f32x4.max(x, f32x4.splat(-87)), f32x4.splat(88));
  const n = f32x4.nearest(f32x4.mul(clipped, f32x4.splat(<f32>1.44269504088896341)));
  let r = f32x4.sub(clipped, f32x4.mul(n, f32x4.splat(<f32>0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(<f32>-2.12194440e-4)));
  let p = f32x4.splat(<f32>1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>5.0000001201e-1));
  const y = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  const scale = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  const zero = f32x4.lt(x, f32x4.splat(-87));
  return v128.andnot(f32x4.mul(y, scale), zero);
}
