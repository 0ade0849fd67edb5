/** Operators of ONNX Runtime's domain that its model builder writes (ContribOperators.md). */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, point, whole } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import type { OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { allAlong, operandShape } from "./accesses.ts";
import { float, int, microsoftOp } from "./record.ts";
import { dimAt, numbersAt, type Operands, shapeAt, typeAt, typed } from "./shape.ts";

/** The size of one head: of separate queries, or of queries, keys and values side by side. */
function headSize(op: Op, operands: Operands): Dim {
  const width = dimAt(shapeAt(operands, 0), 2);
  const heads = intAttr(op, "num_heads");
  const all = operands[1] ? heads : heads + 2 * intAttr(op, "kv_num_heads");
  return width === null ? null : width / all;
}

/** The cache grows to the total length, unless it was longer before. */
function groupQueryType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const [batch = null, tokens = null] = shape;
  const size = headSize(op, operands);
  const hidden = size === null ? null : size * intAttr(op, "num_heads");
  const past = operands[3] ? dimAt(shapeAt(operands, 3), 2) : 0;
  const total = numbersAt(operands, 6)?.[0] ?? (past === 0 ? tokens : null);
  const keys = past === null || total === null ? null : Math.max(past, total);
  const present = typed(operands[3] ? typeAt(operands, 3).elem : elem, [
    batch,
    intAttr(op, "kv_num_heads"),
    keys,
    size,
  ]);
  const scores = typed(elem, [batch, intAttr(op, "num_heads"), tokens, total]);
  return [typed(elem, [batch, tokens, hidden]), present, present, scores];
}

const groupQueryAccess = (op: Op): Access =>
  op.operands.map((o, i) => {
    if (!o) return null;
    const { shape } = o.type;
    if (i === 0 && op.operands[1]) return allAlong(shape, [shape.length - 1]);
    return shape.map((_, k) => (i < 5 && k === 0 ? point(0) : ALL));
  });

function rotaryAccess(op: Op): Access {
  const x = operandShape(op, 0);
  return op.operands.map((o, i) => {
    if (!o) return null;
    if (i === 0) return allAlong(x, [x.length - 1]);
    const { length } = o.type.shape;
    return i === 1 && length === 2 ? [point(0), point(x.length - 2)] : whole(length);
  });
}

export const MICROSOFT_TRANSFORMER_OPS: readonly OpDef[] = [
  microsoftOp("GroupQueryAttention", {
    doc: "Causal attention whose groups of query heads share keys and values, behind those of a cache.",
    operands: [
      "query",
      "key?",
      "value?",
      "past_key?",
      "past_value?",
      "seqlens_k",
      "total_sequence_length",
      "cos_cache?",
      "sin_cache?",
      "position_ids?",
      "attention_bias?",
      "head_sink?",
      "k_scale?",
      "v_scale?",
      "q_norm_weight?",
      "k_norm_weight?",
    ],
    results: ["y", "present_key?", "present_value?", "qk?"],
    attrs: {
      do_rotary: int,
      k_quant_type: { kind: "string", optional: true },
      kv_cache_bit_width: int,
      kv_num_heads: { kind: "int" },
      local_window_size: int,
      num_heads: { kind: "int" },
      qk_norm_epsilon: float,
      qk_output: int,
      rotary_interleaved: int,
      scale: float,
      smooth_softmax: int,
      softcap: float,
      v_quant_type: { kind: "string", optional: true },
    },
    infer: groupQueryType,
    access: groupQueryAccess,
  }),
  microsoftOp("RotaryEmbedding", {
    doc: "x with pairs of features turned by an angle that grows with the position.",
    operands: ["x", "position_ids", "cos_cache", "sin_cache"],
    attrs: {
      interleaved: int,
      is_packed_batching: int,
      num_heads: int,
      rotary_embedding_dim: int,
      scale: float,
    },
    infer: (_, operands) => [typeAt(operands, 0)],
    access: rotaryAccess,
  }),
];
