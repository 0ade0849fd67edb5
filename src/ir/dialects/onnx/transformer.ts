/** Operators that are a transformer's modules whole: attention and rotary embedding (opset 23). */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, type AxisAccess, point, whole } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import type { OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { type Axes, allAlong, operandShape } from "./accesses.ts";
import { float, int, oneOf, onnxOp } from "./record.ts";
import {
  broadcastShapes,
  dimAt,
  equalDim,
  impossible,
  type Operands,
  type Shape,
  shapeAt,
  typeAt,
  typed,
} from "./shape.ts";

/** [batch, heads, sequence, head size], whether the tensor has them as four axes or as three. */
function headed(shape: Shape, heads: number): readonly [Dim, Dim, Dim, Dim] {
  const [batch = null, a = null, b = null, c = null] = shape;
  if (shape.length === 4) return [batch, a, b, c];
  if (shape.length !== 3 || heads === 0) impossible("needs 4 axes, or 3 and the number of heads");
  if (b !== null && b % heads !== 0) impossible(`${b} features do not divide by ${heads} heads`);
  return [batch, heads, a, b === null ? null : b / heads];
}

const plus = (a: Dim, b: Dim): Dim => (a === null || b === null ? null : a + b);
const times = (a: Dim, b: Dim): Dim => (a === null || b === null ? null : a * b);

function attentionType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const kvHeads = intAttr(op, "kv_num_heads", 0);
  const [batch, heads, rows, size] = headed(shape, intAttr(op, "q_num_heads", 0));
  const [, keyHeads, newKeys, keySize] = headed(shapeAt(operands, 1), kvHeads);
  const [, , , valueSize] = headed(shapeAt(operands, 2), kvHeads);
  equalDim(size, keySize, "queries and keys differ in size");
  if (heads !== null && keyHeads !== null && heads % keyHeads !== 0) {
    impossible(`${heads} heads do not share ${keyHeads} key heads evenly`);
  }
  const past = operands[4] ? dimAt(shapeAt(operands, 4), 2) : 0;
  const keys = plus(past, newKeys);
  const scores = [batch, heads, rows, keys];
  if (operands[3]) broadcastShapes(scores.slice(0, 3), shapeAt(operands, 3).slice(0, -1));
  const y =
    shape.length === 4 ? [batch, heads, rows, valueSize] : [batch, rows, times(heads, valueSize)];
  return [
    typed(elem, y),
    typed(typeAt(operands, 1).elem, [batch, keyHeads, keys, keySize]),
    typed(typeAt(operands, 2).elem, [batch, keyHeads, keys, valueSize]),
    typed(elem, scores),
  ];
}

/** A query needs every key and value of its batch, and those of its own head's group. */
function attentionAccess(op: Op): Access {
  const q = operandShape(op, 0);
  const four = q.length === 4;
  const group = four ? groupAxis(dimAt(q, 1), dimAt(operandShape(op, 1), 1)) : ALL;
  const keys: Axes = [point(0), group, ALL, ALL];
  const values: Axes = four ? [point(0), group, ALL, point(3)] : keys;
  return op.operands.map((o, i) => {
    if (!o) return null;
    const { shape } = o.type;
    if (i === 0) return allAlong(q, [q.length - 1]);
    if (i === 3) return maskAxes(shape, four);
    if (i > 5) return whole(shape.length);
    return (i === 2 || i === 5 ? values : keys).slice(0, shape.length);
  });
}

/** Which of the key heads serves a query head. */
function groupAxis(heads: Dim, keyHeads: Dim): AxisAccess {
  if (heads === null || keyHeads === null || keyHeads === 1) return ALL;
  if (heads === keyHeads) return point(1);
  return { kind: "digit", axis: 1, stride: heads / keyHeads, extent: keyHeads };
}

/** A mask broadcasts to [batch, heads, queries, keys]. */
function maskAxes(shape: Shape, four: boolean): Axes {
  const result = four ? [point(0), point(1), point(2), ALL] : [point(0), ALL, point(1), ALL];
  const shift = 4 - shape.length;
  return shape.map((d, i) => (d === 1 ? ALL : (result[i + shift] ?? ALL)));
}

function rotaryAccess(op: Op): Access {
  const x = operandShape(op, 0);
  const tokens = point(x.length - 2);
  const positions = op.operands[3];
  const cache = (shape: Shape): Axes =>
    positions ? whole(shape.length) : shape.map((_, i) => [point(0), tokens][i] ?? ALL);
  return op.operands.map((o, i) => {
    if (!o) return null;
    if (i === 0) return allAlong(x, [x.length - 1]);
    if (i === 3) return o.type.shape.map((_, k) => [point(0), tokens][k] ?? ALL);
    return cache(o.type.shape);
  });
}

export const TRANSFORMER_OPS: readonly OpDef[] = [
  onnxOp("Attention", {
    doc: "softmax(scale q kᵀ + mask) v for each head; past keys and values come before the new ones.",
    operands: ["q", "k", "v", "mask?", "past_key?", "past_value?", "nonpad_kv_seqlen?"],
    results: ["y", "present_key?", "present_value?", "qk_matmul_output?"],
    attrs: {
      is_causal: int,
      kv_num_heads: int,
      q_num_heads: int,
      qk_matmul_output_mode: int,
      scale: float,
      softcap: float,
      softmax_precision: int,
    },
    *verify(op) {
      yield* oneOf(op, "qk_matmul_output_mode", [0, 1, 2, 3]);
      yield* oneOf(op, "softmax_precision", [1, 10, 11, 16]);
    },
    infer: attentionType,
    access: attentionAccess,
  }),
  onnxOp("RotaryEmbedding", {
    doc: "x with pairs of features turned by an angle that grows with the position.",
    operands: ["x", "cos_cache", "sin_cache", "position_ids?"],
    attrs: { interleaved: int, num_heads: int, rotary_embedding_dim: int },
    infer: (_, operands) => [typeAt(operands, 0)],
    access: rotaryAccess,
  }),
];
