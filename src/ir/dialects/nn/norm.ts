/** Operations that read one whole row for each element of it: norms over the last axis, and softmax. */

import { fromNumbers } from "../../../tensor/convert.ts";
import { type Elem, isFloat, zeros } from "../../../tensor/tensor.ts";
import { type Access, ALL, point } from "../../access.ts";
import { floatAttr, intAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";

/** The row along `axis` in full, the other axes point by point; scale and bias along the last. */
function alongAxis(op: Op, axis: number): Access {
  return op.operands.map((v, i) => {
    if (v === null) return null;
    const rank = v.type.shape.length;
    if (i > 0) return [point((op.results[0]?.type.shape.length ?? 1) - 1)];
    const at = axis < 0 ? axis + rank : axis;
    return v.type.shape.map((_, j) => (j === at ? ALL : point(j)));
  });
}

function* verifyNorm(op: Op): Iterable<string> {
  const [x, ...affine] = op.operands;
  if (!x) return;
  if (!isFloat(x.type.elem)) yield "x must be of a floating-point type";
  const width = x.type.shape.at(-1);
  for (const v of affine) {
    if (v && (v.type.shape.length !== 1 || v.type.shape[0] !== width)) {
      yield `scale and bias must be [${String(width)}], as wide as the last axis of x`;
    }
  }
}

const sameAsX: OpDef["infer"] = (op, [x]) => (x ? [x.type] : op.results.map((r) => r.type));

const elemOf = (op: Op): Elem => op.results[0]?.type.elem ?? "f32";

function ones(elem: Elem, width: number) {
  return fromNumbers(elem, [width], new Float64Array(width).fill(1));
}

const layerNorm: OpDef = {
  kind: "nn.layer_norm",
  levels: ["nn", "aimc"],
  doc: "(x - mean) / sqrt(variance + epsilon) · scale + bias over the last axis (Ba et al., 2016).",
  operands: ["x", "scale?", "bias?"],
  results: ["y"],
  attrs: { epsilon: attr.float },
  verify: verifyNorm,
  infer: sameAsX,
  access: (op) => alongAxis(op, -1),
  toOnnx(op, graph, [x = "", scale = "", bias = ""], outputs) {
    const width = op.operands[0]?.type.shape.at(-1) ?? 1;
    const gain = scale === "" ? graph.constant(ones(elemOf(op), width)) : scale;
    const shift = bias === "" ? graph.constant(zeros(elemOf(op), [width])) : bias;
    const attrs = { axis: { int: -1 }, epsilon: { float: floatAttr(op, "epsilon") } };
    graph.node("LayerNormalization", [x, gain, shift], attrs, { outputs });
  },
};

const rmsNorm: OpDef = {
  kind: "nn.rms_norm",
  levels: ["nn", "aimc"],
  doc: "x / sqrt(mean(x²) + epsilon) · scale over the last axis (Zhang and Sennrich, 2019).",
  operands: ["x", "scale?"],
  results: ["y"],
  attrs: { epsilon: attr.float },
  verify: verifyNorm,
  infer: sameAsX,
  access: (op) => alongAxis(op, -1),
  toOnnx(op, graph, [x = "", scale = ""], outputs) {
    const epsilon = graph.constant(fromNumbers(elemOf(op), [], [floatAttr(op, "epsilon")]));
    const axes = graph.constant(fromNumbers("i64", [1], [-1]));
    const square = graph.node("Mul", [x, x]);
    const mean = graph.node("ReduceMean", [square, axes], { keepdims: { int: 1 } });
    const root = graph.node("Sqrt", [graph.node("Add", [mean, epsilon])]);
    const unit = graph.node("Div", [x, root], {}, scale === "" ? { outputs } : {});
    if (scale !== "") graph.node("Mul", [unit, scale], {}, { outputs });
  },
};

const softmax: OpDef = {
  kind: "nn.softmax",
  levels: ["nn", "aimc"],
  doc: "exp(x) / sum(exp(x)) along one axis.",
  operands: ["x"],
  results: ["y"],
  attrs: { axis: attr.int },
  *verify(op) {
    const rank = op.operands[0]?.type.shape.length ?? 0;
    const axis = intAttr(op, "axis");
    if (axis < -rank || axis >= rank) yield `axis ${axis} is outside of ${rank} axes`;
  },
  infer: sameAsX,
  access: (op) => alongAxis(op, intAttr(op, "axis")),
  toOnnx(op, graph, inputs, outputs) {
    graph.node("Softmax", inputs, { axis: { int: intAttr(op, "axis") } }, { outputs });
  },
};

export const NORM_OPS: readonly OpDef[] = [layerNorm, rmsNorm, softmax];
