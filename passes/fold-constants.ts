/**
 * fold-constants: replace every operation whose operands are all constant by its results.
 *
 * Before: types are inferred.
 * After: no operation but DequantizeLinear has only constant operands, and no Shape of a value with
 * known dimensions is left. Quantised weights stay quantised until something needs their values.
 * Why weights too: a transposed or cast weight is a weight, and tiles hold weights, not expressions.
 */

import type { Module, Op, Value } from "../src/ir/op.ts";
import { OPS } from "../src/ir/registry.ts";
import { removeDead } from "../src/ir/rewrite.ts";
import { sizeOf, type Tensor } from "../src/tensor/tensor.ts";
import type { WeightStore } from "../src/weights/store.ts";
import { walk } from "./infer/walk.ts";
import type { Pass } from "./pass.ts";

/** Larger results go where the weights are; smaller ones are readable in a dump. */
const INLINE = 64;

export const foldConstants: Pass = {
  name: "fold-constants",
  summary: "replace every operation whose operands are all constant by its results",
  needs: ["typed"],
  gives: ["folded"],
  run(module: Module, { weights }): Module {
    const sources = new Map<Value, readonly string[]>();
    const folded = walk(module, {
      weights,
      limit: Number.POSITIVE_INFINITY,
      replace(op, values) {
        const origin = unite(op, sources);
        for (const v of op.results) sources.set(v, origin);
        return op.results.flatMap((v, i) =>
          values[i] ? [constant(v, values[i], origin, weights)] : [],
        );
      },
    });
    return removeDead(folded, OPS);
  },
};

/** The nodes of the operation and of all that was folded into its operands. */
const unite = (op: Op, sources: ReadonlyMap<Value, readonly string[]>): readonly string[] => [
  ...new Set([...op.operands.flatMap((v) => (v && sources.get(v)) ?? []), ...op.origin]),
];

function constant(v: Value, value: Tensor, origin: readonly string[], weights: WeightStore): Op {
  const held = sizeOf(value.shape) <= INLINE ? value : weights.add(v.tensor ?? v.id, value);
  return { kind: "onnx.Constant", operands: [], results: [v], attrs: { value: held }, origin };
}
