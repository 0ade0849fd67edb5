/** Whole distributions: Kolmogorov and Smirnov's test, and the distributions that noise should have. */

import { expect } from "vitest";

/** P(value <= v). */
export type Cdf = (v: number) => number;

/** sqrt(n) times the largest distance between the empirical distribution and the right one. */
export function distance(values: ArrayLike<number>, cdf: Cdf): number {
  const sorted = Float64Array.from(Array.from(values)).sort();
  const n = sorted.length;
  let most = 0;
  for (let i = 0; i < n; ) {
    const v = sorted[i] as number;
    const before = i / n;
    while (i < n && sorted[i] === v) i++;
    const right = cdf(v);
    // Where a distribution has a lump, as clamped ones do at 0, only what lies at or below it counts.
    const isLump = i / n - before > 1e-3;
    most = Math.max(most, Math.abs(i / n - right), isLump ? 0 : Math.abs(before - right));
  }
  return most * Math.sqrt(n);
}

/** Exceeded by one sample of 20,000 if the distribution is right; seeds are fixed, so a sample that passes always does. */
const CRITICAL = 2.3;

export const expectDistribution = (values: ArrayLike<number>, cdf: Cdf): void =>
  expect(distance(values, cdf)).toBeLessThan(CRITICAL);

/** Complementary error function, Numerical Recipes 6.2 (relative error below 1.2e-7). */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  const t = 1 / (1 + 0.5 * x);
  const c = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
    1.48851587, -0.82215223, 0.17087277,
  ];
  return t * Math.exp(-x * x + c.reduceRight((s, v) => s * t + v, 0));
}

export const normal =
  (mean: number, deviation: number): Cdf =>
  (v) =>
    0.5 * erfc((mean - v) / (deviation * Math.SQRT2));

/** max(0, N). */
export const clamped =
  (mean: number, deviation: number): Cdf =>
  (v) =>
    v < 0 ? 0 : normal(mean, deviation)(v);

/** |N|. */
export const folded =
  (mean: number, deviation: number): Cdf =>
  (v) =>
    v < 0 ? 0 : normal(mean, deviation)(v) - normal(mean, deviation)(-v);

/** Correlation coefficient of two lists. */
export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  const mean = (list: ArrayLike<number>) => Array.from(list).reduce((s, v) => s + v, 0) / n;
  const [ma, mb] = [mean(a), mean(b)];
  let [aa, bb, ab] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [x, y] = [(a[i] as number) - ma, (b[i] as number) - mb];
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  return ab / Math.sqrt(aa * bb);
}
