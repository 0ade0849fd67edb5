/** Between floats and the integers that stand for them. */

import type { TensorType } from "../../../tensor/tensor.ts";
import { type Access, type AxisAccess, point, whole } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import type { OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { type Axes, operandShape, pointwise } from "./accesses.ts";
import { elemOfNumber } from "./elements.ts";
import { int, onnxOp } from "./record.ts";
import {
  dimAt,
  equalDim,
  impossible,
  normaliseAxis,
  type Operands,
  type Shape,
  shapeAt,
  typeAt,
  typed,
} from "./shape.ts";

/** Single numbers, which some quantisers write as lists of one and others as scalars. */
const isOne = (...shapes: readonly Shape[]): boolean =>
  shapes.every((shape) => shape.length === 0 || (shape.length === 1 && shape[0] === 1));

/** A scale: of the whole tensor, of each index along the axis, or of each block along it. */
function scaleAxes(op: Op, x: Shape, scale: Shape): Axes {
  if (isOne(scale)) return whole(scale.length);
  const axis = normaliseAxis(intAttr(op, "axis", 1), x.length);
  if (scale.length === 1) return [point(axis)];
  const block = intAttr(op, "block_size", 1);
  return x.map((_, i): AxisAccess => {
    const extent = scale[i];
    if (i !== axis || typeof extent !== "number" || block < 2) return point(i);
    return { kind: "digit", axis: i, stride: block, extent };
  });
}

const scaled = (op: Op): Access => {
  const x = operandShape(op, 0);
  return op.operands.map((o, i) => {
    if (!o) return null;
    return i === 0 ? pointwise(x) : scaleAxes(op, x, o.type.shape);
  });
};

/** A scale per index along the axis, or one per block, lies along an axis that there is. */
function checkScale(op: Op, operands: Operands): void {
  const [x, scale] = [shapeAt(operands, 0), shapeAt(operands, 1)];
  const zero = operands[2]?.type.shape;
  if (zero && !isOne(zero, scale) && zero.length !== scale.length) {
    impossible("scale and zero point differ in shape");
  }
  if (isOne(scale)) return;
  if (scale.length > 1 && scale.length !== x.length) impossible("scale has other axes than x");
  const [count] = scale;
  const axis = normaliseAxis(intAttr(op, "axis", 1), x.length);
  if (scale.length === 1)
    equalDim(count ?? null, dimAt(x, axis), "scale and axis differ in length");
}

/** The integers' type: the zero point's, else the one asked for, else ui8. */
function quantisedElem(op: Op, operands: Operands): TensorType["elem"] {
  const zero = operands[2];
  if (zero) return zero.type.elem;
  const asked = intAttr(op, "output_dtype", 0);
  return asked === 0 ? "ui8" : elemOfNumber(asked);
}

export const QUANTISE_OPS: readonly OpDef[] = [
  onnxOp("QuantizeLinear", {
    doc: "x over its scale, rounded to even, plus the zero point, held within the integer's range.",
    operands: ["x", "scale", "zero_point?"],
    attrs: { axis: int, block_size: int, output_dtype: int, precision: int, saturate: int },
    infer(op, operands) {
      checkScale(op, operands);
      return [typed(quantisedElem(op, operands), shapeAt(operands, 0))];
    },
    access: scaled,
  }),
  onnxOp("DequantizeLinear", {
    doc: "x less its zero point, times its scale.",
    operands: ["x", "scale", "zero_point?"],
    attrs: { axis: int, block_size: int, output_dtype: int },
    infer(op, operands) {
      checkScale(op, operands);
      const asked = intAttr(op, "output_dtype", 0);
      const elem = asked === 0 ? typeAt(operands, 1).elem : elemOfNumber(asked);
      return [typed(elem, shapeAt(operands, 0))];
    },
    access: scaled,
  }),
  onnxOp("DynamicQuantizeLinear", {
    doc: "x in ui8, with the scale and zero point that its range asks for.",
    operands: ["x"],
    results: ["y", "scale", "zero_point"],
    infer: (_, operands) => [
      typed("ui8", shapeAt(operands, 0)),
      typed("f32", []),
      typed("ui8", []),
    ],
  }),
];
