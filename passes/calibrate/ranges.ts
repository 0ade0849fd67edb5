/** Values at the converters of a grid, for given inputs and weights. */

import type { Target } from "../../src/target/schema.ts";
import { type ColumnChoice, columnScales } from "../../src/tensor/column-scales.ts";
import { Distribution } from "../../src/tensor/full-scale.ts";
import { matmul } from "../../src/tensor/gemm.ts";

export interface Grid {
  readonly rowSplits: readonly number[];
  readonly colSplits: readonly number[];
}

/** How tiles convert. */
export interface Converters {
  readonly scheme: Target["tile"]["adc"]["scheme"];
  /** Where inputs are divided by the largest of each vector, ranges are not asked. */
  readonly range: Target["tile"]["dac"]["range"];
  /** The DAC's full scale in normalised units. */
  readonly bound: number;
  readonly columns: ColumnChoice;
}

/** Input rows of one sample that are multiplied to find the ADC's range; evenly spaced over the sample. */
const ROWS_PER_SAMPLE = 64;

/** Adds the inputs of each row block, over all rows of the samples. */
export function addInputs(
  samples: readonly Float32Array[],
  rowSplits: readonly number[],
  to: readonly Distribution[],
): void {
  const width = rowSplits.at(-1) ?? 1;
  for (const x of samples) {
    for (let at = 0; at < x.length; at += width) {
      for (const [r, block] of to.entries()) {
        block.add(x, at + (rowSplits[r] ?? 0), at + (rowSplits[r + 1] ?? 0));
      }
    }
  }
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
 * For each block, row-major, the values at its converters over the input rows:
 * s = sum_j clip(w_ij / gamma_i) clip(x_j / alpha), or with two counters the larger of the positive and the negative
 * current, (sum |terms| + |s|) / 2. alpha is the row block's range, or the vector's own.
 */
export function sumsOf(
  { rowSplits, colSplits }: Grid,
  matrix: Float32Array,
  inputs: readonly Float32Array[],
  inputRange: readonly number[],
  how: Converters,
): Distribution[] {
  const cols = colSplits.at(-1) ?? 0;
  return inputRange.flatMap((alpha, r) => {
    const [from = 0, to = 0] = rowSplits.slice(r, r + 2);
    const given = matrix.subarray(from * cols, to * cols);
    const gammas = columnScales(given, cols, how.columns);
    const part = how.columns.choice.method === "max" ? given : clipped(given, gammas);
    const x = normalised(inputs, from, to, how.bound, how.range === "static" ? alpha : undefined);
    const y = product(x, part, inputs.length, cols).map(Math.abs);
    if (how.scheme === "two-counter") {
      const load = product(x.map(Math.abs), part.map(Math.abs), inputs.length, cols);
      for (let i = 0; i < y.length; i++) y[i] = ((y[i] as number) + (load[i] as number)) / 2;
    }
    // Weights that are no numbers are refused later, when they are written.
    for (let i = 0; i < y.length; i++) y[i] = (y[i] as number) / (gammas[i % cols] as number);
    return colSplits.slice(1).map((end, c) => {
      const sums = new Distribution();
      for (let at = 0; at < y.length; at += cols) sums.add(y, at + (colSplits[c] ?? 0), at + end);
      return sums;
    });
  });
}

function clipped(weights: Float32Array, gammas: Float32Array): Float32Array {
  return weights.map((w, i) => {
    const most = gammas[i % gammas.length] as number;
    return Math.min(most, Math.max(-most, w));
  });
}

/** x[rows, n] · w[n, cols]. */
function product(x: Float32Array, w: Float32Array, rows: number, cols: number): Float32Array {
  const y = new Float32Array(rows * cols);
  matmul(x, w, y, { m: rows, k: w.length / cols, n: cols });
  return y;
}

/** Without a range, each row is divided by its own largest input. */
function normalised(
  inputs: readonly Float32Array[],
  from: number,
  to: number,
  bound: number,
  range: number | undefined,
): Float32Array {
  const x = new Float32Array(inputs.length * (to - from));
  for (const [t, row] of inputs.entries()) {
    const alpha = range ?? largestOf(row.subarray(from, to));
    for (let j = from; j < to; j++) {
      const scaled = Math.min(bound, Math.max(-bound, (row[j] as number) / alpha));
      x[t * (to - from) + j - from] = Number.isFinite(scaled) ? scaled : 0;
    }
  }
  return x;
}

/** The largest |x|, 1 where all are 0. */
const largestOf = (row: Float32Array): number =>
  row.reduce((most, v) => Math.max(most, Math.abs(v)), 0) || 1;
