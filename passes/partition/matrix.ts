/** The matrix of a linear or a grid: its name in the mapping, and its values. */

import { boolAttr, intAttr, weightAttr } from "../../src/ir/attrs.ts";
import { linearSize } from "../../src/ir/dialects/nn/linear.ts";
import type { Op } from "../../src/ir/op.ts";
import { realNumbers, wholeRows } from "../../src/tensor/block-scales.ts";
import { toF32 } from "../../src/tensor/convert.ts";
import { sizeOf } from "../../src/tensor/tensor.ts";
import { elementsOf, scalesFor } from "../../src/weights/block-scales.ts";
import type { WeightStore } from "../../src/weights/store.ts";

/** The initializer's name, and `#e` for slice e of a stack: MappedWeight.name of the artifact. */
export function weightName(op: Op): string {
  const weight = weightAttr(op, "weight");
  const name = "weight" in weight ? weight.weight : `${op.results[0]?.id}.weight`;
  const slice = op.attrs["slice"];
  return slice === undefined ? name : `${name}#${slice}`;
}

/** Equal for linears and grids of one and the same matrix, which share their tiles. */
export const matrixKey = (op: Op): string =>
  `${weightName(op)}${boolAttr(op, "transposed") ? " transposed" : ""}`;

/** The [in, out] matrix, row-major. */
export function matrixOf(op: Op, weights: WeightStore): Float32Array {
  const [rows = 0, cols = 0] = linearSize(op) ?? [];
  return boolAttr(op, "transposed")
    ? columnsOf(op, weights, 0, cols)
    : rowsOf(op, weights, 0, rows);
}

/** Rows `from` to `to` of a matrix that is stored row by row: no other bytes are read. */
export function rowsOf(op: Op, weights: WeightStore, from: number, to: number): Float32Array {
  const [, cols = 0] = linearSize(op) ?? [];
  return stored(op, weights, from * cols, to * cols);
}

/** Columns `from` to `to` of a transposed matrix, [in, to - from]: no other bytes are read. */
export function columnsOf(op: Op, weights: WeightStore, from: number, to: number): Float32Array {
  const [rows = 0] = linearSize(op) ?? [];
  const lines = stored(op, weights, from * rows, to * rows);
  const width = to - from;
  const matrix = new Float32Array(rows * width);
  for (let c = 0; c < width; c++) {
    for (let r = 0; r < rows; r++) matrix[r * width + c] = lines[c * rows + r] as number;
  }
  return matrix;
}

/** Elements `from` to `to` of the matrix as the initializer holds it; whole rows of what is stored. */
function stored(op: Op, weights: WeightStore, from: number, to: number): Float32Array {
  const first = sizeOf(linearSize(op) ?? []) * intAttr(op, "slice", 0) + from;
  const codes = elementsOf(weightAttr(op, "weight"), weights, first, to - from);
  const scales = scalesFor(op, weights);
  if (!scales) return toF32(codes);
  const [rows = 0, cols = 0] = linearSize(op) ?? [];
  const columns = boolAttr(op, "transposed") ? rows : cols;
  return realNumbers(codes.data, scales, wholeRows(from / columns, columns));
}
