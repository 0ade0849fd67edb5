/**
 * raise-moe: mixtures of experts.
 *
 * Before: top-k routers, and experts as an unrolled loop over the rows that chose each of them (NonZero,
 *   Gather, ScatterElements), or as products with stacks of matrices [E, in, out] summed by Einsum with
 *   a dense routing matrix; or as products of every row with its own, gathered, matrix; or fused into one operation of ONNX Runtime's, MoE or QMoE.
 * After: nn.router, for every expert nn.linear (and what is between) on all tokens with the routing as
 *   an operand, nn.combine. No shape depends on data any more.
 * Why all tokens: rows with routing zero are not computed, so the work is the same; the shapes are not.
 */

import type { Op, Value } from "../src/ir/op.ts";
import { fromNumbers } from "../src/tensor/convert.ts";
import { sizeOf } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";
import { isZero, termsOf } from "./raise/expert-loop.ts";
import { type Copy, copied, type Expert, unshaped } from "./raise/experts.ts";
import { fusedMixture } from "./raise/fused-experts.ts";
import { gatheredMixture } from "./raise/gathered-experts.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { inPlaceOf } from "./raise/patterns.ts";
import { type Routing, routingOf } from "./raise/routing.ts";

/** What both forms come to: per expert, the end of its network and how to know its beginning. */
interface Mixture {
  readonly routing: Routing;
  /** The tokens, [T, H] or the same with more axes. */
  readonly x: Value;
  readonly outputs: readonly (Pick<Expert, "isInput" | "ownOf"> & { readonly end: Value })[];
}

const SUMS = new Set(["onnx.Add", "nn.residual", "onnx.ScatterElements"]);

function fromLoop(graph: Graph, op: Op): Mixture | null {
  if (!SUMS.has(op.kind)) return null;
  const terms = termsOf(graph, op);
  if (!terms) return null;
  const ordered = terms.toSorted((a, b) => a.expert - b.expert);
  const [one] = ordered;
  const routing = one ? routingOf(graph, one.weights) : null;
  if (!one || !routing || terms.length !== routing.experts) return null;
  const indices = routing.topK.results[1];
  const whole = ordered.every(
    (t, e) => t.expert === e && t.weights === one.weights && graph.strip(t.indices) === indices,
  );
  const x = inputOf(graph, one.output, (v) => one.gatheredFrom(v));
  if (!whole || !x) return null;
  const outputs = ordered.map((t) => ({
    end: t.output,
    isInput: (v: Value) => t.gatheredFrom(unshaped(graph, v)) === x,
  }));
  return { routing, x, outputs };
}

const elements = (v: Value): number => sizeOf(v.type.shape.map((d) => d ?? 0));

/** The tokens that a network starts from, found along first operands. */
function inputOf(
  graph: Graph,
  end: Value,
  from: (v: Value) => Value | undefined,
): Value | undefined {
  let value: Value | null | undefined = end;
  while (value) {
    const found = from(value);
    if (found) return found;
    value = graph.producer(value)?.operands[0];
  }
  return undefined;
}

/** What the networks of stacked experts are made of. */
const INSIDE = new Set(["onnx.MatMul", "onnx.Slice", "onnx.Split", "nn.activation", "nn.gated"]);

/** sum over e of routing[t, e] · y[e, t, h], as Einsum says it. */
function fromEinsum(graph: Graph, op: Op): Mixture | null {
  const equation = String(op.attrs["equation"] ?? "").replaceAll(" ", "");
  const [, t, e, h] = /^(\w)(\w),\2\1(\w)->\1\3$/.exec(equation) ?? [];
  const [weights, y] = op.operands;
  if (op.kind !== "onnx.Einsum" || !t || !e || !h || !weights || !y) return null;
  const scatter = graph.producer(weights, "onnx.ScatterElements");
  const [base, indices, values] = scatter?.operands ?? [];
  const { axis = 0, reduction = "none" } = scatter?.attrs ?? {};
  if (!base || !indices || !values || !isZero(graph, base) || reduction !== "none") return null;
  const routing = routingOf(graph, values);
  const sameChoice = graph.strip(indices) === routing?.topK.results[1];
  if (!routing || !sameChoice || (axis !== 1 && axis !== -1)) return null;
  if (weights.type.shape[1] !== routing.experts) return null;
  const x = inputOf(graph, y, (v) =>
    INSIDE.has(graph.producer(v)?.kind ?? "") ? undefined : unshaped(graph, v),
  );
  const [tokens] = weights.type.shape;
  if (!x || elements(x) !== Number(tokens) * Number(x.type.shape.at(-1))) return null;
  const isInput = (v: Value) => unshaped(graph, v) === x;
  return {
    routing,
    x,
    outputs: Array.from({ length: routing.experts }, () => ({ end: y, isInput })),
  };
}

function fromGathered(graph: Graph, op: Op): Mixture | null {
  const found = gatheredMixture(graph, op);
  if (!found) return null;
  const { routing, x, ...output } = found;
  return { routing, x, outputs: Array.from({ length: routing.experts }, () => output) };
}

/** The tokens as [T, H]: the router's own input if it is that, else a new Reshape. */
function asRows(graph: Graph, mixture: Mixture, op: Op): Copy {
  const { x, routing } = mixture;
  const source = unshaped(graph, x);
  const [read] = graph.producer(routing.logits, "nn.linear")?.operands ?? [];
  if (read?.type.shape.length === 2 && unshaped(graph, read) === source) {
    return { value: read, ops: [] };
  }
  if (x.type.shape.length === 2) return { value: x, ops: [] };
  const shape = [routing.logits.type.shape[0] ?? 0, x.type.shape.at(-1) ?? 0];
  const target = graph.fresh("rows_shape", { elem: "i64", shape: [2] });
  const value = graph.fresh("rows", { elem: x.type.elem, shape });
  const constant: Op = {
    kind: "onnx.Constant",
    operands: [],
    results: [target],
    attrs: { value: fromNumbers("i64", [2], shape) },
    origin: op.origin,
  };
  const reshape: Op = {
    kind: "onnx.Reshape",
    operands: [x, target],
    results: [value],
    attrs: {},
    origin: op.origin,
  };
  return { value, ops: [constant, reshape] };
}

function routerOf(graph: Graph, { routing }: Mixture, op: Op): Op {
  const { logits, attrs, topK } = routing;
  const results = [graph.fresh("routing", logits.type)];
  const like: Op = { ...topK, results };
  const router = inPlaceOf(graph, like, "nn.router", [logits], attrs);
  return { ...router, origin: router.origin.length > 0 ? router.origin : op.origin };
}

function mixture(op: Op, graph: Graph): readonly Op[] | null {
  const fused = fusedMixture(op, graph);
  if (fused) return fused;
  const found = fromLoop(graph, op) ?? fromEinsum(graph, op) ?? fromGathered(graph, op);
  if (!found || op.results[0]?.type.shape.length !== 2) return null;
  const rows = asRows(graph, found, op);
  const router = routerOf(graph, found, op);
  const [routing] = router.results;
  if (!routing) return null;
  const experts = found.outputs.map(({ end, ...how }, index) => {
    const expert: Expert = { ...how, index, routing, x: rows.value, copies: new Map() };
    return copied(graph, end, expert);
  });
  const known = experts.filter((c) => c !== null);
  if (known.length < experts.length) return null;
  const inner = known.flatMap((c) => c.ops);
  const operands = [routing, ...known.map((c) => c.value)];
  const combine = inPlaceOf(graph, op, "nn.combine", operands, {});
  const taken = new Set([...inner, router].flatMap((o) => o.origin));
  const between = graph.originOf(op, [found.routing.logits, found.x]);
  const origin = between.filter((name) => !taken.has(name));
  return [...rows.ops, router, ...inner, { ...combine, origin }];
}

/** Why a choice among what a linear scored is left over. */
function choiceAlone(op: Op, graph: Graph): null {
  const [ranked, k] = op.operands;
  if (op.kind !== "onnx.TopK" || !ranked) return null;
  const score = graph.producer(ranked);
  const logits = SCORES.has(score?.kind ?? "") ? score?.operands[0] : ranked;
  if (!logits || !graph.producer(unshaped(graph, logits), "nn.linear")) return null;
  if (graph.scalar(k) === undefined)
    return graph.refuse(NAME, "how many it chooses is computed", op);
  const { shape } = logits.type;
  if (shape.length !== 2) {
    const why = `what it ranks, [${shape.map(String).join(", ")}], is not [tokens, experts]`;
    return graph.refuse(NAME, why, op);
  }
  const why =
    "what it chooses reaches no loop over all experts, no Einsum over stacks of them and no products with gathered ones";
  return graph.refuse(NAME, why, op);
}

const SCORES = new Set(["nn.softmax", "nn.activation"]);

const NAME = "mixture of experts";

export const raiseMoe: Pass = {
  name: "raise-moe",
  summary: "recognise mixtures of experts",
  needs: ["raised"],
  gives: [],
  run: (module, context) =>
    raiseOps(module, context, (op, graph) => mixture(op, graph) ?? choiceAlone(op, graph)),
};
