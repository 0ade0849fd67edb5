/** The scores of attention, traced back from softmax to the product of queries and keys. */

import type { Op, Value } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Dim, Tensor } from "../../src/tensor/tensor.ts";
import { isFloat } from "../../src/tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { argument, orders, scaled, withScalar } from "./patterns.ts";

/** What happens to the scores between the product and softmax, in order. */
export type Mask =
  | {
      /** Added to the scores, times a number. */
      readonly kind: "add";
      readonly value: Value;
      readonly factor: number;
      /** Shape of the scores that it broadcasts to. */
      readonly on: readonly Dim[];
    }
  | {
      /** Scores where the condition holds (or does not, when inverted), `fill` elsewhere. */
      readonly kind: "where";
      readonly condition: Value;
      /** The condition's values, when it is a constant that the file does not have. */
      readonly flags?: Tensor;
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
  /** Shape of the product: [..., Sq, Sk]. */
  readonly shape: readonly Dim[];
  /** Operations that the queries, the keys and the masks need besides. */
  readonly ops: readonly Op[];
}

/** Queries may be parameters, as of a perceiver; keys that are make a layer of them. */
function product(graph: Graph, op: Op): Scores | null {
  const [q, columns] = op.operands;
  if (!q || !columns || graph.isConstant(columns)) return null;
  const [left, right] = [scaled(graph, q), scaled(graph, columns)];
  return {
    q: left?.x ?? q,
    columns: right?.x ?? columns,
    scale: (left?.scalar ?? 1) * (right?.scalar ?? 1),
    masks: [],
    shape: shapeOf(op),
    ops: [],
  };
}

const NOTHING = { elem: "f32", shape: [0], data: new Float32Array(0) } as const;

const shapeOf = (op: Op): readonly Dim[] => op.results[0]?.type.shape ?? [];

/** Scores followed by one more mask. */
const then = (scores: Scores, mask: Mask): Scores => ({
  ...scores,
  masks: [...scores.masks, mask],
});

function added(graph: Search, op: Op): Scores | null {
  for (const [inner, value] of orders(op)) {
    const scores = found(graph, inner);
    if (scores) {
      return (
        filled(graph, scores, value) ??
        then(scores, { kind: "add", value, factor: 1, on: shapeOf(op) })
      );
    }
  }
  return null;
}

function takenOff(graph: Search, op: Op): Scores | null {
  const [inner, value] = op.operands;
  const scores = inner && value ? found(graph, inner) : null;
  return scores && value ? then(scores, { kind: "add", value, factor: -1, on: shapeOf(op) }) : null;
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

function chosen(graph: Search, op: Op): Scores | null {
  const [condition, yes, no] = op.operands;
  if (!condition || !yes || !no) return null;
  const [low, high] = [uniform(graph, yes), uniform(graph, no)];
  const inverted = low !== undefined;
  const fill = low ?? high;
  const scores = fill === undefined ? null : found(graph, inverted ? no : yes);
  if (!scores || fill === undefined) return null;
  return then(scores, { kind: "where", condition, inverted, fill, on: shapeOf(op) });
}

/** Max with a number, or Clip without an upper bound. */
function floored(graph: Search, op: Op): Scores | null {
  const [x, low, high] = op.operands;
  const pairs = op.kind === "onnx.Max" ? orders(op) : x && low && !high ? [[x, low] as const] : [];
  if (op.operands.length > 2) return null;
  for (const [inner, bound] of pairs) {
    const least = graph.scalar(bound);
    const scores = least === undefined ? null : found(graph, inner);
    if (scores && least !== undefined) return then(scores, { kind: "floor", least });
  }
  return null;
}

/** c · tanh(s / c). */
function capped(graph: Search, v: Value): Scores | null {
  const outer = withScalar(graph, v, "onnx.Mul");
  const tanh = outer && graph.producer(outer.x);
  const isTanh =
    tanh?.kind === "onnx.Tanh" ||
    (tanh?.kind === "nn.activation" && tanh.attrs["function"] === "tanh");
  const [inner] = tanh?.operands ?? [];
  const scores = isTanh && inner ? found(graph, inner) : null;
  if (!outer || !scores || outer.scalar <= 0) return null;
  if (scores.masks.length > 0 || scores.softcap !== undefined) return null;
  // What tanh saw were the scores over the cap.
  return { ...scores, scale: scores.scale * outer.scalar, softcap: outer.scalar };
}

/** The value before casts between kinds of real numbers: softmax is often computed wider than its operands. */
function uncast(graph: Graph, v: Value): Value {
  const [from] = graph.producer(v, "onnx.Cast")?.operands ?? [];
  return from && isFloat(from.type.elem) && isFloat(v.type.elem) ? uncast(graph, from) : v;
}

/** The value before such casts and reshapes: the same numbers in the same order. */
function sameNumbers(graph: Graph, v: Value): Value {
  const from = uncast(graph, v);
  const [before] = graph.producer(from, "onnx.Reshape")?.operands ?? [];
  const isKnown = !from.type.shape.includes(null) && before?.type.shape.includes(null) === false;
  return before && isKnown ? sameNumbers(graph, before) : from;
}

/** The same as far as the last axis, the keys, stays as it is. */
export function sameRows(graph: Graph, v: Value): Value {
  const from = uncast(graph, v);
  const [before] = graph.producer(from, "onnx.Reshape")?.operands ?? [];
  const keeps =
    !from.type.shape.includes(null) && before?.type.shape.at(-1) === from.type.shape.at(-1);
  return before && keeps ? sameRows(graph, before) : from;
}

/** Scores and all that was added to them, times a number. */
function times(scores: Scores, by: number): Scores | null {
  const { softcap, masks } = scores;
  // What was a bound below would be one above.
  if (by <= 0 && (softcap !== undefined || masks.some((m) => m.kind === "floor"))) return null;
  const scaledMask = (m: Mask): Mask => {
    if (m.kind === "add") return { ...m, factor: m.factor * by };
    return m.kind === "where" ? { ...m, fill: m.fill * by } : { ...m, least: m.least * by };
  };
  return {
    ...scores,
    scale: scores.scale * by,
    // a c tanh(s / c) = (a c) tanh(a s / (a c)).
    ...(softcap !== undefined && { softcap: softcap * by }),
    masks: masks.map(scaledMask),
  };
}

/** Scores times zeros and ones, or times a number for each query, each key or each head. */
function weighed(graph: Search, op: Op): Scores | null {
  for (const [inner, by] of op.kind === "onnx.Mul" ? orders(op) : orders(op).slice(0, 1)) {
    const scores = found(graph, inner);
    if (scores) return flagged(graph, op, scores, by) ?? factored(graph, op, scores, by);
  }
  return null;
}

/** Zero in place of a score hides nothing yet: what is added to it there may. */
function flagged(graph: Graph, op: Op, scores: Scores, flags: Value): Scores | null {
  const constant = op.kind === "onnx.Mul" ? graph.values(flags) : undefined;
  const values = constant ? toNumbers(constant) : [];
  if (!constant || !values.every((n) => n === 0 || n === 1)) return null;
  const b = graph.builder(op);
  const condition = b.constant(fromNumbers("i1", constant.shape, values));
  const on = shapeOf(op);
  const mask = { kind: "where", condition, flags: constant, inverted: false, fill: 0, on } as const;
  return { ...then(scores, mask), ops: [...scores.ops, ...b.ops] };
}

/** The factor on the queries, or on the keys. */
function factored(graph: Graph, op: Op, scores: Scores, by: Value): Scores | null {
  const { q, columns, masks, softcap } = scores;
  const kind = op.kind.replace("onnx.", "");
  if (masks.length > 0 || softcap !== undefined) {
    return graph.refuse("attention", "scores are multiplied behind a mask or a bound", op);
  }
  const [rows, keys = 1] = [1, 1, ...by.type.shape].slice(-2);
  const side = keys === 1 ? q : columns;
  const isOne = keys === 1 || rows === 1;
  const b = graph.builder(op);
  const scaledSide = isOne ? b.op(kind, [side, by]) : side;
  const isHere = shapeOf(op).join() === scores.shape.join();
  if (!isOne || !isHere || scaledSide.type.shape.join() !== side.type.shape.join()) {
    const why = "scores are multiplied by numbers that are neither one per query nor one per key";
    return graph.refuse("attention", why, op);
  }
  const sides = keys === 1 ? { q: scaledSide } : { columns: scaledSide };
  return { ...scores, ...sides, ops: [...scores.ops, ...b.ops] };
}

/** A constant added where, and only where, another put one number in place of the scores. */
function filled(graph: Graph, scores: Scores, value: Value): Scores | null {
  const last = scores.masks.at(-1);
  if (last?.kind !== "where") return null;
  const condition = last.flags ?? graph.values(last.condition);
  const added = graph.values(value);
  if (!condition || added?.shape.join() !== condition.shape.join()) return null;
  const hides = toNumbers(condition).map((c) => (c !== 0) === last.inverted);
  const [shown, hidden] = [true, false].map(
    (kept) => new Set(toNumbers(added).filter((_, i) => hides[i] !== kept)),
  );
  const [more = 0] = hidden ?? [];
  if ((hidden?.size ?? 0) > 1 || [...(shown ?? [])].some((n) => n !== 0)) return null;
  const mask = { ...last, fill: last.fill + more };
  return { ...scores, masks: [...scores.masks.slice(0, -1), mask] };
}

const STEPS: Readonly<Record<string, (graph: Search, op: Op) => Scores | null>> = {
  "onnx.MatMul": product,
  "onnx.Add": added,
  "onnx.Sub": takenOff,
  "onnx.Where": chosen,
  "onnx.Max": floored,
  "onnx.Clip": floored,
};

/** A graph, and what was found in it on the way: sums and products may share their operands. */
interface Search extends Graph {
  readonly found: Map<Value, Scores | null>;
}

/** Null when v is not a product of two computed values under scales and masks. */
export const scoresOf = (graph: Graph, v: Value): Scores | null =>
  found({ ...graph, found: new Map() }, v);

function found(graph: Search, from: Value): Scores | null {
  const v = sameNumbers(graph, from);
  const known = graph.found.get(v);
  if (known !== undefined) return known;
  const scores = traced(graph, v);
  graph.found.set(v, scores);
  return scores;
}

function traced(graph: Search, v: Value): Scores | null {
  const op = graph.producer(v);
  const step = STEPS[op?.kind ?? ""];
  if (op && step) return step(graph, op);
  const inner = scaled(graph, v);
  const scores = inner ? found(graph, inner.x) : null;
  if (inner && scores) return times(scores, inner.scalar);
  const bounded = capped(graph, v);
  if (bounded || !op || !PRODUCTS.has(op.kind) || inner) return bounded;
  return weighed(graph, op);
}

const PRODUCTS = new Set(["onnx.Mul", "onnx.Div"]);
