/** Functions of the file and decided conditions: ONNX Runtime runs the original and what was read. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { exportModule } from "../../src/onnx/export.ts";
import { type GraphProto, onnx } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { folder, node, port, ramp, write } from "./small-model.ts";

const KIND = onnx.AttributeProto.AttributeType;

async function sameAsOriginal(path: string, shape: readonly number[]): Promise<void> {
  const feeds = new Map([["x", ramp(shape)]]);
  const { module, store } = readModel(path, { dims: {} });
  expect(await runModel(exportModule(module, store), feeds)).toEqual(await runModel(path, feeds));
}

test("functions are inlined, one in another, with attributes of their callers", async () => {
  const domain = "local";
  const leaky = {
    ...node("LeakyRelu", ["v"], ["w"]),
    attribute: [{ name: "alpha", type: KIND.FLOAT, refAttrName: "slope" }],
  };
  const inner = { ...node("Bend", ["p"], ["q"], { "slope:f": 0.25 }), domain };
  const opsetImport = [{ domain: "", version: 17 }];
  const path = join(folder(), "model.onnx");
  const graph: GraphProto = {
    name: "calls",
    input: [port("x", [2, 3])],
    output: [port("y", [2, 3])],
    // The tensor names v and w mean something else inside the functions.
    node: [
      node("Neg", ["x"], ["v"]),
      { ...node("Twice", ["v"], ["w"]), domain },
      { ...node("Twice", ["w"], ["y"]), domain },
    ],
  };
  const functions = [
    {
      name: "Bend",
      domain,
      input: ["v"],
      output: ["w"],
      attribute: ["slope"],
      node: [leaky],
      opsetImport,
    },
    {
      name: "Twice",
      domain,
      input: ["a"],
      output: ["b"],
      node: [node("Add", ["a", "a"], ["p"]), inner, node("Identity", ["q"], ["b"])],
      opsetImport: [...opsetImport, { domain, version: 1 }],
    },
  ];
  const model = {
    irVersion: 8,
    opsetImport: [...opsetImport, { domain, version: 1 }],
    graph,
    functions,
  };
  writeFileSync(path, onnx.ModelProto.encode(model).finish());
  await sameAsOriginal(path, [2, 3]);
});

/** `If(first dimension of x equals n)`: a branch with a constant and an outer tensor, or the input. */
const choosing = (n: number): string => {
  const branch = (name: string, graph: GraphProto) => ({
    name,
    type: KIND.GRAPH,
    g: { name, ...graph },
  });
  const attribute = [
    branch("then_branch", {
      node: [node("Mul", ["r", "c"], ["t"]), node("Tanh", ["t"], ["out"])],
      initializer: [toProto("c", fromNumbers("f32", [1], [3]))],
      output: [port("out", [2, 3])],
    }),
    branch("else_branch", { node: [node("Neg", ["x"], ["out"])], output: [port("out", [2, 3])] }),
  ];
  return write({
    input: [port("x", [2, 3])],
    output: [port("y", [2, 3])],
    node: [
      node("Relu", ["x"], ["r"]),
      node("Shape", ["x"], ["s"]),
      node("Gather", ["s", "i"], ["d"]),
      node("Equal", ["d", "n"], ["is"]),
      { ...node("If", ["is"], ["y"]), attribute },
    ],
    initializer: [
      toProto("i", fromNumbers("i64", [], [0])),
      toProto("n", fromNumbers("i64", [], [n])),
    ],
  });
};

test.each([2, 5])("an If that shapes decide becomes its branch (%i)", async (n) => {
  const path = choosing(n);
  const kinds = readModel(path, { dims: {} }).module.ops.map((op) => op.kind);
  expect(kinds).not.toContain("onnx.If");
  expect(kinds.includes("onnx.Tanh")).toBe(n === 2);
  await sameAsOriginal(path, [2, 3]);
});
