/** Two engines, one chip: the simulator and the lowered model on ONNX Runtime draw the same devices and noise. */

import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { givenInputs } from "../../src/cli/given-inputs.ts";
import { programOf } from "../../src/cli/program-of.ts";
import { differenceOf } from "../../src/compare/difference.ts";
import { OrtEngine } from "../../src/lower/ort-engine.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { type Artifact, loadArtifact } from "../../src/sim/load.ts";
import { type Chip, Simulator } from "../../src/sim/simulate.ts";
import type { Target } from "../../src/target/schema.ts";
import { fromNumbers, toF32 } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { node, port, ramp, write } from "../onnx/small-model.ts";
import { aimcc, place } from "./cli.ts";
import { compile, core } from "./corpus.ts";

const TOKENS = 24;
let compiled: Artifact;

/** relu(x W) V: 600 inputs are two rows of tiles, 40 and 24 columns no whole group of random words. */
beforeAll(async () => {
  const dir = join(place(), "artifact");
  const model = write({
    input: [port("x", [1, TOKENS, 600])],
    output: [port("y", [1, TOKENS, 24])],
    initializer: [toProto("W", ramp([600, 40])), toProto("V", ramp([40, 24]))],
    node: [
      node("MatMul", ["x", "W"], ["h"]),
      node("Relu", ["h"], ["r"]),
      node("MatMul", ["r", "V"], ["y"]),
    ],
  });
  const options = ["-t", "ahwa-lora", "-o", dir, "--policy", "all-analog"];
  expect((await aimcc("compile", model, ...options)).stderr).toBe("");
  compiled = loadArtifact(dir);
});

const input = (seed: number): ReadonlyMap<string, Tensor> => {
  const values = Array.from({ length: TOKENS * 600 }, (_, i) => Math.sin(i * 1.7 + seed));
  return new Map([["x", fromNumbers("f32", [1, TOKENS, 600], values)]]);
};

/** How near h and y are, of ONNX Runtime's second inference to the simulator's. */
async function between(chip: Chip, change: (t: Target) => void = () => undefined) {
  const target = structuredClone(compiled.target);
  change(target);
  const artifact: Artifact = { ...compiled, target };
  const options = { inputs: [input(1), input(2)], taps: ["h"], threads: 1 };
  const simulator = new Simulator(artifact, options);
  const ort = new OrtEngine(artifact, programOf(compiled, "program"), options);
  try {
    const expected = await simulator.run(chip);
    const found = await ort.run(chip, () => undefined);
    return {
      h: nearness(found.taps[0]?.get("h"), expected.taps[0]?.get("h")),
      y: nearness(found.outputs[1]?.get("y"), expected.outputs[1]?.get("y")),
    };
  } finally {
    await simulator.close();
    await ort.close();
  }
}

/** Signal to noise, and the share of values that are another step of a converter. */
function nearness(actual: Tensor | undefined, expected: Tensor | undefined) {
  const { snr, maxReference } = differenceOf(actual, expected as Tensor);
  const [a, e] = [toF32(actual as Tensor), toF32(expected as Tensor)];
  const others = a.filter((v, i) => Math.abs(v - (e[i] as number)) > 1e-4 * maxReference);
  return { snr, others: others.length / a.length };
}

test("ideal is the same but for the order of sums", async () => {
  const { h, y } = await between({ mode: "ideal" });
  expect(h.snr).toBeGreaterThan(110);
  expect(y.snr).toBeGreaterThan(110);
});

// Where a value falls on the edge between two steps of a converter, the order of sums decides. Few values do.
test("quantized is the same but for ties", async () => {
  const { h, y } = await between({ mode: "quantized" });
  expect(h.others).toBeLessThan(0.01);
  expect(h.snr).toBeGreaterThan(40);
  expect(y.snr).toBeGreaterThan(30);
});

const CHANGES: Readonly<Record<string, (t: Target) => void>> = {
  "the bundled target": () => undefined,
  "two counters": (t) => {
    t.tile.adc.scheme = "two-counter";
  },
  "a range for each vector": (t) => {
    t.tile.dac.range = "abs-max";
  },
  "an S-shaped transfer": (t) => {
    const source = "assumption: for this test";
    t.analog.sShape = { mean: { value: 0.25, source }, deviation: { value: 0.1, source } };
  },
  "no IR drop, no read noise": (t) => {
    t.analog.irDrop.scale.value = 0;
    t.analog.readNoise.value = 0;
  },
};

const SEEDS = [11, 12, 13, 14, 15];

test.each(Object.entries(CHANGES))("noisy draws the same chips: %s", async (_, change) => {
  const behind: number[] = [];
  for (const seed of SEEDS) {
    const { h, y } = await between({ mode: "noisy", seed, timeSeconds: 3600 }, change);
    // Both round weights for the sums that noise depends on, each in its way, so that a value near the edge between two steps of
    // its converter may be the one or the other. Other noise would change nearly all of them.
    expect(h.others).toBeLessThan(0.03);
    // Noise itself is 20 to 30 dB below the signal, and a single step in one of these few values already 40 dB.
    expect(h.snr).toBeGreaterThan(37);
    behind.push(y.snr);
  }
  // Behind the second weight a step of h has moved all results of its token, on some chips many and on others none.
  expect(behind.toSorted((a, b) => a - b)[2]).toBeGreaterThan(33);
});

test("one engine runs chip after chip, each as if it were alone", async () => {
  const options = { inputs: [input(1)], threads: 1 };
  const engine = new OrtEngine(compiled, programOf(compiled, "program"), options);
  const run = async (seed: number) =>
    (await engine.run({ mode: "noisy", seed }, () => undefined)).outputs[0]?.get("y")?.data;
  const [first, second, again] = [await run(1), await run(2), await run(1)];
  expect(again).toEqual(first);
  expect(second).not.toEqual(first);
  await engine.close();
});

test("what ONNX cannot say is refused", async () => {
  const retry = (t: Target): void => {
    t.tile.adc.whenClipped = "retry";
  };
  await expect(between({ mode: "noisy" }, retry)).rejects.toThrow(/A416/);
});

test("the command line chooses", async () => {
  const options = ["--mode", "noisy", "--seeds", "2", "--time", "1h", "--json"];
  const facts = async (engine: string) => {
    const { stdout } = await aimcc("verify", compiled.directory, ...options, "--engine", engine);
    return JSON.parse(stdout);
  };
  const [wasm, ort] = [await facts("wasm"), await facts("ort")];
  expect(ort.times[0].layers.length).toBe(wasm.times[0].layers.length);
  const near = wasm.times[0].outputs[0].snrDb.mean;
  expect(ort.times[0].outputs[0].snrDb.mean).toBeCloseTo(near, 0);
  expect(ort.times[0].layers[0].snrDb.mean).toBeCloseTo(wasm.times[0].layers[0].snrDb.mean, 0);
});

test.each([
  "gpt2_lm_t113hf433",
  "mistral_window_t26hf450",
  "mixtral_loop_t26hf446",
  "bert_sdpa_t26hf446",
])("values alone are those of the machine: %s", async (name) => {
  const { model, data } = core(name);
  const dir = join(place(), "artifact");
  await compile(model, dir, data[0]);
  const artifact = loadArtifact(dir);
  const { inferences } = givenInputs(
    { seed: 4, mode: "noisy" },
    artifact.manifest.model.inputs,
    [],
  );
  const simulator = new Simulator(artifact, { inputs: inferences, threads: 1 });
  for (const mode of ["ideal", "quantized"] as const) {
    const { outputs } = await simulator.run({ mode });
    const whole = await simulator.run({ mode, whole: true });
    expect(whole.outputs).toEqual(outputs);
  }
  await simulator.close();
});
