/** Matrices of integers that are quantised by blocks along their inputs: w = (code - zero) · scale. */

import type { TensorData } from "./tensor.ts";

/** The scales of a stored matrix [rows, columns]. */
export interface BlockScales {
  /** How many inputs share a scale. */
  readonly block: number;
  /** 0: blocks are of rows, and there are [ceil(rows / block), columns] scales; 1: of columns. */
  readonly axis: 0 | 1;
  readonly scales: ArrayLike<number>;
  /** Shaped as the scales; 0 without. */
  readonly zeros: ArrayLike<number> | null;
}

/** Where a part of a stored matrix lies in it. */
export interface Part {
  readonly firstRow: number;
  readonly firstColumn: number;
  /** Columns of the part, and of the whole matrix. */
  readonly columns: number;
  readonly allColumns: number;
}

export const wholeRows = (firstRow: number, columns: number): Part => ({
  firstRow,
  firstColumn: 0,
  columns,
  allColumns: columns,
});

/** The real numbers that the codes of a part, row-major, stand for, each rounded once to float32. */
export function realNumbers(codes: TensorData, of: BlockScales, part: Part): Float32Array {
  const out = new Float32Array(codes.length);
  const { columns } = part;
  for (let from = 0, row = part.firstRow; from < out.length; from += columns, row++) {
    fillRow(out, codes as Int8Array, from, of, row, part);
  }
  return out;
}

function fillRow(
  out: Float32Array,
  codes: Int8Array,
  from: number,
  { block, axis, scales, zeros }: BlockScales,
  row: number,
  { columns, firstColumn, allColumns }: Part,
): void {
  const width = axis === 0 ? allColumns : Math.ceil(allColumns / block);
  const base = (axis === 0 ? Math.floor(row / block) : row) * width;
  for (let j = 0; j < columns; j++) {
    const column = firstColumn + j;
    const at = base + (axis === 0 ? column : Math.floor(column / block));
    const zero = zeros ? (zeros[at] as number) : 0;
    out[from + j] = ((codes[from + j] as number) - zero) * (scales[at] as number);
  }
}
