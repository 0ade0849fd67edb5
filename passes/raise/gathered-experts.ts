/**
 * Mixtures of experts whose tokens gather the matrices of their experts: T tokens that choose K experts each are
 * T · K rows, token after token, and each row is multiplied with a matrix of its own (the batched form of
 * transformers 5).
 */

import { intAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { sizeOf } from "../../src/tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { orders } from "./patterns.ts";
import { type Routing, routingOf } from "./routing.ts";

/** The end of the rows' network, and how to know its beginning and its matrices. */
export interface Gathered {
  readonly routing: Routing;
  /** The tokens, [T, H] or the same with more axes. */
  readonly x: Value;
  /** [T · K, H]. */
  readonly end: Value;
  isInput(v: Value): boolean;
  /** The stack [E, …] of which a value holds for every row what belongs to its expert. */
  ownOf(v: Value): Value | undefined;
}

const IN_ORDER = new Set(["onnx.Reshape", "onnx.Squeeze", "onnx.Unsqueeze", "onnx.Flatten"]);

/** The oldest value with the same elements in the same order. */
function sameOrder(graph: Graph, v: Value): Value {
  const value = graph.strip(v);
  const op = graph.producer(value);
  const [from] = op?.operands ?? [];
  return op && from && IN_ORDER.has(op.kind) ? sameOrder(graph, from) : value;
}

/** The tokens where v repeats every one of them as often, one copy after the other. */
function tokensOf(graph: Graph, v: Value, copies: number): Value | undefined {
  const value = sameOrder(graph, v);
  const repeated = expandedFrom(graph, value, copies) ?? pickedFrom(graph, value, copies);
  if (repeated) return sameOrder(graph, repeated);
  return copies === 1 ? value : undefined;
}

/** [T, 1, H] before it was expanded to [T, K, H]. */
function expandedFrom(graph: Graph, v: Value, copies: number): Value | undefined {
  const [from] = graph.producer(v, "onnx.Expand")?.operands ?? [];
  const [tokens, , width] = v.type.shape;
  const isRepeat = v.type.shape.join() === [tokens, copies, width].join();
  return isRepeat && from?.type.shape.join() === [tokens, 1, width].join() ? from : undefined;
}

/** [T, H] before its rows 0, 0, …, 1, 1, … were picked. */
function pickedFrom(graph: Graph, v: Value, copies: number): Value | undefined {
  const op = graph.producer(v, "onnx.Gather");
  const [from, indices] = op?.operands ?? [];
  if (!op || !from || from.type.shape.length !== 2 || intAttr(op, "axis", 0) !== 0)
    return undefined;
  const rows = indices && graph.values(indices);
  const isRepeat = rows && toNumbers(rows).every((row, i) => row === Math.floor(i / copies));
  return isRepeat ? from : undefined;
}

/** What is gathered along the first axis with one index for each row. */
function gatheredFrom(graph: Graph, v: Value, chosen: Value | undefined): Value | undefined {
  const op = graph.producer(v);
  const [stack, indices] = op?.operands ?? [];
  if (!op || !stack || !indices || !graph.isConstant(stack)) return undefined;
  const isPicked = op.kind === "onnx.Gather" || op.kind === "nn.embedding";
  const isRows = isPicked && intAttr(op, "axis", 0) === 0;
  const isNd = op.kind === "onnx.GatherND" && intAttr(op, "batch_dims", 0) === 0;
  const isOne = isRows ? indices.type.shape.length === 1 : indices.type.shape.at(-1) === 1;
  const isFlat = isRows || (isNd && indices.type.shape.length === 2);
  return isFlat && isOne && sameOrder(graph, indices) === chosen ? stack : undefined;
}

/** Values that the beginning of a network may be among, back from its end. */
function* behind(graph: Graph, end: Value): Iterable<Value> {
  const seen = new Set([end]);
  for (const v of seen) {
    yield v;
    const op = graph.producer(v);
    for (const operand of op?.operands ?? []) if (operand) seen.add(operand);
    if (seen.size > NEAR) return;
  }
}

/** How many values are looked at behind what may be the end of experts. */
const NEAR = 200;

/** y where v = sum over k of y [T, K, H]. */
function summed(graph: Graph, op: Op): Value | undefined {
  const [y, axes] = op.operands;
  if (op.kind !== "onnx.ReduceSum" || !y || y.type.shape.length !== 3) return undefined;
  const given = axes ? graph.values(axes) : undefined;
  const list = given ? toNumbers(given) : op.attrs["axes"];
  const isMiddle = Array.isArray(list) && list.length === 1 && (Number(list[0]) + 3) % 3 === 1;
  return isMiddle && intAttr(op, "keepdims", 1) === 0 ? y : undefined;
}

export function gatheredMixture(graph: Graph, op: Op): Gathered | null {
  const y = summed(graph, op);
  const [tokens, chosen, width] = y?.type.shape ?? [];
  const product = y && graph.producer(sameOrder(graph, y), "onnx.Mul");
  for (const [end, weights] of orders(product)) {
    const routing = routingOf(graph, sameOrder(graph, weights));
    if (!routing || routing.chosen !== chosen || routing.logits.type.shape[0] !== tokens) continue;
    if (end.type.shape.join() !== [Number(tokens) * chosen, width].join()) continue;
    const source = sourceOf(graph, end, routing);
    if (source) return { routing, end, ...source };
  }
  return null;
}

function sourceOf(graph: Graph, end: Value, { topK, chosen, logits }: Routing) {
  const [, indices] = topK.results;
  const ownOf = (v: Value) => gatheredFrom(graph, v, indices);
  const [tokens] = logits.type.shape;
  for (const v of behind(graph, end)) {
    const x = v.type.shape[0] === Number(tokens) * chosen ? tokensOf(graph, v, chosen) : undefined;
    const size = sizeOf((x?.type.shape ?? []).map((d) => d ?? 0));
    if (!x || size !== Number(tokens) * Number(x.type.shape.at(-1)) || graph.isConstant(x))
      continue;
    return { x, ownOf, isInput: (w: Value) => tokensOf(graph, w, chosen) === x };
  }
  return null;
}
