/**
 * Inputs of grids that the original model has no tensor for, such as what goes into an expert's second
 * linear when the exporter gathers tokens first: computed again from values that it does have.
 */

import type { Op, Value } from "../../src/ir/op.ts";
import { isTensorAttr, isWeightRef } from "../../src/ir/op.ts";
import { toF32 } from "../../src/tensor/convert.ts";
import { matmul } from "../../src/tensor/gemm.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { matrixOf } from "../partition/matrix.ts";
import { type Recipe, recipeOf } from "./recipe.ts";

/** Kinds whose result rows depend on the same rows of their operands, and on constants. */
const BY_ROW = [
  "aimc.mvm",
  "aimc.sum",
  "nn.activation",
  "nn.gated",
  "nn.layer_norm",
  "nn.linear",
  "nn.lora",
  "nn.residual",
  "nn.rms_norm",
  "onnx.Add",
  "onnx.Mul",
  "onnx.Slice",
  "onnx.Split",
];

/** More operations than a feed-forward block has are not worth computing again. */
const LONGEST = 16;

/** Operands that carry rows: routing only says which of them are wanted, and here all are. */
function rowOperands(op: Op): readonly (Value | null)[] {
  if (op.kind === "aimc.mvm") return op.operands.slice(0, 1);
  return op.kind === "nn.linear" ? op.operands.slice(0, 2) : op.operands;
}

/** Slices and splits keep rows when they cut the last axis, counted from the end as rows are flattened. */
function keepsRows(op: Op, producers: ReadonlyMap<Value, Op>): boolean {
  if (!BY_ROW.includes(op.kind)) return false;
  if (op.kind === "onnx.Split") return op.attrs["axis"] === -1 || isLast(op, op.attrs["axis"]);
  if (op.kind !== "onnx.Slice") return true;
  const axes = op.operands[3];
  const value = axes ? producers.get(axes)?.attrs["value"] : undefined;
  if (!isTensorAttr(value) || value.data.length !== 1) return false;
  const [axis] = value.data;
  return Number(axis) === -1 || isLast(op, Number(axis));
}

/** Only a matrix keeps the number of its last axis when its rows are flattened. */
const isLast = (op: Op, axis: unknown): boolean =>
  axis === 1 && op.operands[0]?.type.shape.length === 2;

/** The operations that compute the rows of a value from what `isShown`, and those values; null if they cannot. */
export const rowRecipe = (
  value: Value,
  producers: ReadonlyMap<Value, Op>,
  isShown: (v: Value) => boolean,
): Recipe | null =>
  recipeOf(value, producers, isShown, {
    takesConstant: (v) => v.type.shape.length <= 1,
    takes: (op) => keepsRows(op, producers),
    operands: rowOperands,
    longest: LONGEST,
  });

/**
 * The rows of `value` by its recipe. `rows` holds those of its sources as [n, width]; null when their
 * numbers differ.
 */
export function replay(
  value: Value,
  ops: readonly Op[],
  rows: ReadonlyMap<Value, Tensor>,
  producers: ReadonlyMap<Value, Op>,
  weights: WeightStore,
): Float32Array | null {
  if (new Set([...rows.values()].map((t) => t.shape[0])).size !== 1) return null;
  const known = new Map(rows);
  const read = (v: Value | null): Tensor | null =>
    v === null ? null : (known.get(v) ?? constantOf(producers.get(v), weights));
  for (const op of ops) {
    const computed = compute(op, rowOperands(op).map(read), weights);
    for (const [i, result] of op.results.entries()) {
      const part = computed?.[i];
      if (!part) return null;
      known.set(result, part);
    }
  }
  const found = known.get(value);
  return found ? toF32(found) : null;
}

function constantOf(op: Op | undefined, weights: WeightStore): Tensor | null {
  const value = op?.attrs["value"];
  if (isWeightRef(value)) return weights.load(value);
  return isTensorAttr(value) ? value : null;
}

/** Products are computed whole here, so that adding up partial sums has nothing left to do. */
function compute(
  op: Op,
  inputs: readonly (Tensor | null)[],
  weights: WeightStore,
): readonly Tensor[] | null {
  const [x] = inputs;
  if (op.kind === "aimc.sum") return x ? [x] : null;
  if (op.kind === "aimc.mvm") return x ? [product(op, x, weights)] : null;
  const held = ["weight", "scales", "zeros", "a", "b"].flatMap((name) => {
    const w = op.attrs[`${name}_halves`] ?? op.attrs[name];
    return isWeightRef(w) ? [weights.load(w)] : isTensorAttr(w) ? [w] : [];
  });
  const padding = op.kind === "nn.linear" ? new Array(3 - inputs.length).fill(null) : [];
  const call = { inputs: [...inputs, ...padding, ...held], attrs: op.attrs, outShapes: null };
  return kernelOf(op.kind)?.(call) ?? null;
}

function product(op: Op, x: Tensor, weights: WeightStore): Tensor {
  const [n = 0, width = 0] = x.shape;
  const matrix = matrixOf(op, weights);
  const cols = matrix.length / width;
  const y = new Float32Array(n * cols);
  matmul(toF32(x), matrix, y, { m: n, k: width, n: cols });
  return tensor("f32", [n, cols], y);
}
