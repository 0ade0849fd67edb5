/** The blocks of a weight's grid: what is programmed into each tile. */

import { toF32 } from "../tensor/convert.ts";
import { allocate, sizeOf, type Tensor, tensor } from "../tensor/tensor.ts";

/** The matrix that a linear multiplies by, as the file stores it. */
export interface Stored {
  readonly value: Tensor;
  /** Index along the leading axis of a stack [E, …]. */
  readonly slice?: number | undefined;
  /** The file holds [out, in]. */
  readonly transposed: boolean;
}

/** Elements that follow one another in the file for each input, or for each output when transposed. */
function rowLength({ value, slice, transposed }: Stored): number {
  const outputsFirst = transposed && slice === undefined;
  return outputsFirst ? sizeOf(value.shape.slice(1)) : (value.shape.at(-1) ?? 0);
}

type Interval = readonly [from: number, to: number];

/** Rows (inputs) and columns (outputs) of the [in, out] matrix, in the file's element type: [rows, cols]. */
export function blockOf(stored: Stored, rows: Interval, cols: Interval): Tensor {
  const { value, slice, transposed } = stored;
  const width = rowLength(stored);
  const start = (slice ?? 0) * sizeOf(value.shape.slice(-2));
  const [rowStep, colStep] = transposed ? [1, width] : [width, 1];
  const shape = [rows[1] - rows[0], cols[1] - cols[0]];
  const data = allocate(value.elem, (shape[0] ?? 0) * (shape[1] ?? 0));
  const from = value.data as Float32Array;
  const into = data as Float32Array; // Elements are only moved, whatever their type is.
  let at = 0;
  for (let r = rows[0]; r < rows[1]; r++) {
    const line = start + r * rowStep;
    for (let c = cols[0]; c < cols[1]; c++) into[at++] = from[line + c * colStep] as number;
  }
  return tensor(value.elem, shape, data);
}

/** The smallest scale: the smallest normal float32, so that a column of zeros can be divided by it. */
const LEAST = 2 ** -126;

/** gamma: the largest absolute weight of each column, f32 [cols]. */
export function columnScales(block: Tensor): Tensor {
  const width = block.shape[1] ?? 0;
  const values = toF32(block);
  const scales = new Float32Array(width).fill(LEAST);
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i] as number);
    if (size > (scales[i % width] as number)) scales[i % width] = size;
  }
  return tensor("f32", [width], scales);
}
