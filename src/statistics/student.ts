/**
 * Student's t distribution. Formulas: Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 26.7.1 for
 * the distribution and 26.5.8 for the continued fraction of the incomplete beta function.
 */

/** P(T <= t) with `degrees` degrees of freedom, a whole number from 1. */
export function studentCdf(t: number, degrees: number): number {
  const x = degrees / (degrees + t * t);
  const tail = 0.5 * incompleteBeta(x, degrees / 2, 0.5);
  return t < 0 ? tail : 1 - tail;
}

/** The t that is not exceeded with probability p, 0.5 <= p < 1. */
export function studentQuantile(p: number, degrees: number): number {
  let low = 0;
  let high = 1;
  while (studentCdf(high, degrees) < p) high *= 2;
  // Halving ends when the two are neighbours in double precision.
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (studentCdf(middle, degrees) < p) low = middle;
    else high = middle;
  }
}

/** I_x(a, b), where it is the smaller of itself and its complement for the continued fraction to be short. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  );
  if (x < (a + 1) / (a + b + 2)) return (front * betaFraction(x, a, b)) / a;
  return 1 - (front * betaFraction(1 - x, b, a)) / b;
}

const SMALLEST = 1e-300;
const nonZero = (v: number): number => (Math.abs(v) < SMALLEST ? SMALLEST : v);

/** The continued fraction of I_x(a, b) by Lentz's method. */
function betaFraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1));
  let value = d;
  for (let m = 1; m < 1000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let step = 1;
    for (const term of [even, odd]) {
      d = 1 / nonZero(1 + term * d);
      c = nonZero(1 + term / c);
      step = c * d;
      value *= step;
    }
    if (Math.abs(step - 1) < 1e-15) return value;
  }
  return value;
}

/** ln Gamma(x) for half-integers: from Gamma(1/2) and Gamma(1) upwards. */
function logGamma(x: number): number {
  let sum = Number.isInteger(x) ? 0 : Math.log(Math.PI) / 2;
  for (let k = Number.isInteger(x) ? 1 : 0.5; k < x; k++) sum += Math.log(k);
  return sum;
}
