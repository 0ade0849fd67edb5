/**
 * fold-constants: replace every operation whose operands are all constant by its results.
 *
 * Before: types are inferred.
 * After: no operation but DequantizeLinear has only constant operands, and no Shape of a value with
 * known dimensions is left. Quantised weights stay quantised until something needs their values.
 * Why weights too: a transposed or cast weight is a weight, and tiles hold weights, not expressions.
 * Those of weights are computed only when they are asked for.
 */

import {
  isTensorAttr,
  isWeightRef,
  type Module,
  type Op,
  type Value,
  type WeightRef,
} from "../src/ir/op.ts";
import { OPS } from "../src/ir/registry.ts";
import { removeDead } from "../src/ir/rewrite.ts";
import { sizeOf, type Tensor } from "../src/tensor/tensor.ts";
import type { WeightStore } from "../src/weights/store.ts";
import { deferred } from "./infer/deferred.ts";
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
    const known = constantsOf(module);
    const note = (ops: readonly Op[]): readonly Op[] => {
      for (const [v, c] of constantsIn(ops)) known.set(v, c);
      return ops;
    };
    const folded = walk(module, {
      weights,
      limit: Number.POSITIVE_INFINITY,
      replace(op, values) {
        const origin = unite(op, sources);
        for (const v of op.results) sources.set(v, origin);
        return note(
          op.results.flatMap((v, i) =>
            values[i] ? [constant(v, held(v, values[i], weights), origin)] : [],
          ),
        );
      },
      defer(op, load) {
        const refs = deferred(op, (v) => known.get(v) ?? null, load, weights);
        if (!refs) return null;
        const origin = unite(op, sources);
        for (const v of op.results) sources.set(v, origin);
        return note(op.results.flatMap((v, i) => (refs[i] ? [constant(v, refs[i], origin)] : [])));
      },
    });
    return removeDead(folded, OPS);
  },
};

/** The nodes of the operation and of all that was folded into its operands. */
const unite = (op: Op, sources: ReadonlyMap<Value, readonly string[]>): readonly string[] => [
  ...new Set([...op.operands.flatMap((v) => (v && sources.get(v)) ?? []), ...op.origin]),
];

const held = (v: Value, value: Tensor, weights: WeightStore): Tensor | WeightRef =>
  sizeOf(value.shape) <= INLINE ? value : weights.add(v.tensor ?? v.id, value);

const constant = (v: Value, value: Tensor | WeightRef, origin: readonly string[]): Op => ({
  kind: "onnx.Constant",
  operands: [],
  results: [v],
  attrs: { value },
  origin,
});

/** What is known to be constant, growing as operations are folded. */
const constantsOf = (module: Module) => new Map(constantsIn(module.ops));

function constantsIn(ops: readonly Op[]): readonly (readonly [Value, Tensor | WeightRef])[] {
  return ops.flatMap(({ kind, attrs, results }) => {
    const value = attrs["value"];
    const [result] = results;
    if (kind !== "onnx.Constant" || !result || value === undefined) return [];
    return isWeightRef(value) || isTensorAttr(value) ? [[result, value] as const] : [];
  });
}
