/** A model through the whole product, in this process: compiled for a bundled machine, written, read back, run. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { writeArtifact } from "../../src/backend/artifact.ts";
import { dimsOf } from "../../src/data/sample.ts";
import { compileModel } from "../../src/driver/compile.ts";
import { toSchedule } from "../../src/ir/dialects/program-schedule.ts";
import { readPorts } from "../../src/onnx/read.ts";
import { type Artifact, loadArtifact } from "../../src/sim/load.ts";
import { simulate } from "../../src/sim/simulate.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const target = loadTarget("ahwa-lora");
const policy = loadPolicy("default");

const root = mkdtempSync(join(tmpdir(), "aimcc-machine-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let runs = 0;

/** The artifact that is written for the model, read back. Throws what a user would be told. */
export async function compiled(
  model: string,
  inputs: ReadonlyMap<string, Tensor>,
): Promise<Artifact> {
  const { module, store, info, dumps } = await compileModel({
    model,
    target,
    dims: dimsOf(readPorts(model).inputs, inputs, {}),
    samples: [inputs],
    options: { policy, lora: { kind: "none" }, seed: 0, tokens: "auto" },
    dump: [],
    verifyEach: false,
  });
  const directory = join(root, `artifact-${runs++}`);
  mkdirSync(directory);
  const { path, sha256, producer, opset, parameters } = info;
  const ports = { inputs: [...info.inputs], outputs: [...info.outputs], dims: { ...info.dims } };
  await writeArtifact(directory, {
    module,
    schedule: toSchedule(module),
    store,
    manifest: {
      format: "aimcc-artifact",
      version: 1,
      compiler: "0.0.0",
      model: { path, sha256, producer, opset, parameters, ...ports },
      target,
      options: {},
      remarks: [],
    },
    dumps,
    loraAlpha: 0,
    images: true,
  });
  return loadArtifact(directory);
}

/** The outputs by name, in `ideal` mode. Throws what a user would be told. */
export async function onMachine(
  model: string,
  inputs: ReadonlyMap<string, Tensor>,
): Promise<ReadonlyMap<string, Tensor>> {
  const artifact = await compiled(model, inputs);
  const { outputs } = await simulate(artifact, { inputs: [inputs], mode: "ideal", threads: 1 });
  const [found] = outputs;
  if (!found) throw new Error("the simulation ended without an inference");
  return found;
}
