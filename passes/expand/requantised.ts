/**
 * ONNX Runtime's operators from integers to integers: real numbers in between, so that raising sees what
 * they compute. They round as QuantizeLinear does, to even, once.
 */

import { floatAttr, intAttr, intsAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { sizeOf } from "../../src/tensor/tensor.ts";
import { type Builder, cannot } from "./builder.ts";
import type { Expansion } from "./expansion.ts";
import { castTo, dimsOf, elemOf, reshape, scaled, transpose } from "./write.ts";

type Operand = Value | null | undefined;

/** A list of one as a number, which belongs to no axis. */
const number = (b: Builder, v: Value): Value =>
  dimsOf(v).length > 0 && sizeOf(dimsOf(v)) === 1 ? reshape(b, v, []) : v;

/** The numbers that integers stand for; lists of scales lie along the axis. */
export function real(b: Builder, x: Value, scale: Operand, zero: Operand, axis = 0): Value {
  if (!scale) cannot("it has no scale");
  const operands = [x, number(b, scale), ...(zero ? [number(b, zero)] : [])];
  return b.op("DequantizeLinear", operands, dimsOf(scale).length > 0 ? { axis } : {});
}

/** Integers for the numbers, of the zero point's type; without one, of x's around zero. */
function integers(b: Builder, y: Value, scale: Operand, zero: Operand, x: Value): Value {
  if (!scale) cannot("it has no scale");
  const middle = zero ? number(b, zero) : b.number(elemOf(x), 0);
  return b.op("QuantizeLinear", [y, number(b, scale), middle]);
}

const binary =
  (type: string): Expansion =>
  (b, _, [x, sx, zx, y, sy, zy, sz, zz]) => {
    if (!y) cannot("it has one operand");
    return [integers(b, b.op(type, [real(b, x, sx, zx), real(b, y, sy, zy)]), sz, zz, x)];
  };

/** Operands: x, its scale, its zero point?, the result's scale, the result's zero point?. */
const unary =
  (meaning: (b: Builder, op: Op, x: Value) => Value): Expansion =>
  (b, op, [x, sx, zx, sy, zy]) => [integers(b, meaning(b, op, real(b, x, sx, zx)), sy, zy, x)];

/** Before opset 13 the axis and all behind it were one. */
function softmaxOf(b: Builder, op: Op, x: Value): Value {
  const shape = dimsOf(x);
  const old = intAttr(op, "opset") < 13;
  const axis = intAttr(op, "axis", old ? 1 : -1);
  if (!old) return b.op("Softmax", [x], { axis });
  const at = axis < 0 ? axis + shape.length : axis;
  const rows = reshape(b, x, [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))]);
  return reshape(b, b.op("Softmax", [rows], { axis: -1 }), shape);
}

/** ONNX Runtime counts whole levels in one, so that its step is not quite the scale that it is given. */
const softmax: Expansion = (b, op, [x, sx, zx, sy, zy]) => {
  const step = toNumbers(b.valueOf(sy) ?? cannot("the scale of its result is not constant"))[0];
  const whole = b.number("f32", 1 / Math.floor(Math.fround(1 / (step ?? 1))));
  return [integers(b, softmaxOf(b, op, real(b, x, sx, zx)), whole, zy, x)];
};

const channelsSecond = (rank: number): number[] => [0, rank - 1, ...counted(rank).slice(1, -1)];
const channelsLast = (rank: number): number[] => [0, ...counted(rank).slice(2), 1];
const counted = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);

/** What `meaning` makes of x with the channels in second place, where the operation has them last. */
function overChannels(b: Builder, isLast: boolean, x: Value, meaning: (x: Value) => Value): Value {
  const rank = dimsOf(x).length;
  if (!isLast) return meaning(x);
  return transpose(b, meaning(transpose(b, x, channelsSecond(rank))), channelsLast(rank));
}

const isLast = (op: Op): boolean => intAttr(op, "channels_last", 0) !== 0;

function without(op: Op, ...names: readonly string[]): Op["attrs"] {
  return Object.fromEntries(Object.entries(op.attrs).filter(([name]) => !names.includes(name)));
}

const pooled =
  (type: string) =>
  (b: Builder, op: Op, x: Value): Value =>
    overChannels(b, isLast(op), x, (v) => b.op(type, [v], without(op, "channels_last")));

const mean = (b: Builder, op: Op, x: Value): Value =>
  b.op("ReduceMean", [x, b.ints(intsAttr(op, "axes"))], { keepdims: intAttr(op, "keepdims", 1) });

/** Operands: the result's scale and zero point, then each part with its own. */
const concat: Expansion = (b, op, [scale, zero, ...rest]) => {
  const parts = rest.flatMap((x, i) =>
    i % 3 === 0 && x ? [real(b, x, rest[i + 1], rest[i + 2])] : [],
  );
  if (!zero) cannot("it has no zero point");
  const all = b.op("Concat", parts, { axis: intAttr(op, "axis") });
  return [integers(b, all, scale, zero, zero)];
};

const where: Expansion = (b, _, [condition, x, sx, zx, y, sy, zy, sz, zz]) => {
  if (!x || !y) cannot("it has no values to choose from");
  const chosen = b.op("Where", [condition, real(b, x, sx, zx), real(b, y, sy, zy)]);
  return [integers(b, chosen, sz, zz, x)];
};

/** Operands: a, its scale and zero point, b, its, integers to add?, the result's scale? and zero point?. */
const gemm: Expansion = (b, op, [x, sx, zx, w, sw, zw, c, sy, zy]) => {
  if (!w || !sx || !sw) cannot("it has no weights");
  const [transA, transB] = [intAttr(op, "transA", 0), intAttr(op, "transB", 0)];
  const alpha = floatAttr(op, "alpha", 1);
  const factors = [real(b, x, sx, zx), real(b, w, sw, zw, 1 - transB)];
  // The integers that are added count in the scale of the product.
  const step = b.op("Mul", [number(b, sx), scaled(b, number(b, sw), alpha)]);
  const bias = c ? [b.op("Mul", [castTo(b, c, "f32"), step])] : [];
  const y = b.op("Gemm", [...factors, ...bias], { alpha, transA, transB });
  return [sy ? integers(b, y, sy, zy, x) : y];
};

const conv: Expansion = (b, op, [x, ...rest]) => {
  const operands = rest.map((v) => v ?? null);
  const attrs = without(op, "channels_last");
  return [overChannels(b, isLast(op), x, (v) => b.op("QLinearConv", [v, ...operands], attrs))];
};

const plain =
  (type: string): Expansion =>
  (b, op, [x, scale, zero]) => {
    if (!scale) cannot("it has no scale");
    const axis = dimsOf(scale).length > 0 ? { axis: intAttr(op, "axis", 1) } : {};
    return [b.op(type, [x, number(b, scale), ...(zero ? [number(b, zero)] : [])], axis)];
  };

export const REQUANTISED: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.QuantizeLinear": plain("QuantizeLinear"),
  "onnx.com.microsoft.DequantizeLinear": plain("DequantizeLinear"),
  "onnx.com.microsoft.QLinearAdd": binary("Add"),
  "onnx.com.microsoft.QLinearMul": binary("Mul"),
  "onnx.com.microsoft.QLinearSigmoid": unary((b, _, x) => b.op("Sigmoid", [x])),
  "onnx.com.microsoft.QLinearLeakyRelu": unary((b, op, x) =>
    b.op("LeakyRelu", [x], { alpha: floatAttr(op, "alpha", 0.01) }),
  ),
  "onnx.com.microsoft.QLinearSoftmax": softmax,
  "onnx.com.microsoft.QLinearReduceMean": unary(mean),
  "onnx.com.microsoft.QLinearAveragePool": unary(pooled("AveragePool")),
  "onnx.com.microsoft.QLinearGlobalAveragePool": unary(pooled("GlobalAveragePool")),
  "onnx.com.microsoft.QLinearConcat": concat,
  "onnx.com.microsoft.QLinearWhere": where,
  "onnx.com.microsoft.QGemm": gemm,
  "onnx.com.microsoft.QLinearConv": conv,
  "onnx.com.microsoft.NhwcMaxPool": (b, op, [x]) => [
    overChannels(b, true, x, (v) => b.op("MaxPool", [v], op.attrs)),
  ],
};
