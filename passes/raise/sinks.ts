/** Sinks: one more score for every query, which takes a share of its weights and is dropped again (gpt-oss, 2025). */

import type { Op, Value } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { type Elem, isFloat, sizeOf } from "../../src/tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { apart, type Built } from "./heads.ts";
import { partOf } from "./parts.ts";
import { axisOf } from "./patterns.ts";
import { sameRows } from "./scores.ts";

/** The softmax that gives weights, what it takes for the keys, and what it takes for no key. */
export interface Weighing {
  readonly softmax: Op;
  readonly masked: Value;
  /** [..., Sq, 1], as wide as the scores. */
  readonly sink?: Value;
}

/** Null when the weights do not come out of a softmax. */
export function weighingOf(graph: Graph, weights: Value): Weighing | null {
  const plain = sameRows(graph, weights);
  const part = partOf(graph, plain);
  const softmax = graph.producer(sameRows(graph, part?.x ?? plain), "onnx.Softmax");
  const [taken] = softmax?.operands ?? [];
  if (!softmax || !taken) return null;
  if (!part) return { softmax, masked: taken };
  const joined = graph.producer(unshifted(graph, sameRows(graph, taken)), "onnx.Concat");
  const rank = taken.type.shape.length;
  const columns = joined && axisOf(joined) === rank - 1 ? joined.operands : [];
  const [masked, sink] = part.from === 0 ? columns : columns.toReversed();
  const isKept = part.step === 1 && part.to - part.from === masked?.type.shape.at(-1);
  if (!masked || !sink || columns.length !== 2 || !isKept) return null;
  return sink.type.shape.at(-1) === 1 ? { softmax, masked, sink } : null;
}

/** x where v = x - max(x) over its rows: softmax gives the same for both. */
function unshifted(graph: Graph, v: Value): Value {
  const [x, top] = graph.producer(v, "onnx.Sub")?.operands ?? [];
  const [of] = graph.producer(top, "onnx.ReduceMax")?.operands ?? [];
  const isRow = top?.type.shape.at(-1) === 1;
  return x && of && isRow && graph.strip(of) === graph.strip(x) ? sameRows(graph, x) : v;
}

/** Operands without the absent ones at their end. */
export const withoutTrailing = (operands: readonly (Value | null)[]): readonly (Value | null)[] =>
  operands.slice(0, operands.findLastIndex((v) => v !== null) + 1);

/** The sink as what broadcasts to [B, H, Sq, 1], of the type of the queries; null when it has another. */
export function sinkOf(
  graph: Graph,
  sink: Value | undefined,
  q: Value,
  lead: readonly [number, number],
  root: Op,
): Built | { readonly value: null; readonly ops: readonly Op[] } | null {
  if (!sink) return { value: null, ops: [] };
  const { elem } = q.type;
  const folded = constantSink(graph, sink, elem, lead, root);
  if (folded) return folded;
  const narrow = unexpanded(graph, sink);
  return narrow.type.elem === elem ? apart(graph, narrow, lead, root.origin) : null;
}

/** Before it was cast to what softmax computes in, and repeated for the batch and the queries. */
function unexpanded(graph: Graph, v: Value): Value {
  const op = graph.producer(v);
  const [from] = op?.operands ?? [];
  const isCast = op?.kind === "onnx.Cast" && from && isFloat(from.type.elem);
  const isSame = from?.type.shape.length === 4 && from.type.shape.at(-1) === 1;
  const isWide = op?.kind === "onnx.Expand" && isSame;
  return from && (isCast || isWide) ? unexpanded(graph, from) : v;
}

/** A constant sink, once for each head when queries and batch entries have the same. */
function constantSink(
  graph: Graph,
  sink: Value,
  elem: Elem,
  [batch, heads]: readonly [number, number],
  root: Op,
): Built | null {
  const constant = graph.values(sink);
  const values = constant ? toNumbers(constant) : [];
  const queries = values.length / (batch * heads);
  if (!constant || sizeOf(constant.shape) === 0 || !Number.isInteger(queries)) return null;
  const own = Array.from({ length: heads }, (_, h) => values[h * queries] ?? 0);
  const isOwn = values.every((n, at) => n === own[Math.floor(at / queries) % heads]);
  const [shape, numbers] = isOwn ? [[1, heads, 1, 1], own] : [[batch, heads, queries, 1], values];
  const rounded = fromNumbers(elem, shape, numbers);
  if (!toNumbers(rounded).every((n, i) => n === numbers[i])) return null;
  const b = graph.builder(root);
  return { value: b.constant(rounded), ops: b.ops };
}
