/** Queries, keys and values as [B, H, S, D], whatever layout the products around softmax needed. */

import type { Op, Value } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Graph } from "./graph.ts";
import { axisOf } from "./patterns.ts";

/** A value and the operations that must be added to have it. */
export interface Built {
  readonly value: Value;
  readonly ops: readonly Op[];
}

const permOf = (op: Op): readonly number[] => {
  const { perm } = op.attrs;
  return Array.isArray(perm) ? perm.map(Number) : [];
};

/** Rows of keys from the columns that the product takes: the last two axes swapped back. */
export function keysOf(graph: Graph, columns: Value, origin: readonly string[]): Built {
  const transpose = graph.producer(columns, "onnx.Transpose");
  const base = transpose?.operands[0] ?? columns;
  const axes = transpose ? permOf(transpose) : columns.type.shape.map((_, i) => i);
  const perm = [...axes.slice(0, -2), ...axes.slice(-2).toReversed()];
  if (perm.every((p, i) => p === i)) return { value: base, ops: [] };
  const shape = perm.map((p) => base.type.shape[p] ?? null);
  const value = graph.fresh("keys", { elem: base.type.elem, shape });
  const kind = "onnx.Transpose";
  return { value, ops: [{ kind, operands: [base], results: [value], attrs: { perm }, origin }] };
}

/** A constant shape, and `to` as the reshape of `from` to it. */
export function reshaped(graph: Graph, from: Value, to: Value, origin: readonly string[]): Op[] {
  const dims = to.type.shape.map(Number);
  const target = graph.fresh("heads_shape", { elem: "i64", shape: [dims.length] });
  const attrs = { value: fromNumbers("i64", [dims.length], dims) };
  return [
    { kind: "onnx.Constant", operands: [], results: [target], attrs, origin },
    { kind: "onnx.Reshape", operands: [from, target], results: [to], attrs: {}, origin },
  ];
}

/**
 * Rows with any leading axes as [B, H, S, D]: what they were reshaped from, or reshaped anew. Axes of
 * size one behind the batch are heads that broadcast. Null when the batch itself would broadcast.
 */
export function apart(
  graph: Graph,
  v: Value,
  [batch, heads]: readonly [number, number],
  origin: readonly string[],
): Built | null {
  const { shape } = v.type;
  if (shape.length === 4) return { value: v, ops: [] };
  const all = shape.slice(0, -2).reduce<number>((n, d) => n * Number(d), 1);
  const own = all / batch;
  const isGrouped = shape.length < 5 || shape[0] === batch;
  if (!Number.isInteger(own) || !isGrouped || (shape.length === 3 && own !== heads)) return null;
  const wide = [batch, own, ...shape.slice(-2)];
  const [source] = graph.producer(v, "onnx.Reshape")?.operands ?? [];
  if (source?.type.shape.join() === wide.join()) return { value: source, ops: [] };
  const value = graph.fresh("heads", { elem: v.type.elem, shape: wide });
  return { value, ops: reshaped(graph, v, value, origin) };
}

/** x where v repeats every head of x as often, one copy after the other. */
function unrepeated(graph: Graph, v: Value): Value {
  return beforeExpand(graph, v) ?? beforeGather(graph, v) ?? v;
}

/** An axis of size one behind the heads, widened by Expand, Tile or Concat, and joined with them. */
function beforeExpand(graph: Graph, v: Value): Value | undefined {
  const wide = graph.producer(v, "onnx.Reshape")?.operands[0];
  const widening = graph.producer(wide);
  const single = WIDENS.has(widening?.kind ?? "") ? widening?.operands[0] : undefined;
  const before = graph.producer(single);
  const [stored] = before?.operands ?? [];
  const parted = before?.kind === "onnx.Unsqueeze" || before?.kind === "onnx.Reshape";
  if (!stored || !single || !wide || !parted) return undefined;
  const copies = new Set(widening?.kind === "onnx.Concat" ? widening.operands : []);
  const [b, h, s, d] = stored.type.shape;
  const groups = wide.type.shape[2] ?? 0;
  const expected = [
    [b, h, 1, s, d],
    [b, h, groups, s, d],
    [b, Number(h) * groups, s, d],
  ];
  const shapes = [single.type.shape, wide.type.shape, v.type.shape];
  return copies.size < 2 && shapes.join(";") === expected.join(";") ? stored : undefined;
}

const WIDENS = new Set(["onnx.Expand", "onnx.Tile", "onnx.Concat"]);

/** Heads picked by a constant list such as 0, 0, 1, 1. */
function beforeGather(graph: Graph, v: Value): Value | undefined {
  const gather = graph.producer(v, "onnx.Gather");
  const [stored, list] = gather?.operands ?? [];
  const picked = list && graph.values(list);
  const heads = stored?.type.shape[1];
  if (!gather || !stored || !picked || typeof heads !== "number") return undefined;
  const group = picked.data.length / heads;
  const inOrder = toNumbers(picked).every((head, i) => head === Math.floor(i / group));
  const onHeads = stored.type.shape.length === 4 && axisOf(gather) === 1;
  return onHeads && inOrder && Number.isInteger(group) ? stored : undefined;
}

/** The heads of keys and values before repetition, when it was the same for both. */
export function storedHeads(graph: Graph, k: Value, v: Value): readonly [Value, Value] {
  const [keys, values] = [unrepeated(graph, k), unrepeated(graph, v)];
  return keys.type.shape[1] === values.type.shape[1] ? [keys, values] : [k, v];
}
