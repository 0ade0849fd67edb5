/** What is done to the weights of attention behind softmax, so that a query without keys gets zeros. */

import type { Value } from "../../src/ir/op.ts";
import { lowestOf } from "./bounds.ts";
import type { Graph } from "./graph.ts";
import { HIDDEN } from "./masks.ts";
import { argument, same } from "./patterns.ts";
import type { Mask } from "./scores.ts";

/** Weights, with zeros put where they are no number, or where a condition hides them. */
export interface Guarded {
  readonly plain: Value;
  readonly zeros?: "where-nan" | { readonly condition: Value; readonly inverted: boolean };
}

/** v = where(isnan(s), 0, s), or where(c, 0, s), or where(c, s, 0). */
export function guardedOf(graph: Graph, v: Value): Guarded {
  const [condition, yes, no] = graph.producer(v, "onnx.Where")?.operands ?? [];
  if (!condition || !yes || !no) return { plain: v };
  const inverted = graph.scalar(yes) === 0;
  if (!inverted && graph.scalar(no) !== 0) return { plain: v };
  const plain = inverted ? no : yes;
  const tested = argument(graph, condition, "onnx.IsNaN");
  if (!tested) return { plain, zeros: { condition, inverted } };
  const isGuard = inverted && graph.strip(tested) === graph.strip(plain);
  return isGuard ? { plain, zeros: "where-nan" } : { plain: v };
}

/**
 * The masks that give the same with `empty_is_zero`: the last one, which hides what the guard makes zero, hides
 * it wholly. Null when the guard does more than that.
 */
export function emptied(
  graph: Graph,
  masks: readonly Mask[],
  { zeros }: Guarded,
): readonly Mask[] | null {
  const last = masks.at(-1);
  if (zeros === undefined || zeros === "where-nan") return masks;
  if (last?.kind !== "where" || last.inverted !== zeros.inverted || last.fill > HIDDEN) return null;
  if (!same(graph, last.condition, zeros.condition)) return null;
  // Beside another mask that hides, what this one fills in could weigh something in a row.
  const others = masks.slice(0, -1);
  if (!others.every((m) => m.kind === "add" && isBias(graph, m))) return null;
  return [...others, { ...last, fill: Number.NEGATIVE_INFINITY }];
}

const THROUGH = new Set(
  ["Reshape", "Transpose", "Slice", "Gather", "GatherElements", "GatherND", "Add", "Mul", "Div"]
    .concat(["Unsqueeze", "Squeeze", "Expand", "Cast", "Concat", "Neg", "Sub"])
    .map((name) => `onnx.${name}`),
);

const PRODUCTS = new Set(["onnx.MatMul", "nn.linear", "onnx.Gemm", "onnx.Einsum", "nn.embedding"]);

/** It moves and adds up products of the network's own, or is a bound constant: no flags that hide keys. */
function isBias(graph: Graph, mask: Mask & { readonly kind: "add" }): boolean {
  if (lowestOf(graph, mask.value, mask.factor) > HIDDEN) return true;
  const seen = new Set([mask.value]);
  for (const v of seen) {
    const parts = partsOf(graph, v);
    if (!parts) return false;
    for (const part of parts) seen.add(part);
  }
  return true;
}

/** What the numbers of a bias are made of: nothing more where they are the network's own; null for flags. */
function partsOf(graph: Graph, v: Value): readonly Value[] | null {
  const op = graph.producer(v);
  const isSmall = graph.isConstant(v) && isBound(graph, v);
  if (isSmall || (op && PRODUCTS.has(op.kind))) return [];
  if (!op || !THROUGH.has(op.kind)) return null;
  const rows = DATA_FIRST.has(op.kind) ? op.operands.slice(0, 1) : op.operands;
  return rows.filter((operand) => operand !== null);
}

/** Too small to hide anything, whatever its sign becomes. */
const isBound = (graph: Graph, v: Value): boolean =>
  [1, -1].every((sign) => lowestOf(graph, v, sign) > HIDDEN);

/** The other operands say how to move the first. */
const DATA_FIRST = new Set(
  [
    "Reshape",
    "Slice",
    "Gather",
    "GatherElements",
    "GatherND",
    "Unsqueeze",
    "Squeeze",
    "Expand",
  ].map((name) => `onnx.${name}`),
);
