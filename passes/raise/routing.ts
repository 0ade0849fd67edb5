/** Routers: how exporters write the choice of experts, traced back from the weights they give. */

import type { Attrs, Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Graph } from "./graph.ts";
import { quotient } from "./patterns.ts";

export interface Routing {
  /** [T, E]. */
  readonly logits: Value;
  /** Attributes of nn.router. */
  readonly attrs: Attrs;
  /** The operation that chose. */
  readonly topK: Op;
  readonly experts: number;
  readonly chosen: number;
}

type MaybeValue = Value | null | undefined;

/** x and the name of the score where v = score(x), taken over the experts. */
function scored(graph: Graph, v: MaybeValue) {
  const op = graph.producer(v);
  const [x] = op?.operands ?? [];
  if (!op || !x) return undefined;
  const { axis = -1, function: f } = op.attrs;
  const alongLast = Number(axis) === -1 || Number(axis) === x.type.shape.length - 1;
  const isSoftmax = op.kind === "onnx.Softmax" || op.kind === "nn.softmax";
  if (isSoftmax && alongLast) return { x, score: "softmax" };
  const isSigmoid = op.kind === "onnx.Sigmoid" || (op.kind === "nn.activation" && f === "sigmoid");
  return isSigmoid ? { x, score: "sigmoid" } : undefined;
}

/** p where v = p / sum(p) over the last axis; the scores are positive, so that the sum of sizes is the same. */
function normalised(graph: Graph, v: Value): Value | undefined {
  const [p, sum] = quotient(graph, v) ?? [];
  const reduce = graph.producer(sum, "onnx.ReduceSum") ?? graph.producer(sum, "onnx.ReduceL1");
  const [summed, axes] = reduce?.operands ?? [];
  const given = axes ? graph.values(axes) : undefined;
  const list = given ? toNumbers(given) : reduce?.attrs["axes"];
  if (!p || !reduce || !summed || !Array.isArray(list) || reduce.attrs["keepdims"] === 0)
    return undefined;
  const [axis, ...more] = list.map(Number);
  const last = axis === -1 || axis === p.type.shape.length - 1;
  return last && more.length === 0 && graph.strip(summed) === graph.strip(p) ? p : undefined;
}

const isDescending = (op: Op, rank: number): boolean => {
  const { axis = -1, largest = 1 } = op.attrs;
  return (Number(axis) + rank) % rank === rank - 1 && largest !== 0;
};

/** Null when the weights [T, K] are not those of a top-k router. */
export function routingOf(graph: Graph, weights: Value): Routing | null {
  const summed = normalised(graph, weights);
  const values = summed ?? weights;
  const after = scored(graph, values);
  const topK = graph.producer(after?.x ?? values, "onnx.TopK");
  const [ranked, k] = topK?.operands ?? [];
  const chosen = graph.scalar(k);
  if (!topK || !ranked || chosen === undefined || !isDescending(topK, 2)) return null;
  if (graph.strip(after?.x ?? values) !== topK.results[0]) return null;
  const before = after ? undefined : scored(graph, ranked);
  const logits = before?.x ?? ranked;
  const score = after?.score ?? before?.score;
  const [tokens, experts] = logits.type.shape;
  if (logits.type.shape.length !== 2 || score === undefined) return null;
  if (typeof tokens !== "number" || typeof experts !== "number") return null;
  const first = after ? "top_k" : "score";
  const attrs = { top_k: chosen, normalize: summed !== undefined, score, first };
  return { logits, attrs, topK, experts, chosen };
}
