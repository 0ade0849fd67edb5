/** Exported models: ports, names, constants inside and beside the file. */

import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Module } from "../../src/ir/op.ts";
import { exportModule, exportModuleToFile } from "../../src/onnx/export.ts";
import { onnx } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { runModel } from "../../src/reference/run.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { folder, node, port, ramp, write } from "./small-model.ts";

const w = ramp([16, 8]);
const linear = write({
  input: [port("x", [2, 16])],
  output: [port("y", [2, 8])],
  node: [node("MatMul", ["x", "w"], ["a"]), node("Relu", ["a"], ["y"])],
  initializer: [toProto("w", w)],
});
const feeds = new Map([["x", ramp([2, 16])]]);

test("weights beside the file are found again, and nothing else is needed", async () => {
  const { module, store } = readModel(linear, { dims: {} });
  const path = join(folder(), "out.onnx");
  exportModuleToFile(module, store, path, { inlineBytes: 0 });
  expect(statSync(`${path}.data`).size).toBe(16 * 8 * 4);
  expect(statSync(path).size).toBeLessThan(16 * 8 * 4);
  const expected = await runModel(linear, feeds);
  expect(await runModel(path, feeds)).toEqual(expected);
  const again = readModel(path, { dims: {} });
  const [constant] = again.module.ops;
  const [before] = module.ops;
  expect(constant?.attrs["value"]).toEqual({ ...(before?.attrs["value"] as object), weight: "w" });
});

test("so are tensors of the module itself, but for the small ones", async () => {
  const { module, store } = readModel(linear, { dims: {} });
  const large = ramp([16, 32]);
  const ops = module.ops.map((op) =>
    op.kind === "onnx.Constant" ? { ...op, attrs: { value: large } } : op,
  );
  const path = join(folder(), "out.onnx");
  exportModuleToFile({ ...module, ops }, store, path, { inlineBytes: 0 });
  expect(statSync(`${path}.data`).size).toBe(16 * 32 * 4);
});

test("an export that fails leaves what was there, and nothing of its own", () => {
  const { module, store } = readModel(linear, { dims: {} });
  const place = folder();
  const path = join(place, "out.onnx");
  writeFileSync(`${path}.data`, "of an earlier export");
  const fail = (): never => {
    throw new Error("the disk is full");
  };
  const lost = { add: fail, has: fail, load: fail };
  expect(() => exportModuleToFile(module, lost, path, { inlineBytes: 0 })).toThrow("full");
  const late = { inlineBytes: 0, change: fail };
  expect(() => exportModuleToFile(module, store, path, late)).toThrow("full");
  expect(readdirSync(place)).toEqual(["out.onnx.data"]);
  expect(readFileSync(`${path}.data`, "utf8")).toBe("of an earlier export");
});

test("a link is written through", () => {
  const { module, store } = readModel(linear, { dims: {} });
  const place = folder();
  const path = join(place, "link.onnx");
  symlinkSync(join(place, "real.onnx"), path);
  exportModuleToFile(module, store, path);
  expect(lstatSync(path).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(place, "real.onnx"))).toEqual(Buffer.from(exportModule(module, store)));
});

test("small models are one file, and two exports are the same bytes", () => {
  const { module, store } = readModel(linear, { dims: {} });
  const path = join(folder(), "out.onnx");
  exportModuleToFile(module, store, path);
  expect(existsSync(`${path}.data`)).toBe(false);
  expect(readFileSync(path)).toEqual(Buffer.from(exportModule(module, store)));
});

test("outputs keep their names: of an input, of a constant, of one value twice", async () => {
  const { module, store } = readModel(linear, { dims: {} });
  const [constant] = module.ops;
  const x = module.inputs[0]?.value;
  const y = module.outputs[0]?.value;
  const held = constant?.results[0];
  if (!x || !y || !held) throw new Error("the module has changed");
  const outputs = [
    { name: "y", value: y },
    { name: "y again", value: y },
    { name: "the input", value: x },
    { name: "the constant", value: held },
  ];
  const results = await runModel(exportModule({ ...module, outputs }, store), feeds);
  expect([...results.keys()]).toEqual(outputs.map((o) => o.name));
  expect(results.get("y again")).toEqual(results.get("y"));
  expect(results.get("the input")).toEqual(feeds.get("x"));
  expect(results.get("the constant")).toEqual(w);
});

test("tensors of the original keep their names; a name that a port needs goes to the port", () => {
  const { module, store } = readModel(linear, { dims: {} });
  const named = (m: Module) =>
    onnx.ModelProto.decode(exportModule(m, store)).graph?.node?.flatMap((n) => n.output ?? []);
  expect(named(module)).toEqual(["a", "y"]);
  const outputs = module.outputs.map((o) => ({ ...o, name: "a" }));
  expect(named({ ...module, outputs })?.at(-1)).toBe("a");
});

test("a weight used by two operations is stored once", () => {
  const path = write({
    input: [port("x", [2, 16])],
    output: [port("y", [2, 8]), port("z", [2, 8])],
    node: [node("MatMul", ["x", "w"], ["y"]), node("MatMul", ["x", "w"], ["z"])],
    initializer: [toProto("w", w)],
  });
  const { module, store } = readModel(path, { dims: {} });
  const graph = onnx.ModelProto.decode(exportModule(module, store)).graph;
  expect(graph?.initializer?.map((t) => t.name)).toEqual(["w"]);
});

test("whole numbers of 64 bits pass exactly", async () => {
  const big: Tensor = { elem: "i64", shape: [2], data: BigInt64Array.from([2n ** 62n + 1n, -5n]) };
  const path = write({
    input: [port("x", [2], "i64")],
    output: [port("y", [2], "i64")],
    node: [node("Add", ["x", "c"], ["y"])],
    initializer: [toProto("c", big)],
  });
  const { module, store } = readModel(path, { dims: {} });
  const zero: Tensor = { elem: "i64", shape: [2], data: new BigInt64Array(2) };
  const result = await runModel(exportModule(module, store), new Map([["x", zero]]));
  expect(result.get("y")).toEqual(big);
});
