/**
 * Modules that PyTorch's newer exporter notes beside nodes (metadata_props, field 9 of NodeProto), for weights that
 * it gives no name of a module.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs/minimal.js";
import { expect, test } from "vitest";
import { compileModel } from "../../src/driver/compile.ts";
import { examineModel } from "../../src/driver/examine.ts";
import type { Module } from "../../src/ir/op.ts";
import { type NodeProto, onnx } from "../../src/onnx/proto.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { folder, node, port } from "../onnx/small-model.ts";

const LENGTH_DELIMITED = 2;
const message = (field: number, bytes: Uint8Array): Uint8Array =>
  protobuf.Writer.create()
    .uint32((field << 3) | LENGTH_DELIMITED)
    .bytes(bytes)
    .finish();
const text = (field: number, value: string): Uint8Array => message(field, Buffer.from(value));

/** A node with the path of every module around it, from the outside, and last its name in the traced program. */
function within(path: string, made: NodeProto): Uint8Array {
  const parts = path.split(".");
  const around = parts.map((_, i) => parts.slice(0, i + 1).join("."));
  const names = ["", ...around, "traced"].map((n) => `'${n}'`).join(", ");
  const note = [text(1, "pkg.torch.onnx.name_scopes"), text(2, `[${names}]`)];
  return Buffer.concat([onnx.NodeProto.encode(made).finish(), message(9, Buffer.concat(note))]);
}

/** Three products in modules; their weights are called as the exporter calls what it transposed. */
function model(): string {
  const matrix = (name: string) =>
    toProto(name, {
      elem: "f32",
      shape: [8, 8],
      data: Float32Array.from({ length: 64 }, (_, i) => Math.sin(i + name.length)),
    });
  const nodes = [
    within("m.layers.0.attn.Wqkv", node("MatMul", ["x", "val_1"], ["a"])),
    within("m.layers.0.act", node("Relu", ["a"], ["b"])),
    within("m.layers.0.mlp.Wo", node("MatMul", ["b", "val_22"], ["c"])),
    within("m.layers.1.mlp.Wo", node("MatMul", ["c", "val_333"], ["y"])),
  ];
  const graph = onnx.GraphProto.encode({
    name: "traced",
    input: [port("x", [2, 8])],
    output: [port("y", [2, 8])],
    initializer: ["val_1", "val_22", "val_333"].map(matrix),
  }).finish();
  const head = onnx.ModelProto.encode({
    irVersion: 10,
    opsetImport: [{ domain: "", version: 20 }],
  });
  const whole = Buffer.concat([graph, ...nodes.map((n) => message(1, n))]);
  const path = join(folder(), "model.onnx");
  writeFileSync(path, Buffer.concat([head.finish(), message(7, whole)]));
  return path;
}

const modulesOf = (module: Module, kind: string) =>
  module.ops.filter((op) => op.kind === kind).map((op) => op.attrs["module"]);

const NOTED = ["layers.0.attn.Wqkv", "layers.0.mlp.Wo", "layers.1.mlp.Wo"];

test("linears carry the module that is noted beside their product", async () => {
  const policy = loadPolicy("default");
  const { module } = await examineModel({ model: model(), dims: {}, policy });
  expect(modulesOf(module, "nn.linear")).toEqual(NOTED);
  expect(modulesOf(module, "nn.activation")).toEqual(["layers.0.act"]);
});

test("so do weights on tiles", async () => {
  const { module } = await compileModel({
    model: model(),
    target: loadTarget("ahwa-lora"),
    dims: {},
    samples: [],
    options: { policy: loadPolicy("all-analog"), lora: { kind: "none" }, seed: 0, tokens: "auto" },
    dump: [],
    verifyEach: false,
  });
  expect(modulesOf(module, "program.launch")).toEqual(NOTED);
});
