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
import { apart, keysOf, storedHeads } from "./raise/heads.ts";
import { masksOf } from "./raise/mask-operand.ts";
import { inPlaceOf } from "./raise/patterns.ts";
import { type Scores, sameRows, scoresOf } from "./raise/scores.ts";

/** The parts of attention as they are written, with the operation that gives [B, H, Sq, Dv]. */
interface Written {
  readonly root: Op;
  readonly scores: Scores;
  /** The masked scores, [B, H, Sq, Sk] or [B · H, Sq, Sk]. */
  readonly masked: Value;
  readonly v: Value;
}

/** Whether every dimension is a number. */
const isKnown = (...values: readonly Value[]): boolean =>
  values.every((v) => v.type.shape.every((d) => d !== null));

/** The product with the values: itself of four axes, or of three and reshaped to four. */
function productOf(op: Op, graph: Graph): Op | undefined {
  const [result] = op.results;
  if (result?.type.shape.length !== 4) return undefined;
  if (op.kind === "onnx.MatMul") return op;
  const [flat] = op.operands;
  const product = op.kind === "onnx.Reshape" ? graph.producer(flat, "onnx.MatMul") : undefined;
  if (!product || !flat || graph.uses(flat) !== 1 || !isKnown(flat, result)) return undefined;
  const [b, h, s, d] = result.type.shape;
  return flat.type.shape.join() === [Number(b) * Number(h), s, d].join() ? product : undefined;
}

function writtenAs(op: Op, graph: Graph): Written | null {
  const product = productOf(op, graph);
  const [weights, v] = product?.operands ?? [];
  if (!weights || !v) return null;
  const softmax = graph.producer(sameRows(graph, weights), "onnx.Softmax");
  const [masked] = softmax?.operands ?? [];
  const { axis = -1 } = softmax?.attrs ?? {};
  if (!masked || (axis !== -1 && axis !== masked.type.shape.length - 1)) return null;
  const scores = scoresOf(graph, masked);
  if (!scores || !isKnown(scores.q, scores.columns, v, masked)) return null;
  return { root: op, scores, masked, v };
}

function attention(op: Op, graph: Graph): readonly Op[] | null {
  const written = writtenAs(op, graph);
  if (!written) return null;
  const { scores, masked } = written;
  const batch = Number(op.results[0]?.type.shape[0]);
  const heads = Number(op.results[0]?.type.shape[1]);
  const four = (v: Value) => apart(graph, v, batch, op.origin);
  const rows = keysOf(graph, scores.columns, op.origin);
  const built = [scores.q, rows.value, written.v].map(four);
  const [q, k0, v0] = built.map((b) => b.value);
  const masks = masksOf(graph, scores.masks, masked, op.origin);
  if (!q || !k0 || !v0 || !masks) return null;
  const [k, v] = storedHeads(graph, k0, v0);
  const value = masks.mask?.value;
  // A mask of three axes broadcasts to [B · H, Sq, Sk] otherwise than to [B, H, Sq, Sk].
  const flat = scores.q.type.shape.length === 3 && value?.type.shape.length === 3;
  if (flat || !fits(batch, heads, q, k, v)) return null;
  const operands = value ? [q, k, v, value] : [q, k, v];
  const attrs = { scale: scores.scale, ...masks.seen };
  const whole = inPlaceOf(graph, op, "nn.attention", operands, attrs);
  const read = scores.masks.map((m) => (m.kind === "add" ? m.value : m.condition));
  const bases = [...rows.ops, ...built.flatMap((b) => b.ops)].flatMap((o) => o.operands);
  const origin = graph.originOf(op, [...operands, ...bases, ...read]);
  const before = [rows, ...built].flatMap((b) => b.ops);
  return [...before, ...(masks.mask?.ops ?? []), { ...whole, origin }];
}

/** The shapes that nn.attention asks for, without broadcasting over the batch. */
function fits(batch: number, heads: number, q: Value, k: Value, v: Value): boolean {
  const sameBatch = [q, k, v].every((x) => x.type.shape.length === 4 && x.type.shape[0] === batch);
  const stored = Number(k.type.shape[1]);
  return (
    sameBatch &&
    q.type.shape[1] === heads &&
    v.type.shape[1] === stored &&
    Number.isInteger(heads / stored)
  );
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
