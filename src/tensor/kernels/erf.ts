/**
 * The error function to double precision. Rational approximations of fdlibm's s_erf.c:
 *
 * Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at SunPro, a Sun
 * Microsystems, Inc. business. Permission to use, copy, modify, and distribute this software is
 * freely granted, provided that this notice is preserved.
 */

// Each list holds the coefficients of one polynomial, constant term first.
const SMALL_P = [
  0.12837916709551256, -0.3250421072470015, -0.02848174957559851, -0.005770270296489442,
  -2.3763016656650163e-5,
];
const SMALL_Q = [
  1, 0.39791722395915535, 0.0650222499887673, 0.005081306281875766, 0.00013249473800432164,
  -3.960228278775368e-6,
];
/** erf(1), rounded to single precision so that the remainder is exact. */
const AT_ONE = 0.8450629115104675;
const ONE_P = [
  -0.0023621185607526594, 0.41485611868374833, -0.3722078760357013, 0.31834661990116175,
  -0.11089469428239668, 0.035478304325618236, -0.002166375594868791,
];
const ONE_Q = [
  1, 0.10642088040084423, 0.540397917702171, 0.07182865441419627, 0.12617121980876164,
  0.01363708391202905, 0.011984499846799107,
];
const MIDDLE_R = [
  -0.009864944034847148, -0.6938585727071818, -10.558626225323291, -62.375332450326006,
  -162.39666946257347, -184.60509290671104, -81.2874355063066, -9.814329344169145,
];
const MIDDLE_S = [
  1, 19.651271667439257, 137.65775414351904, 434.56587747522923, 645.3872717332679,
  429.00814002756783, 108.63500554177944, 6.570249770319282, -0.0604244152148581,
];
const LARGE_R = [
  -0.0098649429247001, -0.799283237680523, -17.757954917754752, -160.63638485582192,
  -637.5664433683896, -1025.0951316110772, -483.5191916086514,
];
const LARGE_S = [
  1, 30.33806074348246, 325.7925129965739, 1536.729586084437, 3199.8582195085955,
  2553.0504064331644, 474.52854120695537, -22.44095244658582,
];

function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * x + (coefficients[i] as number);
  return sum;
}

const ratio = (p: readonly number[], q: readonly number[], x: number): number =>
  polynomial(p, x) / polynomial(q, x);

/** erf(x) for x >= 0. */
function positive(x: number): number {
  if (x < 0.84375) return x + x * ratio(SMALL_P, SMALL_Q, x * x);
  if (x < 1.25) return AT_ONE + ratio(ONE_P, ONE_Q, x - 1);
  if (x >= 6) return 1;
  const s = 1 / (x * x);
  const tail = x < 1 / 0.35 ? ratio(MIDDLE_R, MIDDLE_S, s) : ratio(LARGE_R, LARGE_S, s);
  return 1 - Math.exp(-x * x - 0.5625 + tail) / x;
}

export const erf = (x: number): number =>
  Number.isNaN(x) ? x : x < 0 ? -positive(-x) : positive(x);
