/** Normalisations that are fused with the sum or the embeddings before them. */

import { floatAttr, intAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { type Builder, cannot } from "./builder.ts";
import { type Expansion, gives } from "./expansion.ts";
import { real } from "./requantised.ts";
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

interface Embedding {
  /** Rows of the three tables. */
  readonly word: Value;
  readonly position: Value;
  readonly segment: Value | null | undefined;
  readonly gamma: Value | null | undefined;
  readonly beta: Value | null | undefined;
}

function embedded(b: Builder, op: Op, rows: Embedding): readonly [y: Value, sum: Value] {
  const { word, position, segment, gamma, beta } = rows;
  const sum = add(b, add(b, word, position), segment);
  return [layerNorm(b, op, [sum, gamma ?? null, beta ?? null]), sum];
}

const embedNorm: Expansion = (b, op, operands) => {
  const [ids, segments, words, places, kinds, gamma, beta, mask, positions] = operands;
  if (!words || !places) cannot("it has no table of positions");
  const [y, sum] = embedded(b, op, {
    word: gather(b, words, ids),
    position: positions ? gather(b, places, positions) : slice(b, places, 0, 0, dimOf(ids, 1)),
    segment: kinds && segments && gather(b, kinds, segments),
    gamma,
    beta,
  });
  return [y, gives(op, 1) ? maskLengths(b, ids, mask) : null, sum];
};

/** Operands: those of the real one but positions, then scales and zero points of the five constants. */
const quantisedEmbedNorm: Expansion = (b, op, operands) => {
  const [ids, segments, words, places, kinds, gamma, beta, mask, ...rest] = operands;
  if (!words || !places) cannot("it has no table of positions");
  // Integers are looked up, so that the tables stay as small as they are.
  const unpacked = (x: Value | null | undefined, i: number) =>
    x && real(b, x, rest[i], rest[i + 5]);
  const rows = {
    word: unpacked(gather(b, words, ids), 0),
    position: unpacked(slice(b, places, 0, 0, dimOf(ids, 1)), 1),
    segment: kinds && segments && unpacked(gather(b, kinds, segments), 2),
  };
  const { word, position, segment } = rows;
  if (!word || !position) cannot("it has no scales");
  const [y] = embedded(b, op, {
    word,
    position,
    segment,
    gamma: unpacked(gamma, 3),
    beta: unpacked(beta, 4),
  });
  return [y, gives(op, 1) ? maskLengths(b, ids, mask) : null];
};

export const NORM: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.SkipLayerNormalization": skipLayerNorm,
  "onnx.com.microsoft.SkipSimplifiedLayerNormalization": skipRmsNorm,
  "onnx.com.microsoft.EmbedLayerNormalization": embedNorm,
  "onnx.com.microsoft.QEmbedLayerNormalization": quantisedEmbedNorm,
  "onnx.SimplifiedLayerNormalization": rmsNorm,
  "onnx.com.microsoft.SimplifiedLayerNormalization": rmsNorm,
};
