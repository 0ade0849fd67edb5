/**
 * Operators of ONNX Runtime's domain that are one or two of ONNX's (ContribOperators.md). expand-fused
 * writes them out, so they say no more than their types.
 */

import type { TensorType } from "../../../tensor/tensor.ts";
import { attr, type OpDef, optional } from "../../define.ts";
import type { Op } from "../../op.ts";
import { convType, padding, WINDOW } from "./conv.ts";
import { matmulShape } from "./matmul.ts";
import { fusedMatMulType } from "./microsoft.ts";
import { float, int, ints, microsoftOp, string } from "./record.ts";
import {
  commonElem,
  impossible,
  normaliseAxis,
  numbersAt,
  type Operands,
  shapeAt,
  typeAt,
  typed,
} from "./shape.ts";

function wider(_: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const [axis] = numbersAt(operands, 1) ?? impossible("the axis depends on data");
  const at = normaliseAxis(axis ?? 0, shape.length + 1);
  return [typed(elem, [...shape.slice(0, at), 1, ...shape.slice(at)])];
}

export const MICROSOFT_PLAIN_OPS: readonly OpDef[] = [
  microsoftOp("FusedConv", {
    doc: "An activation of a convolution, to which something may be added.",
    operands: ["x", "weight", "bias?", "sum?"],
    attrs: {
      ...WINDOW,
      activation: string,
      activation_params: optional(attr.floats),
      group: int,
      kernel_shape: ints,
    },
    verify: padding,
    infer: convType,
  }),
  microsoftOp("TransposeMatMul", {
    doc: "FusedMatMul, as it was called at first.",
    operands: ["a", "b"],
    attrs: { alpha: float, transA: int, transB: int, transBatchA: int, transBatchB: int },
    infer: fusedMatMulType,
  }),
  microsoftOp("GemmFastGelu", {
    doc: "The tanh approximation of Gelu, of a matrix product plus a bias.",
    operands: ["a", "b", "bias?"],
    infer: (_, operands) => [
      typed(commonElem(operands), matmulShape(shapeAt(operands, 0), shapeAt(operands, 1))),
    ],
  }),
  microsoftOp("Trilu", {
    doc: "Trilu, from before ONNX had it.",
    operands: ["x", "k?"],
    attrs: { upper: int },
    infer: (_, operands) => [typeAt(operands, 0)],
  }),
  microsoftOp("ExpandDims", {
    doc: "x with one more axis, of size one.",
    operands: ["x", "axis"],
    infer: wider,
  }),
];
