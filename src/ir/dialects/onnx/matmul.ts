/** Matrix products. */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { type Access, broadcast, point, whole } from "../../access.ts";
import { intAttr, stringAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { matmulAxes, operandShape, resultShape } from "./accesses.ts";
import { einsumAccess, einsumShape } from "./einsum.ts";
import { float, int, onnxOp } from "./record.ts";
import {
  broadcastShapes,
  bytes,
  commonElem,
  dimAt,
  equalDim,
  impossible,
  type Operands,
  type Shape,
  shapeAt,
  stretchable,
  typeAt,
  typed,
} from "./shape.ts";

/** Numpy's matmul: a vector counts as a row on the left, as a column on the right, and vanishes. */
export function matmulShape(a: Shape, b: Shape): Dim[] {
  if (a.length === 0 || b.length === 0) impossible("a scalar has no matrix product");
  const [rows, inner] = a.length === 1 ? [[], a[0]] : [a.slice(-2, -1), a.at(-1)];
  const [depth, columns] = b.length === 1 ? [b[0], []] : [b.at(-2), b.slice(-1)];
  equalDim(inner ?? null, depth ?? null, "the contracted dimensions differ");
  return [...broadcastShapes(a.slice(0, -2), b.slice(0, -2)), ...rows, ...columns];
}

/** The matrix operands' relation, everything else read in full. */
function matmulAccess(op: Op, left: number, right: number): Access {
  const [a, b] = matmulAxes(operandShape(op, left), operandShape(op, right));
  return op.operands.map((o, i) => {
    if (!o) return null;
    if (i === left) return a;
    return i === right ? b : whole(o.type.shape.length);
  });
}

export const GEMM_ATTRS = { alpha: float, beta: float, transA: int, transB: int };

const oriented = (shape: Shape, transposed: boolean): Shape =>
  transposed ? shape.toReversed() : shape;

export function gemmType(op: Op, operands: Operands): TensorType[] {
  const elem = commonElem(operands);
  const [a, b] = [shapeAt(operands, 0), shapeAt(operands, 1)];
  if (a.length !== 2 || b.length !== 2) impossible("both factors must be matrices");
  const left = oriented(a, intAttr(op, "transA", 0) !== 0);
  const right = oriented(b, intAttr(op, "transB", 0) !== 0);
  equalDim(dimAt(left, 1), dimAt(right, 0), "the contracted dimensions differ");
  const shape = [dimAt(left, 0), dimAt(right, 1)];
  if (operands[2]) stretchable(shapeAt(operands, 2), shape, "c");
  return [typed(elem, shape)];
}

export function gemmAccess(op: Op): Access {
  const [a, b] = matmulAxes(
    operandShape(op, 0),
    operandShape(op, 1),
    intAttr(op, "transA", 0) !== 0,
    intAttr(op, "transB", 0) !== 0,
  );
  const c = op.operands[2];
  return [a, b, ...(c ? [broadcast(c.type.shape, resultShape(op))] : [])];
}

/** A scale or zero point: of the whole tensor, or one for each index of the result's axis. */
const perAxis = (shape: Shape, axis: number) =>
  shape.length === 1 && shape[0] !== 1 ? [point(axis)] : whole(shape.length);

function integerAccess(op: Op): Access {
  const [a, b] = matmulAxes(operandShape(op, 0), operandShape(op, 1));
  const rank = resultShape(op).length;
  const rest = [rank - 2, rank - 1].flatMap((axis, i) => {
    const o = op.operands[i + 2];
    return o ? [perAxis(o.type.shape, axis)] : i + 2 < op.operands.length ? [null] : [];
  });
  return [a, b, ...rest];
}

export const MATMUL_OPS: readonly OpDef[] = [
  onnxOp("MatMul", {
    doc: "The matrix product over the last axis of a and the last but one of b.",
    operands: ["a", "b"],
    infer: (_, operands) => [
      typed(commonElem(operands), matmulShape(shapeAt(operands, 0), shapeAt(operands, 1))),
    ],
    access: (op) => matmulAccess(op, 0, 1),
  }),
  onnxOp("Gemm", {
    doc: "alpha a b + beta c, with a or b transposed where transA or transB is 1.",
    operands: ["a", "b", "c?"],
    attrs: GEMM_ATTRS,
    infer: gemmType,
    access: gemmAccess,
  }),
  onnxOp("MatMulInteger", {
    doc: "The matrix product of 8-bit integers, less their zero points, in 32 bits.",
    operands: ["a", "b", "a_zero_point?", "b_zero_point?"],
    infer(_, operands) {
      bytes(operands, 0, 1);
      return [typed("i32", matmulShape(shapeAt(operands, 0), shapeAt(operands, 1)))];
    },
    access: integerAccess,
  }),
  onnxOp("QLinearMatMul", {
    doc: "The matrix product of quantised tensors, quantised again.",
    operands: [
      "a",
      "a_scale",
      "a_zero_point",
      "b",
      "b_scale",
      "b_zero_point",
      "y_scale",
      "y_zero_point",
    ],
    infer(_, operands) {
      bytes(operands, 0, 3, 7);
      const shape = matmulShape(shapeAt(operands, 0), shapeAt(operands, 3));
      return [typed(typeAt(operands, 7).elem, shape)];
    },
    access: (op) => matmulAccess(op, 0, 3),
  }),
  onnxOp("Einsum", {
    doc: "Products summed over the indices that the equation's result does not name.",
    operands: ["x*"],
    attrs: { equation: attr.string },
    infer(op, operands) {
      const shapes = operands.map((_, i) => shapeAt(operands, i));
      return [typed(commonElem(operands), einsumShape(stringAttr(op, "equation"), shapes))];
    },
    access: (op) =>
      einsumAccess(
        stringAttr(op, "equation"),
        op.operands.map((_, i) => operandShape(op, i)),
      ),
  }),
];
