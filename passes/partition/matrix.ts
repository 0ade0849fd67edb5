/** The matrix of a linear or a grid: its name in the mapping, and its values. */

import { boolAttr, intAttr, weightAttr } from "../../src/ir/attrs.ts";
import { linearSize } from "../../src/ir/dialects/nn/linear.ts";
import type { Op } from "../../src/ir/op.ts";
import { toF32 } from "../../src/tensor/convert.ts";
import { sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
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

/** The whole initializer that holds the matrix. */
export function loadInitializer(op: Op, weights: WeightStore): Tensor {
  const weight = weightAttr(op, "weight");
  return "weight" in weight ? weights.load(weight) : weight;
}

/** The [in, out] matrix, row-major, from its initializer. */
export function matrixOf(op: Op, initializer: Tensor): Float32Array {
  const [rows = 0, cols = 0] = linearSize(op) ?? [];
  const all = toF32(initializer);
  const at = sizeOf([rows, cols]) * intAttr(op, "slice", 0);
  const stored = all.subarray(at, at + rows * cols);
  if (!boolAttr(op, "transposed")) return stored;
  const matrix = new Float32Array(rows * cols);
  for (let c = 0; c < cols; c++) {
    for (let r = 0; r < rows; r++) matrix[r * cols + c] = stored[c * rows + r] as number;
  }
  return matrix;
}
