/** Normalisations that are fused with the sum or the embeddings before them. */

import { floatAttr, intAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { type Builder, cannot } from "./builder.ts";
import { type Expansion, gives } from "./expansion.ts";
import { add, castTo, dimOf, slice } from "./write.ts";

/** Microsoft's default, much smaller than ONNX's. */
const EPSILON = 1e-12;

const layerNorm = (b: Builder, op: Op, operands: readonly (Value | null)[]): Value =>
  b.op("LayerNormalization", operands, { axis: -1, epsilon: floatAttr(op, "epsilon", EPSILON) });

/** The bias joins x first, because x is mostly a product and the bias is its own. */
const skipSum = (b: Builder, x: Value, skip: Value | null | undefined, bias?: Value | null) =>
  add(b, add(b, x, bias), skip);

const skipLayerNorm: Expansion = (b, op, [x, skip, gamma, beta, bias]) => {
  const sum = skipSum(b, x, skip, bias);
  return [layerNorm(b, op, [sum, gamma ?? null, ...(beta ? [beta] : [])]), null, null, sum];
};

const skipRmsNorm: Expansion = (b, op, [x, skip, gamma, bias]) => {
  const sum = skipSum(b, x, skip, bias);
  const epsilon = floatAttr(op, "epsilon", EPSILON);
  const y = b.op("RMSNormalization", [sum, gamma ?? null], { axis: -1, epsilon });
  return [y, null, null, sum];
};

const rmsNorm: Expansion = (b, op, [x, gamma]) => {
  const attrs = { axis: intAttr(op, "axis", -1), epsilon: floatAttr(op, "epsilon", 1e-5) };
  return [b.op("RMSNormalization", [x, gamma ?? null], attrs)];
};

const gather = (b: Builder, table: Value, ids: Value): Value =>
  b.op("Gather", [table, ids], { axis: 0 });

/** How many tokens of each batch entry the mask keeps; 0 without a mask. */
function maskLengths(b: Builder, ids: Value, mask: Value | null | undefined): Value {
  if (!mask)
    return b.constant({ elem: "i32", shape: [dimOf(ids, 0)], data: new Int32Array(dimOf(ids, 0)) });
  const kept = b.op("Equal", [mask, b.number(mask.type.elem, 1)]);
  return b.op("ReduceSum", [castTo(b, kept, "i32"), b.ints([1])], { keepdims: 0 });
}

const embedNorm: Expansion = (b, op, operands) => {
  const [ids, segments, word, position, segment, gamma, beta, mask, positions] = operands;
  if (!word || !position) cannot("it has no table of positions");
  const first = positions
    ? gather(b, position, positions)
    : slice(b, position, 0, 0, dimOf(ids, 1));
  const sum = add(b, gather(b, word, ids), first);
  const whole = segment && segments ? add(b, sum, gather(b, segment, segments)) : sum;
  const y = layerNorm(b, op, [whole, gamma ?? null, beta ?? null]);
  return [y, gives(op, 1) ? maskLengths(b, ids, mask) : null, whole];
};

export const NORM: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.SkipLayerNormalization": skipLayerNorm,
  "onnx.com.microsoft.SkipSimplifiedLayerNormalization": skipRmsNorm,
  "onnx.com.microsoft.EmbedLayerNormalization": embedNorm,
  "onnx.SimplifiedLayerNormalization": rmsNorm,
  "onnx.com.microsoft.SimplifiedLayerNormalization": rmsNorm,
};
