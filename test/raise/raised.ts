/** Models of the corpus, taken up to the nn level. */

import { expect } from "vitest";
import { assign } from "../../passes/assign.ts";
import type { NearMiss } from "../../passes/pass.ts";
import { PIPELINE } from "../../passes/pipeline.ts";
import { readSampleFolder, type SampleFolder } from "../../src/data/sample-folder.ts";
import type { Module } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { readModel, readPorts } from "../../src/onnx/read.ts";
import { runModel } from "../../src/reference/run.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { apply } from "../ir/onnx-models.ts";

/** The compiler's own list, up to where a policy is asked. */
const ALL = PIPELINE.flatMap((stage) => stage.passes);
const PASSES = ALL.slice(0, ALL.indexOf(assign));

export interface Raised {
  readonly module: Module;
  readonly store: WeightStore;
  readonly sample: SampleFolder;
}

/** Every pass in order; each must leave a module that verifies. */
export function raised(source: Module, store: WeightStore, missed?: (m: NearMiss) => void): Module {
  return PASSES.reduce((module, pass) => {
    const after = apply(pass, module, store, missed);
    const [fault] = verify(after);
    if (fault) throw new Error(`after ${pass.name}: ${fault.text}`);
    return after;
  }, source);
}

/** A model with the dimensions of its recorded data set. */
export function readRaised(folder: string, set = "test_data_set_0"): Raised {
  const path = `${folder}/model.onnx`;
  const { inputs, outputs } = readPorts(path);
  const sample = readSampleFolder(
    `${folder}/${set}`,
    inputs.map((p) => p.name),
    outputs.map((p) => p.name),
  );
  const dims: Record<string, number> = {};
  for (const { name, dims: declared } of inputs) {
    const shape = sample.inputs.get(name)?.shape ?? [];
    for (const [i, d] of (declared ?? []).entries()) {
      if (typeof d === "string") dims[d] = shape[i] ?? 0;
    }
  }
  const { module, store } = readModel(path, { dims });
  return { module: raised(module, store), store, sample };
}

/** How many operations of each kind there are; constants aside. */
export function census(module: Module): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const op of module.ops) {
    if (op.kind !== "onnx.Constant") counts[op.kind] = (counts[op.kind] ?? 0) + 1;
  }
  return counts;
}

/** How many linears there are of each role. */
export function roles(module: Module): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const op of module.ops) {
    const role = op.attrs["role"];
    if (typeof role === "string") counts[role] = (counts[role] ?? 0) + 1;
  }
  return counts;
}

/** Largest absolute difference over the largest absolute expected value. */
export function relativeError(actual: Tensor | undefined, expected: Tensor): number {
  if (actual?.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  const [a, e] = [toNumbers(actual), toNumbers(expected)];
  const scale = Math.max(...e.map(Math.abs), Number.MIN_VALUE);
  return Math.max(...e.map((x, i) => Math.abs(x - (a[i] ?? Number.NaN)))) / scale;
}

/** Without ONNX Runtime's optimiser, which rounds the inputs of products with quantised weights. */
const PLAIN = { optimisation: "disabled" } as const;

/** Raised and original give one answer. */
export async function expectSame(
  before: Module,
  after: Module,
  store: WeightStore,
  feeds: ReadonlyMap<string, Tensor>,
  tolerance = 1e-5,
) {
  const expected = await runModel(exportModule(before, store), feeds, undefined, PLAIN);
  const actual = await runModel(exportModule(after, store), feeds, undefined, PLAIN);
  for (const [name, value] of expected) {
    expect(relativeError(actual.get(name), value), name).toBeLessThan(tolerance);
  }
}
