/** Operations whose result element depends on one element of each operand. */

import { fromNumbers } from "../../../tensor/convert.ts";
import type { Elem } from "../../../tensor/tensor.ts";
import { broadcast } from "../../access.ts";
import { stringAttr } from "../../attrs.ts";
import { attr, type OnnxAttr, type OnnxGraph, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";

const ACTIVATIONS = [
  "gelu_erf",
  "gelu_tanh",
  "quick_gelu",
  "silu",
  "relu",
  "tanh",
  "sigmoid",
  "softplus",
] as const;

const resultElem = (op: Op): Elem => op.results[0]?.type.elem ?? "f32";

/** One node where ONNX has the function. */
const NODES: Readonly<Record<string, readonly [string, Readonly<Record<string, OnnxAttr>>]>> = {
  gelu_erf: ["Gelu", { approximate: { string: "none" } }],
  gelu_tanh: ["Gelu", { approximate: { string: "tanh" } }],
  relu: ["Relu", {}],
  tanh: ["Tanh", {}],
  sigmoid: ["Sigmoid", {}],
  softplus: ["Softplus", {}],
};

/** Adds f(x) and gives its name, which is `output` when one is asked for. */
function applied(op: Op, graph: OnnxGraph, x: string, output?: string): string {
  const f = stringAttr(op, "function");
  const options = output === undefined ? {} : { outputs: [output] };
  const node = NODES[f];
  if (node) return graph.node(node[0], [x], node[1], options);
  // SiLU is x sigmoid(x); quick GELU is x sigmoid(1.702 x).
  const slope = graph.constant(fromNumbers(resultElem(op), [], [1.702]));
  const inner = f === "silu" ? x : graph.node("Mul", [x, slope]);
  return graph.node("Mul", [x, graph.node("Sigmoid", [inner])], {}, options);
}

function* knownFunction(op: Op): Iterable<string> {
  const f = op.attrs["function"];
  if (!ACTIVATIONS.some((a) => a === f)) yield `there is no function '${String(f)}'`;
}

function* sameShapes(op: Op): Iterable<string> {
  const [a, b] = op.operands;
  if (a && b && a.type.shape.join() !== b.type.shape.join()) yield "both operands need one shape";
}

const aligned = (op: Op) =>
  op.operands.map((v) =>
    v ? broadcast(v.type.shape, op.results[0]?.type.shape ?? v.type.shape) : null,
  );

const activation: OpDef = {
  kind: "nn.activation",
  levels: ["nn", "aimc"],
  doc: `The function applied to every element; one of ${ACTIVATIONS.join(", ")}.`,
  operands: ["x"],
  results: ["y"],
  attrs: { function: attr.string },
  verify: knownFunction,
  infer: (op, [x]) => (x ? [x.type] : op.results.map((r) => r.type)),
  access: aligned,
  toOnnx(op, graph, [x = ""], [output = ""]) {
    applied(op, graph, x, output);
  },
};

const gated: OpDef = {
  kind: "nn.gated",
  levels: ["nn", "aimc"],
  doc: "f(gate) · up, element by element: the gated linear unit (Shazeer, GLU Variants, 2020).",
  operands: ["gate", "up"],
  results: ["y"],
  attrs: { function: attr.string },
  *verify(op) {
    yield* knownFunction(op);
    yield* sameShapes(op);
  },
  infer: (op, [gate]) => (gate ? [gate.type] : op.results.map((r) => r.type)),
  access: aligned,
  toOnnx(op, graph, [gate = "", up = ""], outputs) {
    graph.node("Mul", [applied(op, graph, gate), up], {}, { outputs });
  },
};

const residual: OpDef = {
  kind: "nn.residual",
  levels: ["nn", "aimc"],
  doc: "The sum of two computed values of one shape, as around a block of a transformer.",
  operands: ["a", "b"],
  results: ["y"],
  attrs: {},
  verify: sameShapes,
  infer: (op, [a]) => (a ? [a.type] : op.results.map((r) => r.type)),
  access: aligned,
  toOnnx(_, graph, inputs, outputs) {
    graph.node("Add", inputs, {}, { outputs });
  },
};

export const POINTWISE_OPS: readonly OpDef[] = [activation, gated, residual];
