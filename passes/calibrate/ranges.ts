/** Largest values at the converters of a grid, for given inputs and weights. */

import type { Target } from "../../src/target/schema.ts";
import { matmul } from "../../src/tensor/gemm.ts";

export interface Grid {
  readonly rowSplits: readonly number[];
  readonly colSplits: readonly number[];
}

/** Input rows of one sample that are multiplied to find the ADC's range; evenly spaced over the sample. */
const ROWS_PER_SAMPLE = 64;

/** Largest |x| of each row block over all rows of the samples, starting from `before`. */
export function largestInputs(
  samples: readonly Float32Array[],
  rowSplits: readonly number[],
  before: readonly number[],
): number[] {
  const width = rowSplits.at(-1) ?? 1;
  return before.map((start, r) => {
    const [from = 0, to = 0] = rowSplits.slice(r, r + 2);
    let largest = start;
    for (const x of samples) {
      for (let at = 0; at < x.length; at += width) {
        for (let j = at + from; j < at + to; j++) {
          const size = Math.abs(x[j] as number);
          if (size > largest && size < Number.POSITIVE_INFINITY) largest = size;
        }
      }
    }
    return largest;
  });
}

/** At most `limit` rows of each sample, evenly spaced. */
export const sampledRows = (
  samples: readonly Float32Array[],
  width: number,
  limit = ROWS_PER_SAMPLE,
): Float32Array[] =>
  samples.flatMap((x) => {
    const rows = Math.floor(x.length / width);
    const step = Math.max(1, rows / limit);
    const taken = Math.min(rows, limit);
    return Array.from({ length: taken }, (_, i) => {
      const at = Math.floor(i * step) * width;
      return x.slice(at, at + width);
    });
  });

/**
 * For each block, row-major, the largest value at its converters over the input rows: of
 * s = sum_j (w_ij / gamma_i) clip(x_j / alpha) its size, or with two counters the larger of the positive and the
 * negative current, (sum |terms| + |s|) / 2. gamma_i = max_j |w_ij| in the block, alpha is the row block's range.
 */
export function largestSums(
  { rowSplits, colSplits }: Grid,
  matrix: Float32Array,
  inputs: readonly Float32Array[],
  inputRange: readonly number[],
  scheme: Target["tile"]["adc"]["scheme"],
): number[] {
  const cols = colSplits.at(-1) ?? 0;
  return inputRange.flatMap((alpha, r) => {
    const [from = 0, to = 0] = rowSplits.slice(r, r + 2);
    const part = matrix.subarray(from * cols, to * cols);
    const x = normalised(inputs, from, to, alpha);
    const y = product(x, part, inputs.length, cols).map(Math.abs);
    if (scheme === "two-counter") {
      const load = product(x.map(Math.abs), part.map(Math.abs), inputs.length, cols);
      for (let i = 0; i < y.length; i++) y[i] = ((y[i] as number) + (load[i] as number)) / 2;
    }
    const sums = columnMaxima(y, cols);
    const gammas = columnMaxima(part, cols);
    return colSplits.slice(1).map((end, c) => {
      let largest = 0;
      for (let i = colSplits[c] ?? 0; i < end; i++) {
        const gamma = gammas[i] as number;
        const sum = (sums[i] as number) / gamma;
        // Weights that are no numbers are refused later, when they are written.
        if (gamma > 0 && sum > largest) largest = sum;
      }
      return largest;
    });
  });
}

/** x[rows, n] · w[n, cols]. */
function product(x: Float32Array, w: Float32Array, rows: number, cols: number): Float32Array {
  const y = new Float32Array(rows * cols);
  matmul(x, 0, w, 0, y, 0, rows, w.length / cols, cols);
  return y;
}

function normalised(inputs: readonly Float32Array[], from: number, to: number, alpha: number) {
  const x = new Float32Array(inputs.length * (to - from));
  for (const [t, row] of inputs.entries()) {
    for (let j = from; j < to; j++) {
      const scaled = Math.min(1, Math.max(-1, (row[j] as number) / alpha));
      x[t * (to - from) + j - from] = Number.isFinite(scaled) ? scaled : 0;
    }
  }
  return x;
}

/** Largest |value| of each column. */
function columnMaxima(values: Float32Array, cols: number): Float32Array {
  const largest = new Float32Array(cols);
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i] as number);
    if (size > (largest[i % cols] as number)) largest[i % cols] = size;
  }
  return largest;
}
