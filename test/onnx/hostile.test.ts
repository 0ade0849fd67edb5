/** Files at fault are refused with one coded message, whatever is wrong with them. */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { InputError } from "../../src/diag/diagnostic.ts";
import { type GraphProto, onnx, type TensorProto } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { encode, folder, node, port, ramp, write } from "./small-model.ts";

/** The codes and texts of a refusal. */
function refusal(path: string, dims: Record<string, number> = {}): readonly string[] {
  try {
    readModel(path, { dims });
  } catch (e) {
    if (e instanceof InputError) return e.diagnostics.map((d) => `${d.code} ${d.text}; ${d.hint}`);
    throw e;
  }
  throw new Error("the file was accepted");
}

const relu: GraphProto = {
  input: [port("x", [2, 3])],
  output: [port("y", [2, 3])],
  node: [node("Relu", ["x"], ["y"])],
};

/** A model that adds this tensor to its input. */
const adding = (w: TensorProto): string =>
  write({ ...relu, node: [node("Add", ["x", "w"], ["y"])], initializer: [{ ...w, name: "w" }] });

const external = (entries: Record<string, string>, dims = [100]): TensorProto => ({
  name: "w",
  dataType: 1,
  dims,
  dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
  externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
});

test("no file", () => {
  expect(refusal("nowhere/model.onnx")[0]).toMatch(/^A101 .*no such file/);
});

test("a folder instead of a file", () => {
  expect(refusal(folder())[0]).toMatch(/^A101 /);
});

const header = Buffer.from('{"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}');
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(header.length));

test.each([
  ["empty file", ""],
  ["Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"],
  ["web page", "<!DOCTYPE html><html></html>"],
  ["text file", "shopping list\n"],
  ["safetensors", Buffer.concat([length, header])],
  ["ZIP archive", "PK\u0003\u0004 and so on"],
  ["Python pickle", Buffer.from([0x80, 2, 0x7d, 0x71, 0, 0x2e])],
  ["TensorFlow Lite", "\u001c\0\0\0TFL3\0\0"],
  ["ONNX Runtime's own format", "\u001c\0\0\0ORTM\0\0"],
  ["GGUF", "GGUF\u0003\0\0\0"],
  ["HDF5", Buffer.from([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a])],
  ["compressed file", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0])],
])("a file that is something else: %s", (what, content) => {
  const path = join(folder(), "model.onnx");
  writeFileSync(path, content);
  expect(refusal(path)[0]).toMatch(/^A131 this is .+; .+/);
  expect(refusal(path)[0]).toContain(what);
});

test("a folder is told with the models in it; a format of the future with its number", () => {
  const place = folder();
  writeFileSync(join(place, "decoder.onnx"), "");
  expect(refusal(place)[0]).toMatch(/^A101 .*folder; .*decoder\.onnx/);
  const path = join(folder(), "model.onnx");
  const graph = { name: "g", ...relu };
  const proto = { irVersion: 99, opsetImport: [{ domain: "", version: 17 }], graph };
  writeFileSync(path, onnx.ModelProto.encode(proto).finish());
  expect(refusal(path)[0]).toMatch(/^A137 .*version 99/);
});

test("a file cut short anywhere gives a coded error or a smaller model, never a stack trace", () => {
  const bytes = readFileSync("test/corpus/fragments/onnx_pt_Linear/model.onnx");
  const path = join(folder(), "model.onnx");
  for (let length = 0; length < bytes.length; length++) {
    writeFileSync(path, bytes.subarray(0, length));
    expect(refusal(path)[0]).toMatch(/^A1\d\d /);
  }
});

test("a file with bytes changed gives a coded error or a model", () => {
  const bytes = readFileSync("test/corpus/fragments/ort_matmul_add_2Input_model/model.onnx");
  const path = join(folder(), "model.onnx");
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const damaged = Buffer.from(bytes);
      for (const [at, value] of changes) damaged[at] = value;
      writeFileSync(path, damaged);
      try {
        readModel(path, { dims: {} });
      } catch (e) {
        if (!(e instanceof InputError)) throw e;
      }
    }),
    { numRuns: 2000 },
  );
});

test("a graph without outputs", () => {
  expect(refusal(write({ name: "empty" }))[0]).toMatch(/^A103 /);
});

test("an opset of the future, and one that is no number of a version", () => {
  expect(refusal(write(relu, 99))[0]).toMatch(/^A104 opset 99/);
  expect(refusal(write(relu, -1))[0]).toMatch(/^A104 /);
});

test("unknown operators are reported together, counted, with their nodes", () => {
  const path = write({
    ...relu,
    node: [
      node("Relu", ["x"], ["a"]),
      node("Frobnicate", ["a"], ["b"]),
      node("Frobnicate", ["b"], ["c"]),
      { ...node("Wave", ["c"], ["y"]), domain: "com.example" },
    ],
  });
  const shown = refusal(path).join("\n");
  expect(shown).toMatch(/^A105 operators Frobnicate of opset 17 \(2 nodes, the first is 'frob/);
  expect(shown).toMatch(/, com.example.Wave \(node 'wave_of_y'\) are not supported/);
  expect(shown).not.toContain("Relu");
});

test("a tensor that two nodes define, and one that is an input too", () => {
  const twice = [node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])];
  expect(refusal(write({ ...relu, node: twice }))[0]).toMatch(/^A106 tensor 'y'/);
  const input = [node("Relu", ["x"], ["x"]), node("Tanh", ["x"], ["y"])];
  expect(refusal(write({ ...relu, node: input }))[0]).toMatch(/^A106 tensor 'x'/);
});

test("an input and an output that nothing defines", () => {
  expect(refusal(write({ ...relu, node: [node("Add", ["x", "gone"], ["y"])] }))[0]).toMatch(
    /^A107 nothing defines tensor 'gone'/,
  );
  expect(refusal(write({ ...relu, output: [port("z", [2, 3])] }))[0]).toMatch(/^A107 .*'z'/);
});

test("a cycle, but not a wrong order", () => {
  const a = node("Relu", ["b"], ["y"]);
  expect(refusal(write({ ...relu, node: [a, node("Tanh", ["y"], ["b"])] }))[0]).toMatch(/^A108 /);
  const path = write({ ...relu, node: [a, node("Tanh", ["x"], ["b"])] });
  const { module } = readModel(path, { dims: {} });
  expect(module.ops.map((op) => op.kind)).toEqual(["onnx.Tanh", "onnx.Relu"]);
});

test("element types that there are no tensors for", () => {
  expect(refusal(adding({ dataType: 8, dims: [1] }))[0]).toMatch(/^A110 .*STRING/);
  expect(refusal(adding({ dataType: 17, dims: [1] }))[0]).toMatch(/^A110 .*FLOAT8E4M3FN/);
  expect(refusal(adding({ dataType: 999, dims: [1] }))[0]).toMatch(/^A110 /);
  expect(refusal(write({ ...relu, input: [{ name: "x" }] }))[0]).toMatch(/^A116 .*not a tensor/);
});

test("dimensions that no tensor has", () => {
  expect(refusal(adding({ dataType: 1, dims: [-2, 3] }))[0]).toMatch(/^A111 .*\[-2, 3\]/);
  expect(refusal(adding({ dataType: 1, dims: [2 ** 40, 2 ** 40] }))[0]).toMatch(/^A135 .*2\^53/);
  expect(refusal(adding({ dataType: 1, dims: [0, 2 ** 62] }))[0]).toMatch(/^A135 /);
});

test("more or fewer values than the dimensions say", () => {
  const rawData = new Uint8Array(20);
  expect(refusal(adding({ dataType: 1, dims: [2, 3], rawData }))[0]).toMatch(
    /^A112 .*20 bytes.*f32\[2,3\] needs 24/,
  );
  expect(refusal(adding({ dataType: 1, dims: [2, 3], floatData: [1, 2] }))[0]).toMatch(/^A112 /);
  expect(refusal(adding({ dataType: 1, dims: [100, 3], rawData }))[0]).toMatch(/^A112 /);
  expect(refusal(adding({ dataType: 1, dims: [100, 3] }))[0]).toMatch(/^A112 .*has 0 bytes/);
});

test("external data that is missing or too short", () => {
  expect(refusal(adding(external({ location: "gone.bin" })))[0]).toMatch(/^A113 .*gone.bin/);
  const path = adding(external({ location: "w.bin", offset: "8" }));
  writeFileSync(join(path, "..", "w.bin"), new Uint8Array(400));
  expect(refusal(path)[0]).toMatch(/^A134 .*offset 8, length 400 of .w.bin., which has 400/);
  const wrong = adding(external({ location: "w.bin", length: "4" }));
  writeFileSync(join(wrong, "..", "w.bin"), new Uint8Array(400));
  expect(refusal(wrong)[0]).toMatch(/^A112 /);
  const text = adding(external({ location: "w.bin", offset: "many" }));
  writeFileSync(join(text, "..", "w.bin"), new Uint8Array(400));
  expect(refusal(text)[0]).toMatch(/^A134 .*offset many/);
});

test("external data outside the folder: absolute, with .., through a link", () => {
  for (const location of ["/etc/hostname", "C:\\x", "\\\\host\\x"]) {
    expect(refusal(adding(external({ location })))[0]).toMatch(/^A132 .*absolute/);
  }
  for (const location of ["../secret.bin", "a/../../secret.bin", "..\\x", ""]) {
    expect(refusal(adding(external({ location })))[0]).toMatch(/^A114 /);
  }
  const secret = join(folder(), "secret.bin");
  writeFileSync(secret, new Uint8Array(400));
  const path = adding(external({ location: "w.bin" }));
  symlinkSync(secret, join(path, "..", "w.bin"));
  expect(refusal(path)[0]).toMatch(/^A133 .*link/);
  const inFolder = adding(external({ location: "sub" }));
  mkdirSync(join(inFolder, "..", "sub"));
  expect(refusal(inFolder)[0]).toMatch(/^A113 .*not a file/);
});

test("shapes that contradict each other", () => {
  const w = toProto("w", ramp([4, 5]));
  const path = write({ ...relu, node: [node("MatMul", ["x", "w"], ["y"])], initializer: [w] });
  expect(refusal(path)[0]).toMatch(/^A117 MatMul\(2x3xf32, 4x5xf32\)/);
});

const open: GraphProto = {
  input: [port("x", ["batch", "sequence"]), port("m", ["batch", "sequence"])],
  output: [port("y", ["whatever", 3])],
  node: [node("Add", ["x", "m"], ["y"])],
};

test("a dimension without a size is named with its inputs and the option that gives it one", () => {
  expect(refusal(write(open), { batch: 2 })).toEqual([
    "A120 dimension 'sequence' of inputs x, m has no size; give it one: --dim sequence=N, or samples with --data",
  ]);
  expect(refusal(write(open)).length).toBe(2);
});

test("a size for a dimension that there is not, and one that is no size", () => {
  const shown = refusal(write(open), { batch: 1.5, sequence: -1, seq: 3 }).join("\n");
  expect(shown).toMatch(
    /A121 no input has a dimension 'seq'; did you mean batch\? known: batch, sequence/,
  );
  expect(shown).toMatch(/A122 dimension 'batch' cannot be 1.5/);
  expect(shown).toMatch(/A122 dimension 'sequence' cannot be -1/);
});

test("bound dimensions reach every type", () => {
  const { module, info } = readModel(write(open), { dims: { batch: 2, sequence: 3 } });
  expect(module.outputs[0]?.value.type).toEqual({ elem: "f32", shape: [2, 3] });
  expect(info.inputs[1]).toEqual({
    name: "m",
    elem: "f32",
    shape: [2, 3],
    dims: ["batch", "sequence"],
  });
  expect(info.free).toEqual(["batch", "sequence"]);
});

test("a sum of two dimensions follows from them; a nameless one is called by input and axis", () => {
  const path = write({
    input: [port("x", ["past", 1]), port("z", ["now", 1]), port("s", ["past + now", ""])],
    output: [port("y", [])],
    node: [node("Concat", ["x", "z"], ["c"], { axis: 0 }), node("Add", ["c", "s"], ["y"])],
  });
  const { info } = readModel(path, { dims: { past: 4, now: 3, "s.1": 1 } });
  expect(info.inputs[2]?.shape).toEqual([7, 1]);
});

test("an initializer that is listed among the inputs is a constant", () => {
  const w = toProto("w", fromNumbers("f32", [3], [1, 2, 3]));
  const path = write({
    ...relu,
    input: [port("x", [2, 3]), port("w", [3])],
    node: [node("Add", ["x", "w"], ["y"])],
    initializer: [w],
  });
  const { module, info } = readModel(path, { dims: {} });
  expect(module.inputs.map((p) => p.name)).toEqual(["x"]);
  expect(info.parameters).toBe(3);
});

test("the digest in the info is that of the file", () => {
  const path = write(relu);
  const { info } = readModel(path, { dims: {} });
  expect(readFileSync(path)).toEqual(Buffer.from(encode(relu, 17)));
  expect(info.sha256).toMatch(/^[0-9a-f]{64}$/);
});

test("sizes beyond all are refused beside an axis of size zero too", () => {
  const empty: GraphProto = {
    input: [port("x", [0, 2 ** 40])],
    output: [port("y", [0, 2 ** 40])],
    node: [node("Relu", ["x"], ["y"])],
  };
  expect(refusal(write(empty))[0]).toMatch(/^A123 .*'x'/);
  const shape = toProto("s", fromNumbers("i64", [2], [0, 2 ** 40]));
  const made = [node("ConstantOfShape", ["s"], ["c"]), node("ReduceSum", ["c"], ["y"])];
  expect(refusal(write({ ...relu, node: made, initializer: [shape] }))[0]).toMatch(/^A123 /);
});

test("more axes than there are", () => {
  const axes = [port("axes", [3], "i64")];
  const reduce = { input: [port("x", [2]), ...axes], output: [port("y", [2])] };
  const path = write({
    ...reduce,
    node: [node("ReduceSum", ["x", "axes"], ["y"], { keepdims: 0 })],
  });
  expect(refusal(path)[0]).toMatch(/^A117 .*3 axes of a tensor of rank 1/);
});

test("element types that do not go together, in a code of their own", () => {
  const w = toProto("w", fromNumbers("i64", [3, 3], new Array(9).fill(1)));
  const path = write({ ...relu, node: [node("MatMul", ["x", "w"], ["y"])], initializer: [w] });
  expect(refusal(path)[0]).toMatch(/^A136 MatMul.*differ in element type; add a Cast/);
});

test("all nodes of a circle, and both that define a tensor, are named", () => {
  const circle = [
    node("Add", ["x", "c"], ["a"]),
    node("Relu", ["a"], ["b"]),
    node("Tanh", ["b"], ["c"]),
    node("Relu", ["c"], ["y"]),
  ];
  expect(() => readModel(write({ ...relu, node: circle }), { dims: {} })).toThrow(
    /A108.*\n.*'add_of_a'.*'tanh_of_c'|A108.*\n.*'tanh_of_c'.*'add_of_a'/,
  );
  const twice = [node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])];
  expect(() => readModel(write({ ...relu, node: twice }), { dims: {} })).toThrow(
    /A106.*\n.*'relu_of_y', node 'tanh_of_y'/,
  );
});
