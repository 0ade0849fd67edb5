/** Queries, keys and values as [B, H, S, D], whatever layout the products around softmax needed. */

import type { Op, Value } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Graph } from "./graph.ts";

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

/** [B · H, S, D] as [B, H, S, D]: what it was reshaped from, or reshaped anew. */
export function apart(graph: Graph, v: Value, batch: number, origin: readonly string[]): Built {
  if (v.type.shape.length !== 3) return { value: v, ops: [] };
  const [all = 0, rows = 0, width = 0] = v.type.shape.map((d) => d ?? 0);
  const shape = [batch, all / batch, rows, width];
  const [source] = graph.producer(v, "onnx.Reshape")?.operands ?? [];
  if (source?.type.shape.join() === shape.join()) return { value: source, ops: [] };
  const target = graph.fresh("heads_shape", { elem: "i64", shape: [4] });
  const value = graph.fresh("heads", { elem: v.type.elem, shape });
  const attrs = { value: fromNumbers("i64", [4], shape) };
  return {
    value,
    ops: [
      { kind: "onnx.Constant", operands: [], results: [target], attrs, origin },
      { kind: "onnx.Reshape", operands: [v, target], results: [value], attrs: {}, origin },
    ],
  };
}

/** The heads before Unsqueeze, Expand and Reshape repeated them; the value itself if none did. */
function unrepeated(graph: Graph, v: Value): Value {
  const expand = graph.producer(graph.producer(v, "onnx.Reshape")?.operands[0], "onnx.Expand");
  const [single] = expand?.operands ?? [];
  const wide = expand?.results[0]?.type.shape ?? [];
  const before = graph.producer(single);
  const [stored] = before?.operands ?? [];
  const parted = before?.kind === "onnx.Unsqueeze" || before?.kind === "onnx.Reshape";
  if (!stored || !single || !parted) return v;
  const [b, h, s, d] = stored.type.shape;
  const groups = wide[2] ?? 0;
  const expected = [
    [b, h, 1, s, d],
    [b, h, groups, s, d],
    [b, Number(h) * groups, s, d],
  ];
  const shapes = [single.type.shape, wide, v.type.shape];
  return shapes.join(";") === expected.join(";") ? stored : v;
}

/** The heads of keys and values before repetition, when it was the same for both. */
export function storedHeads(graph: Graph, k: Value, v: Value): readonly [Value, Value] {
  const [keys, values] = [unrepeated(graph, k), unrepeated(graph, v)];
  return keys.type.shape[1] === values.type.shape[1] ? [keys, values] : [k, v];
}
