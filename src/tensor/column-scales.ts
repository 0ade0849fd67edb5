/** gamma of the columns of a block: the weight that the largest conductance stands for. Larger weights are clipped. */

import { type Choice, type ErrorOf, fullScale, type Seen, seenOf } from "./full-scale.ts";

/** The smallest scale: the smallest normal float32, so that a column of zeros can be divided by it. */
export const LEAST_SCALE = 2 ** -126;

/** A choice with what `mse` needs: the error of a device that is programmed to the share x of its largest conductance. */
export interface ColumnChoice {
  readonly choice: Choice;
  readonly errorAt: ErrorOf;
}

/** Column j of rows that are `cols` wide. */
export function columnOf(values: Float32Array, cols: number, j: number): Seen {
  return seenOf(
    Float32Array.from({ length: values.length / cols }, (_, i) => values[i * cols + j] as number),
  );
}

/** For each column of values[rows, cols]; the largest if nothing was chosen. Infinite where a weight is, NaN for NaN. */
export function columnScales(
  values: Float32Array,
  cols: number,
  columns?: ColumnChoice,
): Float32Array {
  const largest = new Float32Array(cols).fill(LEAST_SCALE);
  for (let i = 0; i < values.length; i++) {
    const j = i % cols;
    // NaN is larger than all.
    largest[j] = Math.max(largest[j] as number, Math.abs(values[i] as number));
  }
  if (!columns || columns.choice.method === "max") return largest;
  const { choice, errorAt } = columns;
  return largest.map((most, j) => {
    if (!Number.isFinite(most)) return most;
    const scale = fullScale(choice, columnOf(values, cols, j), errorAt);
    return Math.max(LEAST_SCALE, Math.min(most, scale));
  });
}
