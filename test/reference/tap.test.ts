/** Looking inside a model while ONNX Runtime runs it. */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { readSampleFolder } from "../../src/data/sample-folder.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import { readModel } from "../../src/onnx/read.ts";
import { runModel } from "../../src/reference/run.ts";
import { tapModel } from "../../src/reference/tap.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { node, port, ramp, write } from "../onnx/small-model.ts";

test("intermediate tensors, outputs and inputs; others are left out", async () => {
  const path = write({
    input: [port("x", [2, 3])],
    output: [port("y", [2, 3])],
    node: [node("Neg", ["x"], ["n"]), node("Relu", ["n"], ["y"])],
  });
  const tap = await tapModel(path, ["n", "y", "x", "gone", "n"]);
  const x = ramp([2, 3]);
  const seen = await tap.run(new Map([["x", x]]));
  await tap.close();
  expect([...seen.keys()].sort()).toEqual(["n", "x", "y"]);
  const values = (name: string) => toNumbers(seen.get(name) as Tensor);
  expect(values("n")).toEqual(toNumbers(x).map((v) => -v));
  expect(values("y")).toEqual(toNumbers(x).map((v) => Math.max(-v, 0)));
});

test("a tensor whose name JavaScript keeps for itself is not looked at, and refused as an output", async () => {
  const path = (last: string): string =>
    write({
      input: [port("x", [2])],
      output: [port("constructor", [2]), port(last, [2])],
      node: [
        node("Neg", ["x"], ["__proto__"]),
        node("Relu", ["__proto__"], ["y"]),
        node("Abs", ["y"], ["constructor"]),
      ],
    });
  const feeds = new Map([["x", ramp([2])]]);
  const tap = await tapModel(path("y"), ["__proto__", "constructor"]);
  expect([...(await tap.run(feeds)).keys()]).toEqual(["constructor"]);
  await tap.close();
  await expect(runModel(path("__proto__"), feeds)).rejects.toThrow(/A141.*'__proto__'/);
});

test("every tensor of a model with external data, without a trace on the disk", async () => {
  const model = "test/corpus/bigdec_tiny_moe_external";
  const before = readdirSync(model);
  // A place for temporary files that no other test uses.
  const temporary = mkdtempSync(join(tmpdir(), "aimcc-test-"));
  vi.stubEnv("TMPDIR", temporary);
  const sample = readSampleFolder(`${model}/test_data_set_0`, ["input_ids"], ["logits"]);
  const [batch = 1, sequence = 1] = sample.inputs.get("input_ids")?.shape ?? [];
  const path = `${model}/model.onnx`;
  const { module } = readModel(path, { dims: { batch, sequence } });
  const values = module.ops.filter((op) => op.kind !== "onnx.Constant").flatMap((op) => op.results);
  const tap = await tapModel(
    path,
    values.flatMap((v) => v.tensor ?? []),
  );
  const seen = await tap.run(sample.inputs);
  await tap.close();
  expect(seen.size).toBe(values.length);
  for (const v of values) expect(seen.get(v.tensor ?? "")?.elem).toBe(v.type.elem);
  expect(readdirSync(model)).toEqual(before);
  expect(readdirSync(temporary)).toEqual([]);
  vi.unstubAllEnvs();
  rmSync(temporary, { recursive: true });
});

test("half-precision floats and booleans pass both ways", async () => {
  const path = write({
    input: [port("h", [3], "f16"), port("b", [3], "i1")],
    output: [port("g", [3], "f16"), port("c", [3], "i1")],
    node: [node("Neg", ["h"], ["g"]), node("Not", ["b"], ["c"])],
  });
  const feeds = new Map([
    ["h", fromNumbers("f16", [3], [0.5, -2, 65504])],
    ["b", fromNumbers("i1", [3], [1, 0, 1])],
  ]);
  const results = await runModel(path, feeds);
  expect(toNumbers(results.get("g") as Tensor)).toEqual([-0.5, 2, -65504]);
  expect(results.get("c")).toEqual(fromNumbers("i1", [3], [0, 1, 0]));
});

test("what ONNX Runtime refuses is a fault of the file, or of the inputs", async () => {
  const input = [port("x", [2, 3])];
  const output = [port("y", [2, 3])];
  const unknown = write({ input, output, node: [node("Frobnicate", ["x"], ["y"])] });
  const feeds = new Map([["x", ramp([2, 3])]]);
  await expect(runModel(unknown, feeds)).rejects.toThrow(/A140/);
  const fine = write({ input, output, node: [node("Relu", ["x"], ["y"])] });
  await expect(runModel(fine, new Map([["x", ramp([4, 4])]]))).rejects.toThrow(InputError);
});
