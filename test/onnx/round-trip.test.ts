/** A file, read and exported again, is the same function: judged by recorded outputs on ONNX Runtime. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { readSampleFolder } from "../../src/data/sample-folder.ts";
import { verify } from "../../src/ir/verify.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { readModel, readPorts } from "../../src/onnx/read.ts";
import { runModel } from "../../src/reference/run.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { FRAGMENTS, MODELS, TRAINED } from "../corpus.ts";

/** ONNX Runtime knows none of these node tests' operators at these types: an If on data, Pow on uint64. */
const NOT_RUN = ["test_if", "test_pow_types_float32_uint64"];

const foldersIn = (root: string): string[] =>
  readdirSync(root)
    .map((name) => join(root, name))
    .filter((folder) => existsSync(join(folder, "model.onnx")));

const setsOf = (folder: string): string[] =>
  readdirSync(folder).filter((f) => f.startsWith("test_data_set_"));

/** The largest relative error over all recorded outputs of a model that was read and exported. */
async function errorOf(folder: string, set: string): Promise<number> {
  const path = join(folder, "model.onnx");
  const ports = readPorts(path);
  const names = (list: readonly { name: string }[]) => list.map((p) => p.name);
  const sample = readSampleFolder(join(folder, set), names(ports.inputs), names(ports.outputs));
  const dims: Record<string, number> = {};
  for (const { name, dims: free } of ports.inputs) {
    for (const [axis, dim] of free.entries()) {
      if (dim !== null) dims[dim] = sample.inputs.get(name)?.shape[axis] ?? 1;
    }
  }
  const { module, store } = readModel(path, { dims });
  expect([...verify(module)].map((f) => f.text)).toEqual([]);
  const actual = await runModel(exportModule(module, store), sample.inputs);
  expect(sample.outputs.size).toBeGreaterThan(0);
  const errors = [...sample.outputs].map(([name, expected]: [string, Tensor]) => {
    expect(actual.get(name)?.elem).toBe(expected.elem);
    expect(actual.get(name)?.shape).toEqual(expected.shape);
    return differenceOf(actual.get(name), expected).relative;
  });
  return Math.max(...errors);
}

const models = [...MODELS, ...FRAGMENTS, ...TRAINED].map((c) => c.folder);

describe.each(models)("%s", (folder) => {
  // Recorded by PyTorch, mostly; 1e-3 of the largest value is the project's bound for agreement.
  test.each(setsOf(folder))("%s", async (set) => {
    expect(await errorOf(folder, set)).toBeLessThan(1e-3);
  });
});

describe("ONNX's own node tests", () => {
  const folders = foldersIn("test/onnx-node-tests").filter(
    (f) => !NOT_RUN.some((name) => f.endsWith(`/${name}`)),
  );
  test.each(folders)("%s", async (folder) => {
    expect(await errorOf(folder, "test_data_set_0")).toBeLessThan(1e-3);
  });
});
