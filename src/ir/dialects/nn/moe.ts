/** Mixture of experts: the dense routing matrix, and the weighted sum over experts. */

import { fromNumbers } from "../../../tensor/convert.ts";
import { ALL, point } from "../../access.ts";
import { boolAttr, intAttr, stringAttr } from "../../attrs.ts";
import { attr, type OnnxGraph, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";

const score = (op: Op, graph: OnnxGraph, x: string): string =>
  stringAttr(op, "score") === "softmax"
    ? graph.node("Softmax", [x], { axis: { int: -1 } })
    : graph.node("Sigmoid", [x]);

/** The chosen weights [T, K] and their columns [T, K]. */
function chosen(op: Op, graph: OnnxGraph, logits: string, name: string) {
  const k = graph.constant(fromNumbers("i64", [1], [intAttr(op, "top_k")]));
  const scoreFirst = stringAttr(op, "first") === "score";
  const ranked = scoreFirst ? score(op, graph, logits) : logits;
  const best = `${name}.best`;
  const columns = `${name}.columns`;
  graph.node("TopK", [ranked, k], { axis: { int: -1 } }, { outputs: [best, columns] });
  let weights = scoreFirst ? best : score(op, graph, best);
  if (boolAttr(op, "normalize")) {
    const last = graph.constant(fromNumbers("i64", [1], [-1]));
    const sum = graph.node("ReduceSum", [weights, last], { keepdims: { int: 1 } });
    weights = graph.node("Div", [weights, sum]);
  }
  return { weights, columns };
}

const router: OpDef = {
  kind: "nn.router",
  levels: ["nn", "aimc"],
  doc:
    "From logits [T, E] the routing matrix [T, E]: the weights of the top_k experts of each token, " +
    "zero elsewhere. Scores (softmax or sigmoid) come first or after the choice; with normalize " +
    "the chosen weights are divided by their sum (Shazeer et al., 2017; Jiang et al., Mixtral, 2024).",
  operands: ["logits"],
  results: ["routing"],
  attrs: { top_k: attr.int, normalize: attr.bool, score: attr.string, first: attr.string },
  *verify(op) {
    const shape = op.operands[0]?.type.shape ?? [];
    if (shape.length !== 2) yield "logits must be [T, E]";
    const k = intAttr(op, "top_k");
    const experts = shape[1];
    if (k < 1 || (typeof experts === "number" && k > experts)) yield `top_k cannot be ${k}`;
    if (!["softmax", "sigmoid"].includes(stringAttr(op, "score"))) yield "no such score";
    if (!["score", "top_k"].includes(stringAttr(op, "first"))) yield "no such first step";
  },
  infer: (op, [x]) => (x ? [x.type] : op.results.map((r) => r.type)),
  access: () => [[point(0), ALL]],
  toOnnx(op, graph, [logits = ""], [output = ""]) {
    const { weights, columns } = chosen(op, graph, logits, output);
    const elem = op.results[0]?.type.elem ?? "f32";
    const nothing = graph.node("Mul", [logits, graph.constant(fromNumbers(elem, [], [0]))]);
    const inputs = [nothing, columns, weights];
    graph.node("ScatterElements", inputs, { axis: { int: 1 } }, { outputs: [output] });
  },
};

const combine: OpDef = {
  kind: "nn.combine",
  levels: ["nn", "aimc"],
  doc: "The sum over experts e of routing[:, e] · y_e.",
  operands: ["routing", "y*"],
  results: ["y"],
  attrs: {},
  *verify(op) {
    const [routing, ...ys] = op.operands;
    if (routing && routing.type.shape[1] !== ys.length) yield "needs one y for each expert";
    const shapes = new Set(ys.map((y) => y?.type.shape.join()));
    if (shapes.size > 1) yield "every y needs the same shape";
  },
  infer: (op, [, y]) => (y ? [y.type] : op.results.map((r) => r.type)),
  access: (op) => op.operands.map((_, i) => (i === 0 ? [point(0), ALL] : [point(0), point(1)])),
  toOnnx(_, graph, [routing = "", ...ys], outputs) {
    const parts = ys.map((y, e) => {
      const column = graph.constant(fromNumbers("i64", [1], [e]));
      return graph.node("Mul", [graph.node("Gather", [routing, column], { axis: { int: 1 } }), y]);
    });
    graph.node("Sum", parts, {}, { outputs });
  },
};

export const MOE_OPS: readonly OpDef[] = [router, combine];
