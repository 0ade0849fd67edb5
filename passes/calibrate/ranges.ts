/** Largest values at the converters of a grid, for given inputs and weights. */

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
 * For each block, row-major, the largest |sum_j (w_ij / gamma_i) clip(x_j / alpha)| over the input rows, with
 * gamma_i = max_j |w_ij| in the block and alpha the row block's input range.
 */
export function largestSums(
  { rowSplits, colSplits }: Grid,
  matrix: Float32Array,
  inputs: readonly Float32Array[],
  inputRange: readonly number[],
): number[] {
  const cols = colSplits.at(-1) ?? 0;
  return inputRange.flatMap((alpha, r) => {
    const [from = 0, to = 0] = rowSplits.slice(r, r + 2);
    const part = matrix.subarray(from * cols, to * cols);
    const x = normalised(inputs, from, to, alpha);
    const y = new Float32Array(inputs.length * cols);
    matmul(x, 0, part, 0, y, 0, inputs.length, to - from, cols);
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
