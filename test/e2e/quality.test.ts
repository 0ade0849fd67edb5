/** Bits per byte of the trained samples, against what PyTorch measured on the same windows. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { verifyArtifact } from "../../src/compare/verification.ts";
import { part, splitInferences } from "../../src/data/sample.ts";
import { readTensorFile, writeProtoFile } from "../../src/data/tensor-file.ts";
import { labelsOfTensor } from "../../src/metric/labels.ts";
import { metricOf } from "../../src/metric/metric.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { aimcc, place } from "./cli.ts";
import { compile } from "./corpus.ts";

const WINDOWS = 8;
const read = (path: string): Tensor => readTensorFile(path)[0]?.value as Tensor;

/** Mean over the first windows, in bits. */
function measured(folder: string): number {
  const text = readFileSync(join(folder, "val_reference.json"), "utf8");
  const { nats_per_window: nats } = JSON.parse(text) as { nats_per_window: number[] };
  const mean = nats.slice(0, WINDOWS).reduce((a, b) => a + b, 0) / WINDOWS;
  return mean / Math.LN2;
}

test.each([
  ["gpt2-bytes", "default"],
  ["olmoe-bytes", "moe"],
])("%s", async (name, policy) => {
  const folder = join("samples", name);
  const dir = join(place(), "artifact");
  const data = join(folder, "test_data_set_0");
  await compile(join(folder, "model.onnx"), dir, data, { policy: loadPolicy(policy) });
  const artifact = loadArtifact(dir);
  const ids = new Map([["input_ids", read(join(folder, "val_input_ids.pb"))]]);
  const inferences = splitInferences(artifact.manifest.model.inputs, ids).slice(0, WINDOWS);
  const labels = labelsOfTensor(part(read(join(folder, "val_targets.pb")), 0, 64 / WINDOWS));
  const metric = metricOf("bits-per-byte", labels);
  const request = { artifact, model: join(folder, "model.onnx"), inferences, metric };
  const rest = { recorded: new Map(), seeds: [0], times: [0], tell: () => undefined };
  const bits = [];
  for (const mode of ["ideal", "quantized", "noisy"] as const) {
    const result = await verifyArtifact({ ...request, ...rest, mode });
    bits.push(result.runs[0]?.metric ?? Number.NaN);
    expect(result.referenceMetric).toBeCloseTo(measured(folder), 4);
  }
  const [ideal = 0, quantized = 0, noisy = 0] = bits;
  expect(ideal).toBeCloseTo(measured(folder), 4);
  // 8-bit converters cost next to nothing, noise something, and the model is still one: a uniform guess is 8
  // bits, the frequencies of bytes alone give 4.48.
  expect(Math.abs(quantized - ideal)).toBeLessThan(0.02);
  expect(noisy - ideal).toBeGreaterThan(0.001);
  expect(noisy - ideal).toBeLessThan(0.3);
});

test("the command line streams a validation set, and prints its bits per byte", async () => {
  const folder = "samples/gpt2-bytes";
  const work = place();
  const dir = join(work, "artifact");
  const model = join(folder, "model.onnx");
  // Two inferences of four windows.
  const first = (name: string): string => {
    const path = join(work, name);
    writeProtoFile(path, name, part(read(join(folder, name)), 0, 64 / WINDOWS));
    return path;
  };
  const dims = ["--dim", "batch=4", "--dim", "sequence=128"];
  await aimcc("compile", model, "-t", "ahwa-lora", "-o", dir, ...dims);
  const inputs = `input_ids=${first("val_input_ids.pb")}`;
  const metric = ["--metric", "bits-per-byte", "--labels", first("val_targets.pb")];
  const { status, stdout } = await aimcc("verify", dir, "--inputs", inputs, ...metric);
  expect(status).toBe(0);
  expect(stdout).toContain("2 inferences");
  const [, own, reference] = /bits per byte {2}([\d.]+), ONNX Runtime ([\d.]+)/.exec(stdout) ?? [];
  expect(Number(own)).toBeCloseTo(measured(folder), 4);
  expect(Number(reference)).toBeCloseTo(measured(folder), 4);
});
