/** Whole models, node by node through the kernels, against the outputs that PyTorch recorded. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { dimsOf } from "../../src/data/sample.ts";
import { readSampleFolder } from "../../src/data/sample-folder.ts";
import { readModel, readPorts } from "../../src/onnx/read.ts";
import { runModel } from "../../src/reference/run.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Case, MODELS } from "../corpus.ts";
import { interpret } from "./interpret.ts";

/** The largest difference, in units of the largest expected magnitude; as it is where that is 0. */
function error(found: Tensor, expected: Tensor): number {
  expect(found.shape).toEqual(expected.shape);
  expect(found.elem).toBe(expected.elem);
  const [a, b] = [toNumbers(found), toNumbers(expected)];
  const largest = b.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  return a.reduce((m, v, i) => Math.max(m, Math.abs(v - (b[i] ?? 0))), 0) / (largest || 1);
}

/** What ONNX Runtime recorded cannot show how far it is off itself; other tests hold those models against it. */
const isIndependent = ({ folder }: Case): boolean =>
  !/recorded .*with ONNX Runtime/.test(readFileSync(`${folder}/source.json`, "utf8"));

const cases = MODELS.filter(isIndependent).flatMap(({ name, model, data }) =>
  data.map((folder, set) => ({ name, path: model, folder, set })),
);

describe("whole models", () => {
  test("there are some", () => expect(cases.length).toBeGreaterThan(10));
  test.each(cases)("$name, data set $set", async ({ path, folder }) => {
    const ports = readPorts(path);
    const names = (list: readonly { readonly name: string }[]) => list.map((p) => p.name);
    const sample = readSampleFolder(folder, names(ports.inputs), names(ports.outputs));
    const { module, store } = readModel(path, { dims: dimsOf(ports.inputs, sample.inputs, {}) });
    const values = interpret(module, store, sample.inputs);
    const expected = module.outputs.filter((o) => sample.outputs.has(o.name));
    expect(expected.length).toBeGreaterThan(0);
    const judge = await runModel(path, sample.inputs);
    for (const { name, value } of expected) {
      const recorded = sample.outputs.get(name) as Tensor;
      // PyTorch added float32 in yet another order; how much that matters to a model, ONNX Runtime shows.
      const unavoidable = error(judge.get(name) as Tensor, recorded);
      const allowed = Math.max(1e-6, 3 * unavoidable);
      expect(error(values.get(value) as Tensor, recorded), name).toBeLessThan(allowed);
    }
  });
});
