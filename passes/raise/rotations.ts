/** The pairs of features that a rotary embedding turns: the two halves of the last axis, or neighbours. */

import type { Value } from "../../src/ir/op.ts";
import type { Graph } from "./graph.ts";
import { type Part, partOf } from "./parts.ts";

/** One feature of every pair of x [..., D]. */
export interface Component {
  readonly x: Value;
  readonly interleaved: boolean;
  readonly index: 0 | 1;
}

const WITHOUT_ORDER = new Set(["onnx.Reshape", "onnx.Unsqueeze", "onnx.Squeeze"]);

const core = (v: Value): string => v.type.shape.join().replace(/,1$/, "");

/** The value before an axis of size one was put behind it or taken from there. */
function withoutLastOne(graph: Graph, v: Value): Value {
  const op = graph.producer(v);
  const [from] = op?.operands ?? [];
  const isSame = op && from && WITHOUT_ORDER.has(op.kind) && core(from) === core(v);
  return isSame ? withoutLastOne(graph, from) : v;
}

/** [..., D] where v is [..., D / 2, 2]. */
function beforePairs(graph: Graph, v: Value): Value | undefined {
  const [from] = graph.producer(v, "onnx.Reshape")?.operands ?? [];
  const [half, two] = v.type.shape.slice(-2);
  const isPaired = two === 2 && from?.type.shape.at(-1) === 2 * Number(half);
  return isPaired && from.type.shape.length + 1 === v.type.shape.length ? from : undefined;
}

/** One of the two along the last axis, as Gather picks it. */
function picked(graph: Graph, v: Value): Part | undefined {
  const gather = graph.producer(v, "onnx.Gather");
  const [x, index] = gather?.operands ?? [];
  const at = graph.scalar(index);
  const rank = x?.type.shape.length ?? 0;
  const isLast = (Number(gather?.attrs["axis"] ?? 0) + rank) % rank === rank - 1;
  return x && at !== undefined && isLast ? { x, from: at, to: at + 1, step: 1 } : undefined;
}

/** Undefined when v is not one feature of every pair of something. */
export function componentOf(graph: Graph, from: Value): Component | undefined {
  const v = withoutLastOne(graph, from);
  const part = partOf(graph, v) ?? picked(graph, v);
  const width = part?.x.type.shape.at(-1);
  if (!part || typeof width !== "number" || width % 2 !== 0) return undefined;
  const pairs = part.step === 1 ? beforePairs(graph, part.x) : undefined;
  if (pairs && part.to === part.from + 1) {
    return { x: pairs, interleaved: true, index: part.from === 0 ? 0 : 1 };
  }
  const { x, from: start, to, step } = part;
  if (step === 2 && start < 2 && to >= width - 1 + start) {
    return { x, interleaved: true, index: start === 0 ? 0 : 1 };
  }
  const half = width / 2;
  if (step !== 1 || to - start !== half || start % half !== 0) return undefined;
  return { x, interleaved: false, index: start === 0 ? 0 : 1 };
}

/** Two lists of features put together as halves of an axis, or as its pairs; and what else follows. */
export interface Joined {
  readonly parts: readonly [Value, Value];
  readonly rest: readonly Value[];
  readonly interleaved: boolean;
}

export function joined(graph: Graph, v: Value): Joined | undefined {
  const op = graph.producer(v);
  const pairs = op?.kind === "onnx.Reshape" ? op.operands[0] : undefined;
  const concat = graph.producer(pairs ?? v, "onnx.Concat");
  const [first, second, ...rest] = concat?.operands ?? [];
  const rank = (pairs ?? v).type.shape.length;
  if (!concat || !first || !second) return undefined;
  if ((Number(concat.attrs["axis"]) + rank) % rank !== rank - 1) return undefined;
  const others = rest.filter((r) => r !== null);
  if (!pairs) return { parts: [first, second], rest: others, interleaved: false };
  const isPaired = first.type.shape.at(-1) === 1 && second.type.shape.at(-1) === 1;
  const isWide = v.type.shape.length === rank - 1 && others.length === 0;
  if (!isPaired || !isWide || v.type.shape.at(-1) !== 2 * Number(first.type.shape.at(-2))) {
    return undefined;
  }
  const parts = [withoutLastOne(graph, first), withoutLastOne(graph, second)] as const;
  return { parts, rest: [], interleaved: true };
}
