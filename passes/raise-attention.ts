/**
 * raise-attention: scaled dot-product attention with its masks, and caches of keys and values.
 *
 * Before: MatMul(softmax(scale · q kᵀ, capped, masked), v) on [B, H, S, D], or with heads folded into
 *   the batch or parted into groups; keys in any of the transposed layouts of exporters, heads of keys
 *   and values repeated; Concat of a graph input and new keys or values.
 * After: nn.attention on the unrepeated heads, nn.cache_append.
 * Why masks are taken apart: a constant mask that is exactly causal says which keys a query waits for;
 *   one that is not is added as it is. A mask that fills instead of adding is turned into an added one
 *   only where no result changes.
 */

import type { Op, Value } from "../src/ir/op.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { apart, keysOf, reshaped, storedHeads } from "./raise/heads.ts";
import { masksOf } from "./raise/mask-operand.ts";
import { argument, inPlaceOf } from "./raise/patterns.ts";
import { type Scores, sameRows, scoresOf } from "./raise/scores.ts";

/** The parts of attention as they are written. */
interface Written {
  /** The operation that gives the result: the product with the values, or a reshape of it. */
  readonly root: Op;
  /** [B, H], what the leading axes of the result stand for. */
  readonly lead: readonly [number, number];
  readonly scores: Scores;
  readonly v: Value;
  /** A query that sees no key gets zeros where softmax would give NaN. */
  readonly emptyIsZero: boolean;
}

/** Whether every dimension is a number. */
const isKnown = (...values: readonly Value[]): boolean =>
  values.every((v) => v.type.shape.every((d) => d !== null));

const product = (dims: readonly unknown[]): number =>
  dims.reduce<number>((n, d) => n * Number(d), 1);

/** The reshape of [B · H, S, D] to [B, H, S, D] that alone reads a product of three axes. */
function unflattening(op: Op, graph: Graph): Op | undefined {
  const [flat] = op.results;
  const [reader] = flat ? graph.usersOf(flat) : [];
  const [result] = reader?.results ?? [];
  if (!flat || !result || reader?.kind !== "onnx.Reshape") return undefined;
  if (flat.type.shape.length !== 3 || result.type.shape.length !== 4) return undefined;
  if (graph.uses(flat) !== 1 || !isKnown(flat, result)) return undefined;
  const [b, h, ...rows] = result.type.shape;
  return flat.type.shape.join() === [Number(b) * Number(h), ...rows].join() ? reader : undefined;
}

/** The product with the values and the operation that gives [B, H, S, D], if that is another. */
function productOf(
  op: Op,
  graph: Graph,
): { readonly of: Op; readonly lead: [number, number] } | null {
  const [result] = op.results;
  if (!result || !isKnown(result)) return null;
  const [batch, heads] = result.type.shape.map(Number);
  const [flat] = op.operands;
  const inner = op.kind === "onnx.Reshape" ? graph.producer(flat, "onnx.MatMul") : undefined;
  if (inner && unflattening(inner, graph) === op) {
    return { of: inner, lead: [batch ?? 1, heads ?? 1] };
  }
  if (op.kind !== "onnx.MatMul" || unflattening(op, graph)) return null;
  const axes = result.type.shape.slice(0, -2);
  if (axes.length === 0) return null;
  // Heads in the batch axis stay heads: they are what is independent.
  return {
    of: op,
    lead: axes.length === 1 ? [1, product(axes)] : [batch ?? 1, product(axes.slice(1))],
  };
}

/** s where v = where(isnan(s), 0, s). */
function withoutNaN(graph: Graph, v: Value): Value {
  const where = graph.producer(v, "onnx.Where");
  const [condition, zero, s] = where?.operands ?? [];
  const tested = argument(graph, condition, "onnx.IsNaN");
  const isGuard = tested && s && graph.scalar(zero) === 0;
  return isGuard && graph.strip(tested) === graph.strip(s) ? s : v;
}

function writtenAs(op: Op, graph: Graph): Written | null {
  const found = productOf(op, graph);
  const [weights, v] = found?.of.operands ?? [];
  if (!found || !weights || !v) return null;
  const guarded = sameRows(graph, weights);
  const plain = withoutNaN(graph, guarded);
  const softmax = graph.producer(sameRows(graph, plain), "onnx.Softmax");
  const [masked] = softmax?.operands ?? [];
  const { axis = -1 } = softmax?.attrs ?? {};
  if (!masked || (axis !== -1 && axis !== masked.type.shape.length - 1)) return null;
  const scores = scoresOf(graph, masked);
  if (!scores || !isKnown(scores.q, scores.columns, v, masked)) return null;
  return { root: op, lead: found.lead, scores, v, emptyIsZero: plain !== guarded };
}

function attention(op: Op, graph: Graph): readonly Op[] | null {
  const written = writtenAs(op, graph);
  const [result] = op.results;
  if (!written || !result) return null;
  const { scores, lead } = written;
  const { origin } = op;
  const rows = keysOf(graph, scores.columns, origin);
  const built = [scores.q, rows.value, written.v].map((v) => apart(graph, v, lead, origin));
  const [q, k0, v0] = built.map((b) => b?.value);
  if (!q || !k0 || !v0) return null;
  const shape = [...lead, Number(q.type.shape[2]), Number(k0.type.shape[2])];
  const masks = masksOf(graph, scores.masks, { elem: q.type.elem, shape }, origin);
  const [k, v] = storedHeads(graph, k0, v0);
  if (!masks || !fits(lead, q, k, v)) return null;
  const value = masks.mask?.value;
  const operands = value ? [q, k, v, value] : [q, k, v];
  const attrs = {
    scale: scores.scale,
    ...masks.seen,
    ...(scores.softcap !== undefined && { softcap: scores.softcap }),
    ...(written.emptyIsZero && value && { empty_is_zero: true }),
  };
  const whole = inPlaceOf(graph, op, "nn.attention", operands, attrs);
  const before = [rows, ...built].flatMap((b) => b?.ops ?? []);
  const read = scores.masks.flatMap((m) =>
    m.kind === "floor" ? [] : [m.kind === "add" ? m.value : m.condition],
  );
  const bases = before.flatMap((o) => o.operands);
  const named = { ...whole, origin: graph.originOf(op, [...operands, ...bases, ...read]) };
  return [...before, ...(masks.mask?.ops ?? []), ...delivered(graph, named, lead, v)];
}

/** The attention, and the reshape to what it stands for when that has other axes than [B, H, S, D]. */
function delivered(graph: Graph, op: Op, lead: readonly number[], v: Value): readonly Op[] {
  const [result] = op.results;
  if (!result || result.type.shape.length === 4) return [op];
  const shape = [...lead, ...result.type.shape.slice(-2).map(Number)];
  const heads = graph.fresh("heads", { elem: v.type.elem, shape });
  return [{ ...op, results: [heads] }, ...reshaped(graph, heads, result, op.origin)];
}

/** The shapes that nn.attention asks for, without broadcasting over the batch. */
function fits([batch, heads]: readonly [number, number], q: Value, k: Value, v: Value): boolean {
  const sameBatch = [q, k, v].every((x) => x.type.shape.length === 4 && x.type.shape[0] === batch);
  const sameElem = q.type.elem === k.type.elem && k.type.elem === v.type.elem;
  const stored = Number(k.type.shape[1]);
  return (
    sameBatch &&
    sameElem &&
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
  run: (module, context) =>
    raiseOps(module, context, (op, graph) => attention(op, graph) ?? cacheAppend(op, graph)),
};
