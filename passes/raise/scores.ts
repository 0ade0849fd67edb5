/** The scores of attention, traced back from softmax to the product of queries and keys. */

import type { Op, Value } from "../../src/ir/op.ts";
import type { Graph } from "./graph.ts";
import { orders, scaled } from "./patterns.ts";

export type Mask =
  /** Added to the scores. */
  | { readonly kind: "add"; readonly value: Value }
  /** Scores where the condition holds (or does not, when inverted), `fill` elsewhere. */
  | {
      readonly kind: "where";
      readonly condition: Value;
      readonly inverted: boolean;
      readonly fill: number;
    };

export interface Scores {
  readonly q: Value;
  /** Keys as the product takes them: [B, H, D, Sk]. */
  readonly columns: Value;
  readonly scale: number;
  readonly masks: readonly Mask[];
}

function product(graph: Graph, op: Op): Scores | null {
  const [q, columns] = op.operands;
  if (!q || !columns || graph.isConstant(q) || graph.isConstant(columns)) return null;
  const [left, right] = [scaled(graph, q), scaled(graph, columns)];
  return {
    q: left?.x ?? q,
    columns: right?.x ?? columns,
    scale: (left?.scalar ?? 1) * (right?.scalar ?? 1),
    masks: [],
  };
}

function masked(graph: Graph, op: Op): Scores | null {
  for (const [inner, value] of orders(op)) {
    const scores = scoresOf(graph, inner);
    if (scores) return { ...scores, masks: [...scores.masks, { kind: "add", value }] };
  }
  return null;
}

function chosen(graph: Graph, op: Op): Scores | null {
  const [condition, yes, no] = op.operands;
  if (!condition || !yes || !no) return null;
  const [low, high] = [graph.scalar(yes), graph.scalar(no)];
  const inverted = low !== undefined;
  const fill = low ?? high;
  const scores = fill === undefined ? null : scoresOf(graph, inverted ? no : yes);
  if (!scores || fill === undefined) return null;
  const mask: Mask = { kind: "where", condition, inverted, fill };
  return { ...scores, masks: [...scores.masks, mask] };
}

/** The value before reshapes that keep its rows, as between [B, H, Sq, Sk] and [B · H, Sq, Sk]. */
export function sameRows(graph: Graph, v: Value): Value {
  const [from] = graph.producer(v, "onnx.Reshape")?.operands ?? [];
  const rows = (x: Value) => x.type.shape.slice(-2).map(String).join();
  const kept = from && !v.type.shape.includes(null) && rows(from) === rows(v);
  return kept ? sameRows(graph, from) : v;
}

/** Null when v is not a product of two computed values under scales and masks. */
export function scoresOf(graph: Graph, from: Value): Scores | null {
  const v = sameRows(graph, from);
  const op = graph.producer(v);
  if (op?.kind === "onnx.MatMul") return product(graph, op);
  if (op?.kind === "onnx.Add") return masked(graph, op);
  if (op?.kind === "onnx.Where") return chosen(graph, op);
  const inner = scaled(graph, v);
  const scores = inner ? scoresOf(graph, inner.x) : null;
  // A scale outside of a mask would scale the mask too.
  if (!inner || !scores || scores.masks.length > 0) return null;
  return { ...scores, scale: scores.scale * inner.scalar };
}
