/**
 * Inputs of grids that the original model holds in another order or under another scale, such as the
 * patches of a convolution or the whole numbers of a quantiser: computed again, whole.
 */

import { isTensorAttr, isWeightRef, type Op, type Value } from "../../src/ir/op.ts";
import { fromNumbers, toF32 } from "../../src/tensor/convert.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import { isStatic, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { type Recipe, type Redone, recipeOf } from "./recipe.ts";

/** Kinds that are cheap to compute on whole values. */
const ARRANGES: ReadonlySet<string> = new Set(
  ["Reshape", "Transpose", "Pad", "Gather", "Slice", "Split", "Concat", "Squeeze", "Unsqueeze"]
    .concat(["DequantizeLinear", "QuantizeLinear", "Cast"])
    .map((name) => `onnx.${name}`),
);

/** Longer chains are no rearrangement any more. */
const LONGEST = 8;

/** Elements of the largest value that is computed again: 64 MiB of float32. */
const LARGEST = 1 << 24;

const REDONE: Redone = {
  takesConstant: () => true,
  takes: (op) =>
    ARRANGES.has(op.kind) &&
    op.results.every((r) => isStatic(r.type) && sizeOf(r.type.shape) <= LARGEST),
  operands: (op) => op.operands,
  longest: LONGEST,
};

/** The operations that arrange a value from what `isShown`, and those values; null if none do. */
export const arrangement = (
  value: Value,
  producers: ReadonlyMap<Value, Op>,
  isShown: (v: Value) => boolean,
): Recipe | null => recipeOf(value, producers, isShown, REDONE);

/** The value for one sample; `given` holds that sample's values of its sources. */
export function arranged(
  value: Value,
  ops: readonly Op[],
  given: ReadonlyMap<Value, Float32Array | undefined>,
  producers: ReadonlyMap<Value, Op>,
  weights: WeightStore,
): Float32Array | null {
  const known = new Map<Value, Tensor>();
  for (const [v, values] of given) {
    if (!values || !isStatic(v.type)) return null;
    known.set(v, fromNumbers(v.type.elem, v.type.shape, values));
  }
  const read = (v: Value | null): Tensor | null => {
    if (v === null) return null;
    const constant = producers.get(v)?.attrs["value"];
    if (isWeightRef(constant)) return weights.load(constant);
    return isTensorAttr(constant) ? constant : (known.get(v) ?? null);
  };
  for (const op of ops) {
    const outShapes = op.results.map((r) => r.type.shape.map((d) => d ?? 0));
    const call = { inputs: op.operands.map(read), attrs: op.attrs, outShapes };
    const results = kernelOf(op.kind)?.(call) ?? [];
    for (const [i, r] of op.results.entries()) if (results[i]) known.set(r, results[i]);
  }
  const found = known.get(value);
  return found ? toF32(found) : null;
}
