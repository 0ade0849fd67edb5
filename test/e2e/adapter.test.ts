/** A trained adapter: its branches run beside the tiles, and the reference is the original with them in it. */

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { verifyWith } from "../../src/cli/commands/verify.ts";
import { differenceOf } from "../../src/compare/difference.ts";
import { originalModel, withBranches } from "../../src/compare/reference.ts";
import { readTensorFile } from "../../src/data/tensor-file.ts";
import { runModel } from "../../src/reference/run.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { readAdapter } from "../../src/weights/adapter.ts";
import { readSafetensors } from "../../src/weights/safetensors.ts";
import { place } from "./cli.ts";
import { compile, core } from "./corpus.ts";
import { trained } from "./trained-adapter.ts";

const { model, data } = core("distilbert_dynamic_t113hf433");
const [recorded = ""] = data;

describe("a trained adapter", () => {
  let dir = "";
  let adapter = "";
  beforeAll(async () => {
    const fresh = join(place(), "fresh");
    await compile(model, fresh, recorded, { lora: { kind: "fresh", rank: 4, alpha: 8 } });
    adapter = trained(fresh);
    dir = join(place(), "artifact");
    const lora = { kind: "adapter", adapter: readAdapter(adapter) } as const;
    await compile(model, dir, recorded, { lora, verifyEach: true });
  });

  test("the artifact keeps the matrices, and tiles keep the original weights", () => {
    const given = readSafetensors(join(adapter, "adapter_model.safetensors"));
    const kept = readSafetensors(join(dir, "lora", "adapter_model.safetensors"));
    expect([...kept.keys()].sort()).toEqual([...given.keys()].sort());
    for (const [name, value] of given) expect(kept.get(name)).toEqual(value);
    expect(loadArtifact(dir).mapping.lora.every((l) => l.trained)).toBe(true);
  });

  test("verify agrees with the original graph with the branches written into it", async () => {
    const artifact = loadArtifact(dir);
    const options = { data: recorded, mode: "ideal", seed: 0, seeds: 1, time: [0] } as const;
    const result = await verifyWith(artifact, options, () => undefined);
    expect(result.verdict).toBe("agrees");
    // What was recorded is the answer of another model now.
    expect(result.runs[0]?.outputs.map((o) => o.against)).toEqual(["ONNX Runtime"]);
  });

  test("that graph is another one than the original", async () => {
    const artifact = loadArtifact(dir);
    const original = originalModel(artifact.manifest);
    const changed = withBranches(original, artifact.mapping.lora, artifact.constants);
    const inputs = artifact.manifest.model.inputs.map(
      ({ name }, i) =>
        [name, readTensorFile(join(recorded, `input_${i}.pb`))[0]?.value as Tensor] as const,
    );
    const [before, after] = [original, changed].map((path) => runModel(path, new Map(inputs)));
    const logits = (await before)?.get("logits") as Tensor;
    expect(differenceOf((await after)?.get("logits"), logits).relative).toBeGreaterThan(0.01);
  });
});
