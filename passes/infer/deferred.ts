/**
 * Weights that an exporter turned around, cut or converted: constants again, but computed only when they are
 * asked for, so that folding a model's weights does not hold them all.
 */

import { createHash } from "node:crypto";
import { isTensorAttr, isWeightRef, type Op, type Value, type WeightRef } from "../../src/ir/op.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import { isStatic, sizeOf, type Tensor, toBytes } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";

/** Operations that make a weight of weights. Others make masks and tables, which passes look into often. */
const OF_WEIGHTS = new Set(
  [
    "Cast",
    "Concat",
    "Flatten",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
  ].map((name) => `onnx.${name}`),
);

/** Smaller results are computed at once. */
const LARGE = 1 << 16;

/** References to the results; null where the operation is better evaluated, or is not constant. */
export function deferred(
  op: Op,
  constantOf: (v: Value) => Tensor | WeightRef | null,
  load: (v: Value) => Tensor | null,
  weights: WeightStore,
): readonly WeightRef[] | null {
  const operands = op.operands.map((v) => v && constantOf(v));
  const [first] = operands;
  if (!OF_WEIGHTS.has(op.kind) || !weights.defer || !first || !isWeightRef(first)) return null;
  if (op.operands.some((v, i) => v && !operands[i])) return null;
  if (op.kind === "onnx.Identity") return [first];
  const kernel = KERNELS.get(op.kind.replace(/^onnx\./, ""));
  if (!kernel || !op.results.every(({ type }) => isStatic(type) && sizeOf(type.shape) >= LARGE)) {
    return null;
  }
  const shapes = op.results.flatMap(({ type }) => (isStatic(type) ? [type.shape] : []));
  const compute = (i: number): Tensor => {
    const inputs = op.operands.map((v) => v && load(v));
    const value = kernel({ inputs, attrs: op.attrs, outShapes: shapes })[i];
    if (!value) throw new Error(`${op.kind} has no result ${i}`);
    return value;
  };
  const identity = identityOf(op, operands);
  return op.results.map((v, i) => {
    const type = { elem: v.type.elem, shape: shapes[i] ?? [] };
    const name = v.tensor ?? v.id;
    return weights.defer?.(name, type, identity(i), () => compute(i)) as WeightRef;
  });
}

/** Equal for results of the same operation on the same constants. */
function identityOf(
  op: Op,
  operands: readonly (Tensor | WeightRef | null)[],
): (result: number) => string {
  const parts = operands.map((c) => {
    if (c === null) return null;
    return isWeightRef(c) ? [c.sha256, c.type] : Buffer.from(toBytes(c)).toString("base64");
  });
  const types = op.results.map((r) => r.type);
  const attrs = Object.entries(op.attrs).map(([k, a]) => [k, isTensorAttr(a) ? [...a.data] : a]);
  const text = JSON.stringify([op.kind, attrs.map(String), parts, types]);
  return (i) => `place:${createHash("sha256").update(`${i} ${text}`).digest("hex")}`;
}
