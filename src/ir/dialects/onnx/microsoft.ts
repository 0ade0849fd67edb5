/** Operators of ONNX Runtime's own domain, as its graph optimiser writes them (ContribOperators.md). */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, point } from "../../access.ts";
import { intAttr, intsAttr } from "../../attrs.ts";
import type { AttrSpec, OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { allAlong, elementwise, matmulAxes, operandShape } from "./accesses.ts";
import { GEMM_ATTRS, gemmAccess, gemmType, matmulShape } from "./matmul.ts";
import { float, int, ints, microsoftOp, string } from "./record.ts";
import {
  broadcastShapes,
  commonElem,
  dimAt,
  type Operands,
  type Shape,
  shapeAt,
  typeAt,
  typed,
} from "./shape.ts";

function activation(
  name: string,
  doc: string,
  operands: readonly string[],
  attrs: Readonly<Record<string, AttrSpec>> = {},
): OpDef {
  return microsoftOp(name, {
    doc,
    operands,
    attrs,
    infer(_, given) {
      const shapes = given.flatMap((o) => (o ? [o.type.shape] : []));
      return [typed(commonElem(given), broadcastShapes(...shapes))];
    },
    access: elementwise,
  });
}

const flagged = (op: Op, name: string): boolean => intAttr(op, name, 0) !== 0;

/** The axes in the order in which they are multiplied; with transBatch the first is that of rows. */
function factor(op: Op, shape: Shape, letter: "A" | "B"): Shape {
  if (shape.length < 2) return shape;
  const batchLast = [...shape.slice(1, -1), ...shape.slice(0, 1), ...shape.slice(-1)];
  const rows = flagged(op, `transBatch${letter}`) ? batchLast : shape;
  if (!flagged(op, `trans${letter}`)) return rows;
  return [...rows.slice(0, -2), ...rows.slice(-2).toReversed()];
}

export function fusedMatMulType(op: Op, operands: Operands): TensorType[] {
  const a = factor(op, shapeAt(operands, 0), "A");
  const b = factor(op, shapeAt(operands, 1), "B");
  return [typed(commonElem(operands), matmulShape(a, b))];
}

/** Batch axes that are transposed too are followed by nobody: the answer is everything. */
const fusedMatMulAccess = (op: Op): Access | null =>
  flagged(op, "transBatchA") || flagged(op, "transBatchB")
    ? null
    : matmulAxes(
        operandShape(op, 0),
        operandShape(op, 1),
        flagged(op, "transA"),
        flagged(op, "transB"),
      );

const divided = (a: Dim, by: number): Dim => (a === null ? null : Math.floor(a / by));
const plus = (a: Dim, b: Dim): Dim => (a === null || b === null ? null : a + b);

function attentionType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const [batch = null, tokens = null] = shape;
  const packed = dimAt(shapeAt(operands, 1), 1);
  const sizes = intsAttr(op, "qkv_hidden_sizes", []);
  const hidden = sizes[2] ?? divided(packed, 3);
  const heads = intAttr(op, "num_heads");
  const past = operands[4] ? dimAt(shapeAt(operands, 4), 3) : 0;
  // A past that present shares has room for the new keys already.
  const keys = flagged(op, "past_present_share_buffer") ? past : plus(past, tokens);
  const present = [2, batch, heads, keys, divided(hidden, heads)];
  return [typed(elem, [batch, tokens, hidden]), typed(elem, present)];
}

/** A token's result needs its whole batch entry, as keys and values. */
const attentionAccess = (op: Op): Access =>
  op.operands.map((o, i) => {
    if (!o) return null;
    const batch = i === 0 ? 0 : -1;
    return o.type.shape.map((_, k) => (k === batch ? point(0) : ALL));
  });

/** [batch, tokens, features] of a tensor that may have its heads as an axis of their own. */
function multiHeadType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const heads = intAttr(op, "num_heads");
  const [batch = null, tokens = null, width = null] = shape;
  const value = operands[2]?.type.shape;
  const packed = shape.length === 5 ? heads * (dimAt(shape, 4) ?? 0) : width;
  const hidden = value?.length === 3 ? dimAt(value, 2) : packed;
  const key = operands[1]?.type.shape ?? shape;
  const newKeys = dimAt(key, key.length === 4 ? 2 : 1);
  const past = operands[6] ? dimAt(shapeAt(operands, 6), 2) : 0;
  const keys = plus(past, newKeys);
  return [
    typed(elem, [batch, tokens, hidden]),
    typed(elem, [batch, heads, keys, divided(packed, heads)]),
    typed(elem, [batch, heads, keys, divided(hidden, heads)]),
    typed(elem, [batch, heads, tokens, keys]),
  ];
}

function multiHeadAccess(op: Op): Access {
  const separate = op.operands[1] !== undefined && op.operands[1] !== null;
  return op.operands.map((o, i) => {
    if (!o) return null;
    const { shape } = o.type;
    if (i === 0 && separate) return allAlong(shape, [shape.length - 1]);
    const batched = i < 3 || i === 6 || i === 7;
    return shape.map((_, k) => (batched && k === 0 ? point(0) : ALL));
  });
}

export const MICROSOFT_OPS: readonly OpDef[] = [
  activation("Gelu", "x times the normal distribution function of x.", ["x"]),
  activation("QuickGelu", "x / (1 + exp(-alpha x)).", ["x"], { alpha: float }),
  activation("FastGelu", "The tanh approximation of Gelu, of x plus a bias.", ["x", "bias?"]),
  activation("BiasGelu", "Gelu of x plus a bias.", ["x", "bias"]),
  microsoftOp("FusedMatMul", {
    doc: "alpha times the matrix product, with the matrices of a or b transposed.",
    operands: ["a", "b"],
    attrs: { alpha: float, transA: int, transB: int, transBatchA: int, transBatchB: int },
    infer: fusedMatMulType,
    access: fusedMatMulAccess,
  }),
  microsoftOp("FusedGemm", {
    doc: "An activation of alpha a b + beta c.",
    operands: ["a", "b", "c?"],
    attrs: {
      ...GEMM_ATTRS,
      activation: string,
      activation_alpha: float,
      activation_beta: float,
      activation_gamma: float,
    },
    infer: gemmType,
    access: gemmAccess,
  }),
  microsoftOp("Attention", {
    doc: "Multi-head self-attention with the projection of queries, keys and values packed into one.",
    operands: [
      "x",
      "weights",
      "bias?",
      "mask_index?",
      "past?",
      "attention_bias?",
      "past_sequence_length?",
    ],
    results: ["y", "present?"],
    attrs: {
      do_rotary: int,
      mask_filter_value: float,
      num_heads: { kind: "int" },
      past_present_share_buffer: int,
      qkv_hidden_sizes: ints,
      rotary_embedding_dim: int,
      scale: float,
      unidirectional: int,
    },
    infer: attentionType,
    access: attentionAccess,
  }),
  microsoftOp("MultiHeadAttention", {
    doc: "Attention of separate queries, keys and values, their heads side by side in the last axis.",
    operands: [
      "query",
      "key?",
      "value?",
      "bias?",
      "key_padding_mask?",
      "attention_bias?",
      "past_key?",
      "past_value?",
      "past_sequence_length?",
      "cache_indirection?",
    ],
    results: ["y", "present_key?", "present_value?", "qk?"],
    attrs: {
      mask_filter_value: float,
      num_heads: { kind: "int" },
      scale: float,
      unidirectional: int,
    },
    infer: multiHeadType,
    access: multiHeadAccess,
  }),
];
