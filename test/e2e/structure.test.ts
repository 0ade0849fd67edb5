/**
 * What a graph may be made like, through the whole product: compiled, run, and held against ONNX Runtime on the
 * original file.
 */

import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Mapping } from "../../src/artifact/mapping.ts";
import { type GraphProto, onnx, type TensorProto } from "../../src/onnx/proto.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { node, port, ramp, write } from "../onnx/small-model.ts";
import { aimcc, place } from "./cli.ts";

const weight = (name: string, shape: readonly number[]): TensorProto => toProto(name, ramp(shape));

/** Compiles with everything on tiles, verifies, and gives the weights on tiles with the modules' nodes. */
async function tilesOf(graph: GraphProto): Promise<Mapping["weights"]> {
  const output = join(place(), "artifact");
  const path = write(graph);
  // Messages merge when one follows the other.
  const imports = { opsetImport: [{ domain: "com.microsoft", version: 1 }] };
  appendFileSync(path, onnx.ModelProto.encode(imports).finish());
  const args = ["-t", "ahwa-lora", "-o", output, "--policy", "all-analog"];
  const { status, stderr } = await aimcc("compile", path, ...args);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const verified = await aimcc("verify", output);
  expect(verified.stdout).toContain("agrees");
  expect(verified.status).toBe(0);
  const mapping: Mapping = JSON.parse(readFileSync(join(output, "mapping.json"), "utf8"));
  return mapping.weights;
}

test("an output that is an input, one that is a constant, and a value that is two outputs", async () => {
  const outputs = ["x", "c", "y", "same", "z"].map((n) => port(n, n === "c" ? [8, 8] : [4, 8]));
  const weights = await tilesOf({
    input: [port("x", [4, 8]), port("unused", [3])],
    output: outputs,
    initializer: [weight("c", [8, 8])],
    node: [
      node("MatMul", ["x", "c"], ["y"]),
      node("Identity", ["y"], ["same"]),
      node("Relu", ["y"], ["z"]),
    ],
  });
  expect(weights.map((w) => w.initializer)).toEqual(["c"]);
});

test("a weight that two products read is programmed once", async () => {
  const [w, ...more] = await tilesOf({
    input: [port("x", [4, 64])],
    output: [port("y", [4, 64])],
    initializer: [weight("w", [64, 64])],
    node: [
      node("MatMul", ["x", "w"], ["a"]),
      node("Relu", ["a"], ["b"]),
      node("MatMul", ["b", "w"], ["y"]),
    ],
  });
  expect(more).toEqual([]);
  expect(w?.nodes).toEqual(["matmul_of_a", "matmul_of_y"]);
});

test("a weight that is read as it is and turned around is programmed for each direction", async () => {
  const weights = await tilesOf({
    input: [port("x", [4, 64])],
    output: [port("y", [4, 64])],
    initializer: [weight("w", [96, 64])],
    node: [
      node("Transpose", ["w"], ["wt"], { perm: [1, 0] }),
      node("MatMul", ["x", "wt"], ["a"]),
      node("Relu", ["a"], ["b"]),
      node("MatMul", ["b", "w"], ["y"]),
    ],
  });
  expect(weights.map((w) => [w.rows, w.cols])).toEqual([
    [64, 96],
    [96, 64],
  ]);
});

test("a head that is tied to the embedding by a transpose is on tiles, the embedding is not", async () => {
  const weights = await tilesOf({
    input: [port("ids", [4], "i64")],
    output: [port("logits", [4, 100])],
    initializer: [weight("wte", [100, 64])],
    node: [
      node("Gather", ["wte", "ids"], ["e"]),
      node("Tanh", ["e"], ["h"]),
      node("Transpose", ["wte"], ["wt"], { perm: [1, 0] }),
      node("MatMul", ["h", "wt"], ["logits"]),
    ],
  });
  expect(weights.map((w) => [w.rows, w.cols])).toEqual([[64, 100]]);
});

test("two initializers with the same bytes are two weights: each can get a side-branch of its own", async () => {
  const weights = await tilesOf({
    input: [port("x", [4, 64])],
    output: [port("y", [4, 64])],
    initializer: [weight("first", [64, 64]), weight("second", [64, 64])],
    node: [
      node("MatMul", ["x", "first"], ["a"]),
      node("Relu", ["a"], ["b"]),
      node("MatMul", ["b", "second"], ["y"]),
    ],
  });
  expect(weights.map((w) => w.initializer)).toEqual(["first", "second"]);
});

test.each([0, 2])("fused attention over %i inferences", async (batch) => {
  const qkv = ["q", "k", "v"];
  await tilesOf({
    input: qkv.map((name) => port(name, [batch, 3, 16])),
    output: [port("y", [batch, 3, 16])],
    node: [
      { ...node("MultiHeadAttention", qkv, ["y"], { num_heads: 2 }), domain: "com.microsoft" },
    ],
  });
});

test("a shape that data decide is told with the node, and what can be done", async () => {
  const path = write({
    input: [port("x", [4, 8])],
    output: [port("y", ["n", 8])],
    node: [
      node("NonZero", ["x"], ["at"]),
      node("Squeeze", ["at"], ["i"]),
      node("Gather", ["x", "i"], ["y"]),
    ],
  });
  const args = ["-t", "ahwa-lora", "-o", join(place(), "artifact")];
  const { status, stderr } = await aimcc("compile", path, ...args);
  expect(stderr).toMatch(/A117.*rank depends on data\n.*'squeeze_of_i'\n.*hint: .*axes/s);
  expect(status).toBe(2);
});
