/** The corpus of real models, read with their dimensions bound from their recorded inputs. */

import { foldConstants } from "../../passes/fold-constants.ts";
import { inferShapes } from "../../passes/infer-shapes.ts";
import type { NearMiss, Pass } from "../../passes/pass.ts";
import { simplify } from "../../passes/simplify.ts";
import { readSampleFolder, type SampleFolder } from "../../src/data/sample-folder.ts";
import type { Module } from "../../src/ir/op.ts";
import { readModel, readPorts } from "../../src/onnx/read.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { MODELS } from "../corpus.ts";

const ROOT = "test/corpus";

/** `model/test_data_set_K` for every model with recorded data. */
export const CASES: readonly string[] = MODELS.flatMap(({ data }) =>
  data.map((folder) => folder.slice(ROOT.length + 1)),
);

export interface Case {
  readonly path: string;
  readonly module: Module;
  readonly store: WeightStore;
  readonly sample: SampleFolder;
}

export function readCorpus(name: string): Case {
  const folder = `${ROOT}/${name}`;
  const path = `${folder.slice(0, folder.lastIndexOf("/"))}/model.onnx`;
  const { inputs, outputs } = readPorts(path);
  const sample = readSampleFolder(
    folder,
    inputs.map((p) => p.name),
    outputs.map((p) => p.name),
  );
  const dims: Record<string, number> = {};
  for (const { name: port, dims: declared } of inputs) {
    const shape = sample.inputs.get(port)?.shape ?? [];
    for (const [i, d] of (declared ?? []).entries()) {
      if (typeof d === "string") dims[d] = shape[i] ?? 0;
    }
  }
  return { ...readModel(path, { dims }), path, sample };
}

/** Runs one pass that reports nothing. */
export function apply(
  pass: Pass,
  module: Module,
  weights: WeightStore,
  missed?: (m: NearMiss) => void,
): Module {
  const unused = (): never => {
    throw new Error(`${pass.name} must not need this`);
  };
  const after = pass.run(module, {
    weights,
    ...(missed && { missed }),
    report: unused,
    remark: () => undefined,
    observe: unused,
    get target() {
      return unused();
    },
    get options() {
      return unused();
    },
  });
  if (after instanceof Promise) throw new Error(`${pass.name} is asynchronous`);
  return after;
}

/** The module after infer-shapes, fold-constants and simplify. */
export function prepared({ module, store }: Case): Record<"typed" | "folded" | "simple", Module> {
  const typed = apply(inferShapes, module, store);
  const folded = apply(foldConstants, typed, store);
  return { typed, folded, simple: apply(simplify, folded, store) };
}
