/** Operators of ONNX Runtime's domain with quantised weights, and its mixtures of experts. */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, broadcast, point, whole } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { allAlong, matmulAxes, operandShape, resultShape } from "./accesses.ts";
import { matmulShape } from "./matmul.ts";
import { float, int, microsoftOp, string } from "./record.ts";
import { equalDim, type Operands, shapeAt, typeAt, typed } from "./shape.ts";

/** Rows of x against everything else; a last operand that is a bias belongs to the result's columns. */
function rowsAccess(op: Op, biasAt: number): Access {
  const x = operandShape(op, 0);
  const last = resultShape(op).length - 1;
  return op.operands.map((o, i) => {
    if (!o) return null;
    if (i === 0) return allAlong(x, [x.length - 1]);
    return i === biasAt ? [point(last)] : whole(o.type.shape.length);
  });
}

function matMulNBitsType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  equalDim(shape.at(-1) ?? null, intAttr(op, "K"), "the contracted dimensions differ");
  return [typed(elem, [...shape.slice(0, -1), intAttr(op, "N")])];
}

const productType = (_: Op, operands: Operands): TensorType[] => [
  typed("f32", matmulShape(shapeAt(operands, 0), shapeAt(operands, 1))),
];

/** The matrices as MatMul's; what is left is read in full, but for a bias along the columns. */
function productAccess(op: Op, biasAt: number): Access {
  const [a, b] = matmulAxes(operandShape(op, 0), operandShape(op, 1));
  return op.operands.map((o, i) => {
    if (!o) return null;
    if (i < 2) return (i === 0 ? a : b) ?? whole(o.type.shape.length);
    if (i === biasAt) return broadcast(o.type.shape, resultShape(op));
    return whole(o.type.shape.length);
  });
}

/** A token's result needs its own features, its own routing and all experts. */
function mixtureAccess(op: Op): Access {
  const x = operandShape(op, 0);
  const tokens: readonly Dim[] = x.slice(0, -1);
  return op.operands.map((o, i) => {
    if (!o) return null;
    if (i === 0) return allAlong(x, [x.length - 1]);
    const byToken = (i === 1 || i === 14) && tokens.length === 1;
    return byToken ? [point(0), ALL] : whole(o.type.shape.length);
  });
}

const MIXTURE = {
  activation_alpha: float,
  activation_beta: float,
  activation_type: string,
  k: int,
  normalize_routing_weights: int,
  swiglu_fusion: int,
  swiglu_limit: float,
  use_sparse_mixer: int,
};

const first = (_: Op, operands: Operands): TensorType[] => [typeAt(operands, 0)];

export const MICROSOFT_WEIGHTS_OPS: readonly OpDef[] = [
  microsoftOp("MatMulNBits", {
    doc: "The product with a transposed matrix of small integers, which is quantised by blocks.",
    operands: ["a", "codes", "scales", "zero_points?", "g_idx?", "bias?"],
    attrs: {
      K: attr.int,
      N: attr.int,
      accuracy_level: int,
      bits: int,
      block_size: attr.int,
      weight_prepacked: int,
    },
    infer: matMulNBitsType,
    access: (op) => rowsAccess(op, 5),
  }),
  microsoftOp("DynamicQuantizeMatMul", {
    doc: "The product of a, quantised by its own range, with a matrix of 8-bit integers.",
    operands: ["a", "b", "b_scale", "b_zero_point?", "bias?"],
    infer: productType,
  }),
  microsoftOp("MatMulIntegerToFloat", {
    doc: "The product of two tensors of 8-bit integers, in real numbers.",
    operands: ["a", "b", "a_scale", "b_scale", "a_zero_point?", "b_zero_point?", "bias?"],
    infer: productType,
    access: (op) => productAccess(op, 6),
  }),
  microsoftOp("MoE", {
    doc: "The sum of the top k experts' two layers, weighted by the softmax of the logits.",
    operands: [
      "x",
      "logits",
      "fc1_weights",
      "fc1_bias?",
      "fc2_weights",
      "fc2_bias?",
      "fc3_weights?",
      "fc3_bias?",
    ],
    attrs: MIXTURE,
    infer: first,
    access: mixtureAccess,
  }),
  microsoftOp("QMoE", {
    doc: "MoE with experts of small integers, quantised by rows or by blocks.",
    operands: [
      "x",
      "logits",
      "fc1_weights",
      "fc1_scales?",
      "fc1_bias?",
      "fc2_weights",
      "fc2_scales?",
      "fc2_bias?",
      "fc3_weights?",
      "fc3_scales?",
      "fc3_bias?",
      "fc1_zero_points?",
      "fc2_zero_points?",
      "fc3_zero_points?",
      "router_weights?",
      "more*",
    ],
    attrs: {
      ...MIXTURE,
      accuracy_level: int,
      block_size: int,
      expert_weight_bits: int,
      quant_type: string,
      weights_prepacked: int,
    },
    infer: first,
    access: mixtureAccess,
  }),
];
