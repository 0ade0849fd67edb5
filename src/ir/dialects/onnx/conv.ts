/** Convolution and pooling over [batch, channel, spatial …]. */

import { spreads } from "../../../tensor/kernels/conv-transpose.ts";
import { type Dim, type Elem, isFloat, type TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, type AxisAccess, point } from "../../access.ts";
import { intAttr, intsAttr, stringAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { operandShape } from "./accesses.ts";
import { int, ints, oneOf, onnxOp, string } from "./record.ts";
import {
  commonElem,
  dimAt,
  equalDim,
  equalShape,
  impossible,
  type Operands,
  type Shape,
  shapeAt,
  typeAt,
  typed,
  wrongElem,
} from "./shape.ts";

const repeat = (n: number, value: number): number[] => new Array<number>(n).fill(value);

/** One number for each axis (or end of one), none below the least. */
function counts(name: string, values: readonly number[], length: number, least: number): void {
  if (values.length === length && values.every((v) => v >= least)) return;
  impossible(`${name} [${values.join(", ")}] must be ${length} numbers of at least ${least}`);
}

/** Spatial dimensions of the result of a window that slides over x. */
function slide(op: Op, spatial: Shape, kernel: Shape): Dim[] {
  const n = spatial.length;
  const strides = intsAttr(op, "strides", repeat(n, 1));
  const dilations = intsAttr(op, "dilations", repeat(n, 1));
  const pads = intsAttr(op, "pads", repeat(2 * n, 0));
  const auto = stringAttr(op, "auto_pad", "NOTSET");
  const ceil = intAttr(op, "ceil_mode", 0) !== 0;
  counts("strides", strides, n, 1);
  counts("dilations", dilations, n, 1);
  counts("pads", pads, 2 * n, 0);
  counts("kernel_shape", intsAttr(op, "kernel_shape", repeat(n, 1)), n, 1);
  return spatial.map((dim, i) => {
    const size = dimAt(kernel, i);
    if (dim === null || size === null) return null;
    const stride = strides[i] ?? 1;
    const extent = (size - 1) * (dilations[i] ?? 1) + 1;
    if (auto.startsWith("SAME")) return Math.ceil(dim / stride);
    const [before, after] = auto === "VALID" ? [0, 0] : [pads[i] ?? 0, pads[i + n] ?? 0];
    const positions = (dim + before + after - extent) / stride;
    if (positions < 0) impossible(`a window of ${extent} does not fit ${dim} elements`);
    return (ceil ? ceiled(positions, dim + before, stride) : Math.floor(positions)) + 1;
  });
}

/** Rounding up must not start a window behind the end of x. */
function ceiled(positions: number, end: number, stride: number): number {
  const up = Math.ceil(positions);
  return up * stride >= end ? up - 1 : up;
}

export function convType(op: Op, operands: Operands): TensorType[] {
  const elem = floatElem(operands);
  const shape = convShape(op, shapeAt(operands, 0), shapeAt(operands, 1));
  if (operands[2]) equalShape(shapeAt(operands, 2), shape.slice(1, 2), "the bias does not fit");
  return [typed(elem, shape)];
}

function floatElem(operands: Operands): Elem {
  const elem = commonElem(operands);
  if (!isFloat(elem)) wrongElem(`takes floats, not ${elem}`);
  return elem;
}

export function convShape(op: Op, x: Shape, w: Shape): Dim[] {
  if (x.length < 3 || x.length !== w.length) impossible("x and the weight must agree in rank");
  const channels = dimAt(w, 1);
  const total = channels === null ? null : channels * intAttr(op, "group", 1);
  equalDim(dimAt(x, 1), total, "the channels of x and of the weight differ");
  const kernel = intsAttr(op, "kernel_shape", []);
  for (const [i, size] of kernel.entries()) equalDim(size, dimAt(w, i + 2), "kernel_shape");
  const features = dimAt(w, 0);
  if (features !== null && features % intAttr(op, "group", 1) !== 0) impossible("uneven groups");
  return [dimAt(x, 0), features, ...slide(op, x.slice(2), w.slice(2))];
}

/**
 * A channel of the result needs its own filters and every channel of x. In groups it needs those of its group
 * alone, but which they are a block of filters does not tell: there all of them are read.
 */
const channelOf = (op: Op): AxisAccess => (intAttr(op, "group", 1) === 1 ? point(1) : ALL);

const convAccess = (op: Op): Access => {
  const filters = operandShape(op, 1).map((_, i) => (i === 0 ? channelOf(op) : ALL));
  const x = operandShape(op, 0).map((_, i) => (i === 0 ? point(0) : ALL));
  return op.operands.map((o, i) => (o ? ([x, filters, [channelOf(op)]][i] ?? []) : null));
};

function convTransposeType(op: Op, operands: Operands): TensorType[] {
  const elem = floatElem(operands);
  const [x, w] = [shapeAt(operands, 0), shapeAt(operands, 1)];
  if (x.length < 3 || x.length !== w.length) impossible("x and the weight must agree in rank");
  equalDim(dimAt(x, 1), dimAt(w, 0), "the channels of x and of the weight differ");
  const group = intAttr(op, "group", 1);
  if (group < 1 || (dimAt(x, 1) ?? group) % group !== 0) impossible("uneven groups");
  const n = x.length - 2;
  const how = {
    strides: intsAttr(op, "strides", repeat(n, 1)),
    dilations: intsAttr(op, "dilations", repeat(n, 1)),
    pads: intsAttr(op, "pads", repeat(2 * n, 0)),
    outputPadding: intsAttr(op, "output_padding", repeat(n, 0)),
    outputShape: op.attrs["output_shape"] === undefined ? null : intsAttr(op, "output_shape"),
    auto: stringAttr(op, "auto_pad", "NOTSET"),
  };
  counts("strides", how.strides, n, 1);
  counts("dilations", how.dilations, n, 1);
  counts("pads", how.pads, 2 * n, 0);
  counts("output_padding", how.outputPadding, n, 0);
  const features = dimAt(w, 1);
  const all = features === null ? null : features * group;
  if (operands[2]) equalShape(shapeAt(operands, 2), [all], "the bias does not fit");
  const sizes = [...x.slice(2), ...w.slice(2)].filter((d) => d !== null);
  const output =
    sizes.length < 2 * n
      ? repeat(n, 0).map(() => null)
      : spreads(sizes.slice(0, n), sizes.slice(n), how).map((a) => a.output);
  return [typed(elem, [dimAt(x, 0), all, ...output])];
}

const transposedAccess = (op: Op): Access =>
  op.operands.map((o, i) => {
    if (!o) return null;
    const { shape } = o.type;
    if (i === 0) return shape.map((_, axis) => (axis === 0 ? point(0) : ALL));
    return shape.map(() => ALL);
  });

/** The same where scales and zero points lie between; `weight` is the filters' position. */
const quantisedAccess = (op: Op, weight: number): Access =>
  op.operands.map((o, i) => {
    if (!o) return null;
    const { shape } = o.type;
    if (i === 0) return shape.map((_, axis) => (axis === 0 ? point(0) : ALL));
    if (i === weight) return shape.map((_, axis) => (axis === 0 ? channelOf(op) : ALL));
    return shape.map((d) => (d === 1 ? ALL : channelOf(op)));
  });

const channelwise = (op: Op): Access => [
  operandShape(op, 0).map((_, i) => (i < 2 ? point(i) : ALL)),
];

export function poolType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const kernel = intsAttr(op, "kernel_shape");
  if (kernel.length !== shape.length - 2) impossible(`the kernel needs ${shape.length - 2} sizes`);
  const type = typed(elem, [...shape.slice(0, 2), ...slide(op, shape.slice(2), kernel)]);
  return [type, typed("i64", type.shape)];
}

const globalPool = (name: string, doc: string, attrs: OpDef["attrs"] = {}): OpDef =>
  onnxOp(name, {
    doc,
    operands: ["x"],
    attrs,
    infer(_, operands) {
      const { elem, shape } = typeAt(operands, 0);
      return [
        typed(
          elem,
          shape.map((d, i) => (i < 2 ? d : 1)),
        ),
      ];
    },
    access: channelwise,
  });

export const WINDOW = { auto_pad: string, dilations: ints, pads: ints, strides: ints };

export const padding = (op: Op): Iterable<string> =>
  oneOf(op, "auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]);

export const CONV_OPS: readonly OpDef[] = [
  onnxOp("Conv", {
    doc: "Each channel's filters slid over x, summed over channels, plus the bias.",
    operands: ["x", "weight", "bias?"],
    attrs: { ...WINDOW, group: int, kernel_shape: ints },
    verify: padding,
    infer: convType,
    access: convAccess,
  }),
  onnxOp("ConvInteger", {
    doc: "The convolution of 8-bit integers, less their zero points, in 32 bits.",
    operands: ["x", "weight", "x_zero_point?", "weight_zero_point?"],
    attrs: { ...WINDOW, group: int, kernel_shape: ints },
    verify: padding,
    infer: (op, operands) => [
      typed("i32", convShape(op, shapeAt(operands, 0), shapeAt(operands, 1))),
    ],
    access: (op) => quantisedAccess(op, 1),
  }),
  onnxOp("QLinearConv", {
    doc: "The convolution of quantised tensors, quantised again.",
    operands: [
      "x",
      "x_scale",
      "x_zero_point",
      "weight",
      "weight_scale",
      "weight_zero_point",
      "y_scale",
      "y_zero_point",
      "bias?",
    ],
    attrs: { ...WINDOW, group: int, kernel_shape: ints },
    verify: padding,
    infer: (op, operands) => [
      typed(typeAt(operands, 7).elem, convShape(op, shapeAt(operands, 0), shapeAt(operands, 3))),
    ],
    access: (op) => quantisedAccess(op, 3),
  }),
  onnxOp("ConvTranspose", {
    doc: "Each element's filters, scaled by it, added into the result; plus the bias.",
    operands: ["x", "weight", "bias?"],
    attrs: { ...WINDOW, group: int, kernel_shape: ints, output_padding: ints, output_shape: ints },
    verify: padding,
    infer: convTransposeType,
    access: transposedAccess,
  }),
  onnxOp("LpPool", {
    doc: "The p-norm of each window.",
    operands: ["x"],
    attrs: { ...WINDOW, ceil_mode: int, kernel_shape: attr.ints, p: int },
    verify: padding,
    infer: (op, operands) => poolType(op, operands).slice(0, 1),
    access: channelwise,
  }),
  onnxOp("MaxPool", {
    doc: "The largest element in each window, and its index.",
    operands: ["x"],
    results: ["y", "indices?"],
    attrs: { ...WINDOW, ceil_mode: int, kernel_shape: attr.ints, storage_order: int },
    verify: padding,
    infer: poolType,
    access: channelwise,
  }),
  onnxOp("AveragePool", {
    doc: "The mean of each window.",
    operands: ["x"],
    attrs: { ...WINDOW, ceil_mode: int, count_include_pad: int, kernel_shape: attr.ints },
    verify: padding,
    infer: (op, operands) => poolType(op, operands).slice(0, 1),
    access: channelwise,
  }),
  globalPool("GlobalAveragePool", "The mean of each channel."),
  globalPool("GlobalMaxPool", "The largest element of each channel."),
  globalPool("GlobalLpPool", "The p-norm of each channel.", { p: int }),
];
