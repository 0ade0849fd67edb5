/** Means over seeds, with their confidence. */

import { studentQuantile } from "./student.ts";

/**
 * The two-sided 95 % confidence interval of a mean, mean ± t s / sqrt(n), with the 97.5 % quantile t of Student's
 * distribution with n - 1 degrees of freedom and the sample deviation s. It covers what differs between seeds
 * (chips and the noise of their vectors), not the choice of the inputs.
 */
export interface Interval {
  readonly mean: number;
  /** Half the width; NaN for a single value, of which no spread is known. */
  readonly half: number;
  /** How many values it is of. */
  readonly count: number;
}

/** Fewer values are never called certain. */
export const FEWEST = 3;

export function intervalOf(values: readonly number[]): Interval {
  const count = values.length;
  const [first = Number.NaN] = values;
  // Equal values, infinite ones too, have no spread.
  if (count > 1 && values.every((v) => v === first)) return { mean: first, half: 0, count };
  const mean = values.reduce((sum, v) => sum + v, 0) / count;
  if (count < 2) return { mean, half: Number.NaN, count };
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (count - 1);
  const half = studentQuantile(0.975, count - 1) * Math.sqrt(variance / count);
  return { mean, half, count };
}

/** Whether the half width is at most `share` of the mean, for at least `FEWEST` values. */
export const isTight = ({ mean, half, count }: Interval, share: number): boolean =>
  count >= FEWEST && half <= share * Math.abs(mean);
