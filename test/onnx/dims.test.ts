/** What exporters write for a size, and how `--dim` and samples decide it. */

import { expect, test } from "vitest";
import { dimsOf } from "../../src/data/sample.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import { readModel, readPorts } from "../../src/onnx/read.ts";
import { node, port, ramp, write } from "./small-model.ts";

/** A model whose inputs have these dimensions. */
const withInputs = (...inputs: readonly (readonly (number | string)[])[]): string =>
  write({
    input: inputs.map((dims, i) => port(`x${i}`, dims)),
    output: [{ name: "y", type: { tensorType: { elemType: 1 } } }],
    node: [node("Neg", ["x0"], ["y"])],
  });

function said(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (e) {
    if (e instanceof InputError) return e.diagnostics.map((d) => `${d.code} ${d.text}; ${d.hint}`);
    throw e;
  }
  return [];
}

const boundTo = (path: string, dims: Record<string, number>) =>
  readModel(path, { dims }).info.inputs.map((p) => p.shape);

test.each([
  ["past + sequence", { past: 3, sequence: 2 }, 5],
  ["past_sequence_length+1", { past_sequence_length: 3 }, 4],
  ["2*batch", { batch: 3 }, 6],
  ["batch * (height/14)*(width // 14) + 1", { batch: 2, height: 30, width: 28 }, 9],
  ["floor(s0/2) - 1", { s0: 7 }, 2],
  ["Max(2, Min(s0, s1))", { s0: 7, s1: 5 }, 5],
])("'%s' is an expression", (text, dims, size) => {
  const names = Object.keys(dims);
  expect(boundTo(withInputs([text], names), dims)[0]).toEqual([size]);
  // It may also stand where its parts are no dimensions of an input.
  expect(boundTo(withInputs([text]), dims)[0]).toEqual([size]);
  // And it is a name by itself.
  expect(boundTo(withInputs([text]), { [text]: 11 })[0]).toEqual([11]);
});

test("an expression whose parts say something else is refused", () => {
  const path = withInputs(["past + sequence", "past", "sequence"]);
  const dims = { "past + sequence": 6, past: 3, sequence: 2 };
  expect(said(() => readModel(path, { dims }))).toEqual([
    "A122 dimension 'past + sequence' cannot be 6: past=3 and sequence=2 make it 5; leave it out, or give others",
  ]);
});

test("all open dimensions are named at once, with the inputs that have them", () => {
  const path = withInputs(["batch", "sequence"], ["batch", "past + sequence"], [2, -1]);
  expect(said(() => readModel(path, { dims: {} }))).toEqual([
    "A120 dimension 'batch' of inputs x0, x1 has no size; give it one: --dim batch=N, or samples with --data",
    "A120 dimension 'sequence' of input x0 has no size; give it one: --dim sequence=N, or samples with --data",
    "A120 dimension 'past + sequence' of input x1 has no size; give it one: --dim 'past + sequence=N', or give past, sequence, or samples with --data",
    "A120 axis 1 of input x2 has neither size nor name; it is called 'x2.1' here; give it one: --dim x2.1=N, or samples with --data",
  ]);
});

test("a name that no input has comes with the nearest that one has", () => {
  const path = withInputs(["batch_size", "sequence_length"]);
  const dims = { batch_size: 1, sequence_length: 2, sequence_lenght: 2 };
  expect(said(() => readModel(path, { dims }))).toEqual([
    "A121 no input has a dimension 'sequence_lenght'; did you mean sequence_length? known: batch_size, sequence_length",
  ]);
});

test("samples that are not of the size that is given are refused, but may hold several inferences", () => {
  const path = withInputs(["batch", "sequence"]);
  const { inputs } = readPorts(path);
  const sample = new Map([["x0", ramp([4, 8])]]);
  expect(dimsOf(inputs, sample, {})).toEqual({ batch: 4, sequence: 8 });
  expect(dimsOf(inputs, sample, { batch: 2 })).toEqual({ batch: 2, sequence: 8 });
  expect(said(() => dimsOf(inputs, sample, { batch: 3 }))).toEqual([
    "A424 dimension 'batch' is to be 3, but it is 4 in the samples of 'x0'; leave out --dim batch=3, or give samples of that size",
  ]);
  expect(said(() => dimsOf(inputs, sample, { sequence: 4 }))[0]).toMatch(/^A424 .*'sequence'/);
});

test("an axis of one input can have a size of its own, where a file gives one name to two sizes", () => {
  const path = withInputs(["batch", 3], ["batch", 5]);
  const { inputs } = readPorts(path);
  const sample = new Map([
    ["x0", ramp([1, 3])],
    ["x1", ramp([4, 5])],
  ]);
  expect(said(() => dimsOf(inputs, sample, {}))).toEqual([
    "A424 dimension 'batch' is 1 in one input and 4 in 'x1'; if the file gives one name to two sizes, say so: --dim x1.0=4",
  ]);
  const dims = dimsOf(inputs, sample, { "x1.0": 4 });
  const shapes = [
    [1, 3],
    [4, 5],
  ];
  expect(boundTo(path, dims)).toEqual(shapes);
  // What was bound can be bound again.
  expect(boundTo(path, { ...readModel(path, { dims }).info.dims })).toEqual(shapes);
  expect(boundTo(path, { "x0.0": 1, "x1.0": 4 })).toEqual(shapes);
  expect(said(() => readModel(path, { dims: { "x0.0": 1 } }))[0]).toMatch(
    /^A120 dimension 'batch'/,
  );
  expect(said(() => readModel(path, { dims: { batch: 1, "x1.1": 4 } }))[0]).toMatch(/^A121/);
});
