/** Edits that make a model larger: nesting, calls, chains, enormous constants. */

import { type GraphProto, type ModelProto, type NodeProto, onnx } from "../../src/onnx/proto.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { at, pick } from "./values.ts";

/** Plain data, so that a failing case can be printed and given back. Numbers wrap around what there is. */
export interface ModelEdit {
  readonly kind: string;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export interface Editing {
  readonly model: ModelProto;
  readonly graph: GraphProto;
  readonly edit: ModelEdit;
}

const KIND = onnx.AttributeProto.AttributeType;

export const nodesOf = (g: GraphProto): NodeProto[] => g.node ?? [];

/** Puts the whole graph into nested Ifs with a constant condition. */
export function nest(graph: GraphProto, depth: number): void {
  const outputs = (graph.output ?? []).map((o) => o.name ?? "");
  let body: NodeProto[] = [...nodesOf(graph)];
  for (let i = 0; i < depth; i++) {
    const branch = {
      name: `b${i}`,
      node: body,
      output: outputs.map((name) => ({ name: `${name}` })),
    };
    const attribute = ["then_branch", "else_branch"].map((name) => ({
      name,
      type: KIND.GRAPH,
      g: branch,
    }));
    const nested = outputs.map((o) => `${o}`);
    body = [
      {
        opType: "If",
        input: ["nest_condition"],
        output: nested,
        attribute: attribute.slice(0, depth > 8 ? 1 : 2),
      },
    ];
  }
  graph.node = body;
  graph.initializer = [
    ...(graph.initializer ?? []),
    { name: "nest_condition", dataType: 9, dims: [], rawData: Uint8Array.of(1) },
  ];
}

/** Functions that call the next one twice: 2^depth nodes when inlined; or themselves. */
export function functions({ model, graph }: Editing, depth: number, own: boolean): void {
  const domain = "local";
  const call = (i: number, input: string, output: string): NodeProto => ({
    opType: `f${i}`,
    domain,
    input: [input],
    output: [output],
  });
  model.functions = Array.from({ length: depth }, (_, i) => ({
    name: `f${i}`,
    domain,
    input: ["x"],
    output: ["y"],
    opsetImport: [
      { domain: "", version: 17 },
      { domain, version: 1 },
    ],
    node:
      i + 1 < depth || own
        ? [call((i + 1) % depth, "x", "t"), call((i + 1) % depth, "t", "y")]
        : [{ opType: "Identity", input: ["x"], output: ["y"] }],
  }));
  model.opsetImport = [...(model.opsetImport ?? []), { domain, version: 1 }];
  const [first] = nodesOf(graph);
  const source = first?.input?.[0];
  if (!first?.input || source === undefined) return;
  graph.node = [call(0, source, "called"), ...nodesOf(graph)];
  first.input = ["called", ...first.input.slice(1)];
}

/** A chain of nodes that change little, before an output. */
export function chain(graph: GraphProto, length: number, kind: number): void {
  const name = graph.output?.[0]?.name ?? "";
  for (const n of nodesOf(graph))
    n.output = (n.output ?? []).map((o) => (o === name ? "chain_0" : o));
  const links = Array.from(
    { length },
    (_, i): NodeProto => ({
      opType: at(["Identity", "Relu", "Neg"], kind, "Relu"),
      input: [`chain_${i}`],
      output: [i + 1 === length ? name : `chain_${i + 1}`],
    }),
  );
  graph.node = [...nodesOf(graph), ...links];
}

const SIZES = [10 ** 6, 10 ** 8, 10 ** 9, 2 ** 31 - 1, 10 ** 10, 10 ** 12, 2 ** 53 - 1, 2 ** 62];

/** A few bytes of model that ask for a tensor without end, which then reaches a node. */
export function huge({ graph, edit }: Editing): void {
  const size = at(SIZES, edit.a, 10 ** 12);
  const ints = (...values: number[]): Tensor => fromNumbers("i64", [values.length], values);
  const scalar = (value: number): Tensor => fromNumbers("i64", [], [value]);
  const one = fromNumbers("f32", [1], [1]);
  const ways: Readonly<Record<string, readonly Tensor[]>> = {
    ConstantOfShape: [ints(size)],
    Expand: [one, ints(size)],
    Tile: [one, ints(size)],
    Range: [scalar(0), scalar(size), scalar(1)],
    Pad: [one, ints(0, size)],
    Resize: [one, fromNumbers("f32", [0], []), fromNumbers("f32", [0], []), ints(size)],
    OneHot: [ints(0), scalar(size), fromNumbers("f32", [2], [0, 1])],
  };
  const [opType = "", given = []] = pick(Object.entries(ways), edit.b) ?? [];
  const names = given.map((_, i) => `huge_${i}`);
  const constants = given.map((t, i) => toProto(`huge_${i}`, t));
  graph.initializer = [...(graph.initializer ?? []), ...constants];
  const made = { opType, name: "huge", input: names, output: ["huge"] };
  const less = {
    opType: "ReduceMax",
    name: "less",
    input: ["huge"],
    output: ["less"],
    attribute: [{ name: "keepdims", type: KIND.INT, i: 0 }],
  };
  const target = pick(nodesOf(graph), edit.c);
  if (target?.input?.length)
    target.input = [edit.c % 2 ? "less" : "huge", ...target.input.slice(1)];
  graph.node = [made, less, ...nodesOf(graph)];
}
