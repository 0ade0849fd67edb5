/**
 * raise-attention: scaled dot-product attention with its masks, and caches of keys and values.
 *
 * Before: MatMul(softmax(scale · q kᵀ, masked), v) on [B, H, S, D], keys in any of the transposed
 *   layouts of exporters, heads of keys and values repeated by Expand; Concat of a graph input and
 *   new keys or values.
 * After: nn.attention on the unrepeated heads, nn.cache_append.
 * Why masks are taken apart: a constant mask that is exactly causal says which keys a query waits for;
 *   one that is not is added as it is. A mask that fills instead of adding is turned into an added one
 *   only where no result changes.
 */

import type { Op, Value } from "../src/ir/op.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { type Built, masksOf } from "./raise/mask-operand.ts";
import { inPlaceOf } from "./raise/patterns.ts";
import { type Scores, scoresOf } from "./raise/scores.ts";

const permOf = (op: Op): readonly number[] => {
  const { perm } = op.attrs;
  return Array.isArray(perm) ? perm.map(Number) : [];
};

/** The keys as [B, H, Sk, D]: the transposition that the product needed is undone. */
function keysOf(graph: Graph, columns: Value, origin: readonly string[]): Built {
  const transpose = graph.producer(columns, "onnx.Transpose");
  const [from = columns] = transpose?.operands ?? [];
  const [a = 0, b = 1, c = 2, d = 3] = transpose ? permOf(transpose) : [0, 1, 2, 3];
  const perm = [a, b, d, c];
  const base = from ?? columns;
  if (perm.every((p, i) => p === i)) return { value: base, ops: [] };
  const shape = perm.map((p) => base.type.shape[p] ?? null);
  const value = graph.fresh("keys", { elem: base.type.elem, shape });
  const kind = "onnx.Transpose";
  return { value, ops: [{ kind, operands: [base], results: [value], attrs: { perm }, origin }] };
}

/** The heads before Unsqueeze, Expand and Reshape repeated them; the value itself if none did. */
function unrepeated(graph: Graph, v: Value): Value {
  const expand = graph.producer(graph.producer(v, "onnx.Reshape")?.operands[0], "onnx.Expand");
  const [apart] = expand?.operands ?? [];
  const wide = expand?.results[0]?.type.shape ?? [];
  const [stored] = graph.producer(apart)?.operands ?? [];
  const kind = graph.producer(apart)?.kind;
  if (!stored || !apart || (kind !== "onnx.Unsqueeze" && kind !== "onnx.Reshape")) return v;
  const [b, h, s, d] = stored.type.shape;
  const [, , groups] = wide;
  const shapes = [apart.type.shape.join(), wide.join(), v.type.shape.join()].join(";");
  const expected = `${b},${h},1,${s},${d};${b},${h},${groups},${s},${d};${b},${Number(h) * Number(groups)},${s},${d}`;
  return shapes === expected ? stored : v;
}

const rank4 = (...values: readonly Value[]): boolean =>
  values.every((v) => v.type.shape.length === 4 && v.type.shape.every((d) => d !== null));

function attention(op: Op, graph: Graph): readonly Op[] | null {
  const [weights, v] = op.operands;
  const softmax = graph.producer(weights, "onnx.Softmax");
  const [masked] = softmax?.operands ?? [];
  if (op.kind !== "onnx.MatMul" || !softmax || !masked || !v) return null;
  const { axis = -1 } = softmax.attrs;
  const scores = axis === -1 || axis === 3 ? scoresOf(graph, masked) : null;
  if (!scores || !rank4(scores.q, scores.columns, v, masked)) return null;
  return assembled(op, graph, scores, masked, v);
}

/** The heads of keys and values before repetition, when it was the same for both. */
function stored(graph: Graph, k: Value, v: Value): readonly [Value, Value] {
  const [keys, values] = [unrepeated(graph, k), unrepeated(graph, v)];
  return keys.type.shape[1] === values.type.shape[1] ? [keys, values] : [k, v];
}

function assembled(op: Op, graph: Graph, scores: Scores, like: Value, v: Value) {
  const { q, scale, columns } = scores;
  const masks = masksOf(graph, scores.masks, like, op.origin);
  const keys = keysOf(graph, columns, op.origin);
  const [k, values] = stored(graph, keys.value, v);
  if (!masks || k.type.shape[1] !== values.type.shape[1]) return null;
  const batches = new Set([q, k, values].map((x) => x.type.shape[0]));
  if (batches.size > 1 || Number(q.type.shape[1]) % Number(k.type.shape[1]) !== 0) return null;
  const { mask } = masks;
  const operands = mask ? [q, k, values, mask.value] : [q, k, values];
  const whole = inPlaceOf(graph, op, "nn.attention", operands, { scale, ...masks.seen });
  const read = scores.masks.map((m) => (m.kind === "add" ? m.value : m.condition));
  const [base] = keys.ops[0]?.operands ?? [];
  const origin = graph.originOf(op, [...operands, base, ...read]);
  return [...keys.ops, ...(mask?.ops ?? []), { ...whole, origin }];
}

/** New keys or values behind those that the caller keeps. */
function cacheAppend(op: Op, graph: Graph): readonly Op[] | null {
  const [past, fresh, ...more] = op.operands;
  if (op.kind !== "onnx.Concat" || !past || !fresh || more.length > 0) return null;
  if (past.type.shape.length !== 4 || !graph.isInput(past) || graph.isConstant(fresh)) return null;
  return [
    inPlaceOf(graph, op, "nn.cache_append", [past, fresh], { axis: Number(op.attrs["axis"]) }),
  ];
}

export const raiseAttention: Pass = {
  name: "raise-attention",
  summary: "recognise attention with its masks, and key-value caches",
  needs: ["raised"],
  gives: [],
  run: (module, { weights }) =>
    raiseOps(module, weights, (op, graph) => attention(op, graph) ?? cacheAppend(op, graph)),
};
