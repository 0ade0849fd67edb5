/** Functions that need newer fields of the format: ONNX Runtime runs the original and what was read. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { exportModule } from "../../src/onnx/export.ts";
import { type FunctionProto, type NodeProto, onnx } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { runModel } from "../../src/reference/run.ts";
import { tapModel } from "../../src/reference/tap.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { folder, node, port, ramp } from "./small-model.ts";

const KIND = onnx.AttributeProto.AttributeType;
const domain = "local";

/** A field of a message that holds bytes: https://protobuf.dev/programming-guides/encoding. */
function field(number: number, bytes: Uint8Array): Buffer {
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(n >> 7)]);
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
}

const attributeProto = (name: string, f: number): Buffer =>
  field(11, onnx.AttributeProto.encode({ name, type: KIND.FLOAT, f }).finish());
const overload = (number: number, name: string): Buffer => field(number, Buffer.from(name));

/** The message of a function with fields that the package cannot write. */
const functionBytes = (f: FunctionProto, ...more: Buffer[]): Buffer =>
  field(25, Buffer.concat([onnx.FunctionProto.encode(f).finish(), ...more]));

/** A model of nodes that are given as bytes: x [2,3] to y [2,3], by way of h. */
function write(nodes: readonly Uint8Array[], functions: readonly Buffer[]): string {
  const path = join(folder(), "model.onnx");
  const opsetImport = [...opset(17), { domain, version: 1 }];
  const ports = { name: "g", input: [port("x", [2, 3])], output: [port("y", [2, 3])] };
  const graph = [Buffer.from(onnx.GraphProto.encode(ports).finish())];
  const bytes = [
    Buffer.from(onnx.ModelProto.encode({ irVersion: 10, opsetImport }).finish()),
    field(7, Buffer.concat([...graph, ...nodes.map((n) => field(1, n))])),
    ...functions,
  ];
  writeFileSync(path, Buffer.concat(bytes));
  return path;
}

async function sameAsOriginal(path: string): Promise<void> {
  const feeds = new Map([["x", ramp([2, 3])]]);
  const { module, store } = readModel(path, { dims: {} });
  expect(await runModel(exportModule(module, store), feeds)).toEqual(await runModel(path, feeds));
}

const opset = (version: number) => [{ domain: "", version }];
const leaky = {
  ...node("LeakyRelu", ["a"], ["b"]),
  attribute: [{ name: "alpha", type: KIND.FLOAT, refAttrName: "slope" }],
};
const bytesOf = (n: NodeProto): Uint8Array => onnx.NodeProto.encode(n).finish();
const call = (opType: string, input: string, output: string, attrs = {}): Uint8Array =>
  bytesOf({ ...node(opType, [input], [output], attrs), domain });

test("a function gives its callers' attributes defaults", async () => {
  const bend = { name: "Bend", domain, input: ["a"], output: ["b"], node: [leaky] };
  const functions = [
    functionBytes({ ...bend, opsetImport: opset(17) }, attributeProto("slope", 0.5)),
  ];
  const path = write(
    [call("Bend", "x", "h"), call("Bend", "h", "y", { "slope:f": 0.25 })],
    functions,
  );
  await sameAsOriginal(path);
  const slopes = readModel(path, { dims: {} }).module.ops.map((op) => op.attrs["alpha"]);
  expect(slopes).toEqual([0.5, 0.25]);
});

test("functions of one name are told apart by overload", async () => {
  const of = (opType: string, name: string) =>
    functionBytes(
      {
        name: "Bend",
        domain,
        input: ["a"],
        output: ["b"],
        node: [node(opType, ["a"], ["b"])],
        opsetImport: opset(17),
      },
      overload(13, name),
    );
  const first = Buffer.concat([call("Bend", "x", "h"), overload(8, "second")]);
  const second = Buffer.concat([call("Bend", "h", "y"), overload(8, "first")]);
  const path = write([first, second], [of("Neg", "first"), of("Tanh", "second")]);
  await sameAsOriginal(path);
  const kinds = readModel(path, { dims: {} }).module.ops.map((op) => op.kind);
  expect(kinds).toEqual(["onnx.Tanh", "onnx.Neg"]);
});

test("a function may be called like an operator of ONNX", async () => {
  const f = {
    name: "Tanh",
    domain,
    input: ["a"],
    output: ["b"],
    node: [node("Neg", ["a"], ["b"])],
  };
  const functions = [functionBytes({ ...f, opsetImport: opset(17) })];
  const path = write([call("Tanh", "x", "h"), bytesOf(node("Tanh", ["h"], ["y"]))], functions);
  await sameAsOriginal(path);
  const kinds = readModel(path, { dims: {} }).module.ops.map((op) => op.kind);
  expect(kinds).toEqual(["onnx.Neg", "onnx.Tanh"]);
});

/** Before opset 13 ReduceSum had its axes as an attribute, and Softmax flattened. */
test("a function is read in the words of its own operator set", async () => {
  const sums = {
    name: "Sums",
    domain,
    input: ["a"],
    output: ["b"],
    node: [
      node("Softmax", ["a"], ["s"], { axis: 0 }),
      node("ReduceSum", ["a"], ["r"], { axes: [1], keepdims: 1 }),
      node("Add", ["s", "r"], ["b"]),
    ],
    opsetImport: opset(11),
  };
  const path = write(
    [call("Sums", "x", "h"), bytesOf(node("Softmax", ["h"], ["y"], { axis: 0 }))],
    [functionBytes(sums)],
  );
  const { module, store } = readModel(path, { dims: {} });
  const x = ramp([2, 3]);
  const out = await runModel(exportModule(module, store), new Map([["x", x]]));
  // ONNX Runtime reads functions in the model's words, so the judge is arithmetic.
  const v = [...x.data].map(Number);
  const all = v.reduce((a, b) => a + Math.exp(b), 0);
  const h = v.map(
    (a, i) => Math.exp(a) / all + v.slice(i < 3 ? 0 : 3, i < 3 ? 3 : 6).reduce((p, q) => p + q),
  );
  const y = h.map(
    (a, i) => Math.exp(a) / (Math.exp(h[i % 3] ?? 0) + Math.exp(h[(i % 3) + 3] ?? 0)),
  );
  const got = [...(out.get("y")?.data ?? [])].map(Number);
  expect(got.length).toBe(6);
  for (const [i, value] of got.entries()) expect(value).toBeCloseTo(y[i] ?? Number.NaN, 5);
});

test("tensors inside of functions can be seen in the model as it was read, named by their callers", async () => {
  const twice = {
    name: "Twice",
    domain,
    input: ["a"],
    output: ["b"],
    node: [node("Tanh", ["a"], ["t"]), node("Add", ["t", "t"], ["b"])],
    opsetImport: opset(17),
  };
  const path = write([call("Twice", "x", "h"), call("Twice", "h", "y")], [functionBytes(twice)]);
  await sameAsOriginal(path);
  const { module, store } = readModel(path, { dims: {} });
  const [tanh, , second] = module.ops;
  expect(second?.origin).toEqual(["twice_of_y/tanh_of_t"]);
  const name = tanh?.results[0]?.tensor ?? "";
  const tap = await tapModel(exportModule(module, store), [name]);
  const x = ramp([2, 3]);
  const seen = (await tap.run(new Map([["x", x]]))).get(name);
  await tap.close();
  const expected = fromNumbers(
    "f32",
    [2, 3],
    [...x.data].map((v) => Math.tanh(Number(v))),
  );
  for (const [i, v] of [...(seen?.data ?? [])].entries()) {
    expect(Number(v)).toBeCloseTo(Number(expected.data[i]), 6);
  }
  expect(seen?.shape).toEqual([2, 3]);
});

test("a tap keeps what only newer readers of the format know", async () => {
  const bend = { name: "Bend", domain, input: ["a"], output: ["b"], node: [leaky] };
  const functions = [
    functionBytes({ ...bend, opsetImport: opset(17) }, attributeProto("slope", 0.5)),
  ];
  const path = write([call("Bend", "x", "h"), bytesOf(node("Neg", ["h"], ["y"]))], functions);
  const tap = await tapModel(path, ["h"]);
  const seen = (await tap.run(new Map([["x", ramp([2, 3])]]))).get("h");
  await tap.close();
  const expected = [...ramp([2, 3]).data].map((v) => (Number(v) < 0 ? Number(v) / 2 : Number(v)));
  expect([...(seen?.data ?? [])].map(Number)).toEqual(expected);
});
