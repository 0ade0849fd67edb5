/**
 * Operators of ONNX Runtime's domain that read and give 8-bit integers, as its quantiser and its optimiser
 * write them (ContribOperators.md). expand-fused writes them out, so they say no more than their types.
 */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { intAttr, intsAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { convShape, padding, poolType, WINDOW } from "./conv.ts";
import { matmulShape } from "./matmul.ts";
import { float, int, ints, microsoftOp } from "./record.ts";
import {
  broadcastShapes,
  dimAt,
  impossible,
  normaliseAxes,
  normaliseAxis,
  type Operands,
  type Shape,
  shapeAt,
  typeAt,
  typed,
} from "./shape.ts";

/** Axes in the order that ONNX asks for: channels behind the batch. */
const channelsSecond = (shape: Shape): Shape => [
  ...shape.slice(0, 1),
  ...shape.slice(-1),
  ...shape.slice(1, -1),
];

const channelsLast = (shape: Shape): Shape => [
  ...shape.slice(0, 1),
  ...shape.slice(2),
  ...shape.slice(1, 2),
];

/** The type of a result over channels, which come last where the operation says so. */
function overChannels(op: Op, x: TensorType, shapeOf: (x: Shape) => Shape): TensorType[] {
  if (intAttr(op, "channels_last", 0) === 0) return [typed(x.elem, shapeOf(x.shape))];
  return [typed(x.elem, channelsLast(shapeOf(channelsSecond(x.shape))))];
}

const binary = (name: string, what: string): OpDef =>
  microsoftOp(name, {
    doc: `The ${what} of two quantised tensors, quantised again.`,
    operands: ["a", "a_scale", "a_zero?", "b", "b_scale", "b_zero?", "y_scale", "y_zero?"],
    infer: (_, operands) => [
      typed(typeAt(operands, 0).elem, broadcastShapes(shapeAt(operands, 0), shapeAt(operands, 3))),
    ],
  });

/** One quantised tensor in, one out. */
const unary = (
  name: string,
  what: string,
  attrs: OpDef["attrs"],
  infer: (op: Op, operands: Operands) => TensorType[],
): OpDef =>
  microsoftOp(name, {
    doc: `The ${what} of a quantised tensor, quantised again.`,
    operands: ["x", "x_scale", "x_zero?", "y_scale", "y_zero?"],
    attrs,
    infer,
  });

const same = (_: Op, operands: Operands): TensorType[] => [typeAt(operands, 0)];

function reducedType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const axes = normaliseAxes(intsAttr(op, "axes"), shape.length);
  const kept = shape.map((d, i) => (axes.includes(i) ? 1 : d));
  return [
    typed(elem, intAttr(op, "keepdims", 1) ? kept : kept.filter((_, i) => !axes.includes(i))),
  ];
}

/** Operands: the result's scale and zero point, then value, scale and zero point of each part. */
function concatType(op: Op, operands: Operands): TensorType[] {
  const parts = operands.slice(2).filter((_, i) => i % 3 === 0);
  const [first = impossible("has no parts"), ...more] = parts.map((p) => p?.type.shape ?? []);
  const axis = normaliseAxis(intAttr(op, "axis"), first.length);
  const sizes = [first, ...more].map((shape) => dimAt(shape, axis));
  const total = sizes.reduce<Dim>((sum, d) => (sum === null || d === null ? null : sum + d), 0);
  return [typed(typeAt(operands, 1).elem, first.with(axis, total))];
}

const turned = (shape: Shape, flag: boolean): Shape => (flag ? shape.toReversed() : shape);

function gemmType(op: Op, operands: Operands): TensorType[] {
  const a = turned(shapeAt(operands, 0), intAttr(op, "transA", 0) !== 0);
  const b = turned(shapeAt(operands, 3), intAttr(op, "transB", 0) !== 0);
  return [typed(operands[8]?.type.elem ?? "f32", matmulShape(a, b))];
}

function embedType(_: Op, operands: Operands): TensorType[] {
  const [batch = null, tokens = null] = shapeAt(operands, 0);
  const hidden = dimAt(shapeAt(operands, 2), 1);
  return [typed("f32", [batch, tokens, hidden]), typed("i32", [batch])];
}

function attentionType(op: Op, operands: Operands): TensorType[] {
  const [batch = null, tokens = null] = shapeAt(operands, 0);
  const { elem } = typeAt(operands, 3);
  const packed = dimAt(shapeAt(operands, 1), 1);
  const hidden = packed === null ? null : packed / 3;
  const heads = intAttr(op, "num_heads");
  const past = operands[8] ? dimAt(shapeAt(operands, 8), 3) : 0;
  const keys = past === null || tokens === null ? null : past + tokens;
  const present = [2, batch, heads, keys, hidden === null ? null : hidden / heads];
  return [typed(elem, [batch, tokens, hidden]), typed(elem, present)];
}

function gatheredType(op: Op, operands: Operands): TensorType[] {
  const [data, ids] = [shapeAt(operands, 0), shapeAt(operands, 1)];
  const axis = normaliseAxis(intAttr(op, "gather_axis", 0), data.length);
  const packed = typeAt(operands, 0).elem === "ui8" ? 8 / intAttr(op, "bits", 4) : 1;
  const last = data.length - 1;
  const whole = data.map((d, i) => (d !== null && i === last ? d * packed : d));
  const shape = [...whole.slice(0, axis), ...ids, ...whole.slice(axis + 1)];
  return [typed(typeAt(operands, 2).elem, shape)];
}

const QUANTISED_EMBEDDING = ["word", "position", "segment", "gamma", "beta"];

export const MICROSOFT_QUANTISED_OPS: readonly OpDef[] = [
  microsoftOp("QuantizeLinear", {
    doc: "QuantizeLinear, with 16-bit integers before ONNX had them.",
    operands: ["x", "scale", "zero_point?"],
    attrs: { axis: int },
    infer: (_, operands) => [typed(operands[2]?.type.elem ?? "ui8", shapeAt(operands, 0))],
  }),
  microsoftOp("DequantizeLinear", {
    doc: "DequantizeLinear, with 16-bit integers before ONNX had them.",
    operands: ["x", "scale", "zero_point?"],
    attrs: { axis: int },
    infer: (_, operands) => [typed(typeAt(operands, 1).elem, shapeAt(operands, 0))],
  }),
  binary("QLinearAdd", "sum"),
  binary("QLinearMul", "product"),
  unary("QLinearSigmoid", "sigmoid", {}, same),
  unary("QLinearLeakyRelu", "leaky ReLU", { alpha: float }, same),
  unary("QLinearSoftmax", "softmax", { axis: int, opset: attr.int }, same),
  unary("QLinearReduceMean", "mean", { axes: attr.ints, keepdims: int }, reducedType),
  unary(
    "QLinearAveragePool",
    "mean of each window",
    {
      ...WINDOW,
      ceil_mode: int,
      channels_last: int,
      count_include_pad: int,
      kernel_shape: attr.ints,
    },
    (op, operands) =>
      overChannels(op, typeAt(operands, 0), (shape) => {
        const x = { type: typed("f32", shape) };
        return poolType(op, [x])[0]?.shape ?? [];
      }),
  ),
  unary("QLinearGlobalAveragePool", "mean of each channel", { channels_last: int }, (op, given) =>
    overChannels(op, typeAt(given, 0), (shape) => shape.map((d, i) => (i < 2 ? d : 1))),
  ),
  microsoftOp("QLinearConcat", {
    doc: "Quantised tensors one behind the other, in one scale.",
    operands: ["y_scale", "y_zero", "parts*"],
    attrs: { axis: attr.int },
    infer: concatType,
  }),
  microsoftOp("QLinearWhere", {
    doc: "The elements of one quantised tensor or the other, in one scale.",
    operands: [
      ...["condition", "x", "x_scale", "x_zero"],
      ...["y", "y_scale", "y_zero", "z_scale", "z_zero"],
    ],
    infer: (_, operands) => [
      typed(
        typeAt(operands, 1).elem,
        broadcastShapes(...[0, 1, 4].map((i) => shapeAt(operands, i))),
      ),
    ],
  }),
  microsoftOp("QGemm", {
    doc: "alpha times the product of two quantised matrices, plus 32-bit integers of the same scale.",
    operands: [
      ...["a", "a_scale", "a_zero", "b", "b_scale", "b_zero"],
      ...["c?", "y_scale?", "y_zero?"],
    ],
    attrs: { alpha: float, transA: int, transB: int },
    infer: gemmType,
  }),
  microsoftOp("QLinearConv", {
    doc: "QLinearConv whose channels may come last.",
    operands: [
      ...["x", "x_scale", "x_zero", "weight", "weight_scale", "weight_zero"],
      ...["y_scale", "y_zero", "bias?"],
    ],
    attrs: { ...WINDOW, channels_last: int, group: int, kernel_shape: ints },
    verify: padding,
    infer: (op, operands) =>
      overChannels(op, { elem: typeAt(operands, 7).elem, shape: shapeAt(operands, 0) }, (shape) =>
        convShape(op, shape, shapeAt(operands, 3)),
      ),
  }),
  microsoftOp("NhwcMaxPool", {
    doc: "The largest element in each window, with the channels last.",
    operands: ["x"],
    attrs: { ...WINDOW, ceil_mode: int, kernel_shape: attr.ints },
    verify: padding,
    infer(op, operands) {
      const { elem, shape } = typeAt(operands, 0);
      const [y] = poolType(op, [{ type: typed(elem, channelsSecond(shape)) }]);
      return [typed(elem, channelsLast(y?.shape ?? []))];
    },
  }),
  microsoftOp("QAttention", {
    doc: "Attention whose input and weights are quantised.",
    operands: [
      ...["x", "weights", "bias", "x_scale", "weights_scale"],
      ...["mask_index?", "x_zero?", "weights_zero?", "past?"],
    ],
    results: ["y", "present?"],
    attrs: {
      do_rotary: int,
      mask_filter_value: float,
      num_heads: attr.int,
      past_present_share_buffer: int,
      scale: float,
      unidirectional: int,
    },
    infer: attentionType,
  }),
  microsoftOp("QEmbedLayerNormalization", {
    doc: "EmbedLayerNormalization of quantised tables.",
    operands: [
      ...["input_ids", "segment_ids?", "word_embedding", "position_embedding"],
      ...["segment_embedding?", "gamma", "beta", "mask?"],
      ...QUANTISED_EMBEDDING.map((name) => `${name}_scale${name === "segment" ? "?" : ""}`),
      ...QUANTISED_EMBEDDING.map((name) => `${name}_zero${name === "segment" ? "?" : ""}`),
    ],
    results: ["y", "mask_index?"],
    attrs: { epsilon: float },
    infer: embedType,
  }),
  microsoftOp("GatherBlockQuantized", {
    doc: "Rows of a table of small integers, which is quantised by blocks, in real numbers.",
    operands: ["data", "indices", "scales", "zero_points?"],
    attrs: { bits: int, block_size: int, gather_axis: int, quantize_axis: int },
    infer: gatheredType,
  }),
  microsoftOp("MatMulBnb4", {
    doc: "The product with a matrix of codes for sixteen real numbers, scaled by blocks.",
    operands: ["a", "codes", "absmax"],
    attrs: {
      K: attr.int,
      N: attr.int,
      block_size: attr.int,
      quant_type: attr.int,
      training_mode: int,
      transB: int,
    },
    infer(op, operands) {
      const { elem, shape } = typeAt(operands, 0);
      const width = intAttr(op, intAttr(op, "transB", 1) !== 0 ? "N" : "K");
      return [typed(elem, [...shape.slice(0, -1), width])];
    },
  }),
];
