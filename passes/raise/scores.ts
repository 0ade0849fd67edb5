/** The scores of attention, traced back from softmax to the product of queries and keys. */

import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Dim } from "../../src/tensor/tensor.ts";
import { isFloat } from "../../src/tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { argument, orders, scaled, withScalar } from "./patterns.ts";

/** What happens to the scores between the product and softmax, in order. */
export type Mask =
  | {
      /** Added to the scores, or taken off them. */
      readonly kind: "add";
      readonly value: Value;
      readonly negated: boolean;
      /** Shape of the scores that it broadcasts to. */
      readonly on: readonly Dim[];
    }
  | {
      /** Scores where the condition holds (or does not, when inverted), `fill` elsewhere. */
      readonly kind: "where";
      readonly condition: Value;
      readonly inverted: boolean;
      readonly fill: number;
      readonly on: readonly Dim[];
    }
  /** No score stays below the number. */
  | { readonly kind: "floor"; readonly least: number };

export interface Scores {
  readonly q: Value;
  /** Keys as the product takes them: [B, H, D, Sk]. */
  readonly columns: Value;
  readonly scale: number;
  /** c where the scaled scores s became c · tanh(s / c). */
  readonly softcap?: number;
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

const NOTHING = { elem: "f32", shape: [0], data: new Float32Array(0) } as const;

const shapeOf = (op: Op): readonly Dim[] => op.results[0]?.type.shape ?? [];

/** Scores followed by one more mask. */
const then = (scores: Scores, mask: Mask): Scores => ({
  ...scores,
  masks: [...scores.masks, mask],
});

function added(graph: Graph, op: Op): Scores | null {
  for (const [inner, value] of orders(op)) {
    const scores = scoresOf(graph, inner);
    if (scores) return then(scores, { kind: "add", value, negated: false, on: shapeOf(op) });
  }
  return null;
}

function takenOff(graph: Graph, op: Op): Scores | null {
  const [inner, value] = op.operands;
  const scores = inner && value ? scoresOf(graph, inner) : null;
  return scores && value
    ? then(scores, { kind: "add", value, negated: true, on: shapeOf(op) })
    : null;
}

/** The number that a constant repeats. */
function uniform(graph: Graph, v: Value): number | undefined {
  const scalar = graph.scalar(v);
  if (scalar !== undefined) return scalar;
  const expanded = argument(graph, v, "onnx.Expand");
  if (expanded) return graph.scalar(expanded);
  const [first, ...others] = toNumbers(graph.values(v) ?? NOTHING);
  return others.every((n) => n === first) ? first : undefined;
}

function chosen(graph: Graph, op: Op): Scores | null {
  const [condition, yes, no] = op.operands;
  if (!condition || !yes || !no) return null;
  const [low, high] = [uniform(graph, yes), uniform(graph, no)];
  const inverted = low !== undefined;
  const fill = low ?? high;
  const scores = fill === undefined ? null : scoresOf(graph, inverted ? no : yes);
  if (!scores || fill === undefined) return null;
  return then(scores, { kind: "where", condition, inverted, fill, on: shapeOf(op) });
}

/** Max with a number, or Clip without an upper bound. */
function floored(graph: Graph, op: Op): Scores | null {
  const [x, low, high] = op.operands;
  const pairs = op.kind === "onnx.Max" ? orders(op) : x && low && !high ? [[x, low] as const] : [];
  if (op.operands.length > 2) return null;
  for (const [inner, bound] of pairs) {
    const least = graph.scalar(bound);
    const scores = least === undefined ? null : scoresOf(graph, inner);
    if (scores && least !== undefined) return then(scores, { kind: "floor", least });
  }
  return null;
}

/** c · tanh(s / c). */
function capped(graph: Graph, v: Value): Scores | null {
  const outer = withScalar(graph, v, "onnx.Mul");
  const tanh = outer && graph.producer(outer.x);
  const isTanh =
    tanh?.kind === "onnx.Tanh" ||
    (tanh?.kind === "nn.activation" && tanh.attrs["function"] === "tanh");
  const [inner] = tanh?.operands ?? [];
  const scores = isTanh && inner ? scoresOf(graph, inner) : null;
  if (!outer || !scores || outer.scalar <= 0) return null;
  if (scores.masks.length > 0 || scores.softcap !== undefined) return null;
  // What tanh saw were the scores over the cap.
  return { ...scores, scale: scores.scale * outer.scalar, softcap: outer.scalar };
}

const dimensions = (v: Value): string => v.type.shape.slice(-2).map(String).join();

/**
 * The value before reshapes that keep its rows, as between [B, H, Sq, Sk] and [B · H, Sq, Sk], and
 * before casts between kinds of real numbers: softmax is often computed wider than its operands.
 */
export function sameRows(graph: Graph, v: Value): Value {
  const op = graph.producer(v);
  const [from] = op?.operands ?? [];
  if (!from) return v;
  const wider = op?.kind === "onnx.Cast" && isFloat(from.type.elem) && isFloat(v.type.elem);
  const reshaped =
    op?.kind === "onnx.Reshape" &&
    !v.type.shape.includes(null) &&
    dimensions(from) === dimensions(v);
  return wider || reshaped ? sameRows(graph, from) : v;
}

const STEPS: Readonly<Record<string, (graph: Graph, op: Op) => Scores | null>> = {
  "onnx.MatMul": product,
  "onnx.Add": added,
  "onnx.Sub": takenOff,
  "onnx.Where": chosen,
  "onnx.Max": floored,
  "onnx.Clip": floored,
};

/** Null when v is not a product of two computed values under scales and masks. */
export function scoresOf(graph: Graph, from: Value): Scores | null {
  const v = sameRows(graph, from);
  const op = graph.producer(v);
  const step = STEPS[op?.kind ?? ""];
  if (op && step) return step(graph, op);
  const inner = scaled(graph, v);
  const scores = inner ? scoresOf(graph, inner.x) : null;
  if (inner && scores && scores.softcap === undefined) {
    // A scale outside of a mask would scale the mask too.
    return scores.masks.length > 0 ? null : { ...scores, scale: scores.scale * inner.scalar };
  }
  return capped(graph, v);
}
