/** Matrices of small integers, quantised by blocks along their rows, as the numbers they stand for. */

import { toF32 } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { cannot } from "./builder.ts";

export interface Blocks {
  /** ui8: matrices of rows of `bytes`; a row's codes one after another, the low bits first. */
  readonly codes: Tensor;
  readonly bytes: number;
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  /** One for each block, in the order of rows; a row has ceil(columns / block) of them. */
  readonly scales: Tensor;
  /** Packed like the codes where ui8, else one number for each block. The middle code without. */
  readonly zeros: Tensor | null;
  readonly block: number;
  /** The block of each column, where columns are not in the order of their blocks. */
  readonly blockOf?: (column: number) => number;
}

/** The k-th code of a run of bytes. */
const codeAt = (
  bytes: ArrayLike<number | bigint>,
  start: number,
  k: number,
  bits: number,
): number => {
  const bit = k * bits;
  const byte = Number(bytes[start + (bit >> 3)]);
  return (byte >> (bit & 7)) & ((1 << bits) - 1);
};

/** Zero points by block, for rows counted over all matrices. */
function zeroPoints(b: Blocks, count: number): (row: number, block: number) => number {
  const { zeros, bits, rows } = b;
  if (!zeros) return () => 2 ** (bits - 1);
  if (zeros.elem !== "ui8") {
    const values = toF32(zeros);
    return (row, block) => values[row * count + block] as number;
  }
  const { data } = zeros;
  // One zero point for each row may be packed along the rows of a matrix, several are along the row.
  if (count === 1 && data.length < b.codes.data.length / b.bytes) {
    const width = Math.ceil((rows * bits) / 8);
    return (row) => codeAt(data, Math.floor(row / rows) * width, row % rows, bits);
  }
  const width = Math.ceil((count * bits) / 8);
  return (row, block) => codeAt(data, row * width, block, bits);
}

/** (code - zero point) · scale, with each matrix transposed: f32 [matrices, columns, rows]. */
export function dequantised(b: Blocks): Tensor {
  const { codes, bytes, rows, columns, bits, block } = b;
  if (![2, 4, 8].includes(bits)) cannot(`${bits}-bit weights are not supported`);
  const matrices = codes.data.length / (rows * bytes);
  const count = Math.ceil(columns / block);
  const scales = toF32(b.scales);
  const zero = zeroPoints(b, count);
  const blockOf = b.blockOf ?? ((c: number) => Math.floor(c / block));
  const data = new Float32Array(matrices * rows * columns);
  for (let r = 0; r < matrices * rows; r++) {
    const base = Math.floor(r / rows) * rows * columns + (r % rows);
    for (let c = 0; c < columns; c++) {
      const g = blockOf(c);
      const level = codeAt(codes.data, r * bytes, c, bits) - zero(r, g);
      data[base + c * rows] = level * (scales[r * count + g] as number);
    }
  }
  return { elem: "f32", shape: [matrices, columns, rows], data };
}
