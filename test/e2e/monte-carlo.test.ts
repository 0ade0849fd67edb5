/** Many chips, many times: intervals, early ends, results that are continued. */

import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type VerifyOptions, verifyWith } from "../../src/cli/commands/verify.ts";
import type { Verification } from "../../src/compare/verification.ts";
import { readTensorFile, writeProtoFile } from "../../src/data/tensor-file.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { type Artifact, loadArtifact } from "../../src/sim/load.ts";
import { simulate } from "../../src/sim/simulate.ts";
import { intervalOf } from "../../src/statistics/interval.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { node, port, ramp, write } from "../onnx/small-model.ts";
import { aimcc, place } from "./cli.ts";

let work = "";
let dir = "";
let base: VerifyOptions;
const at = (name: string): string => join(work, name);

/** relu(x W) V: 16 inputs, 24 in between, 3 classes. */
beforeAll(async () => {
  work = place();
  dir = at("artifact");
  const model = write({
    input: [port("x", ["batch", 16])],
    output: [port("logits", ["batch", 3])],
    initializer: [toProto("W", ramp([16, 24])), toProto("V", ramp([24, 3]))],
    node: [
      node("MatMul", ["x", "W"], ["h"]),
      node("Relu", ["h"], ["r"]),
      node("MatMul", ["r", "V"], ["logits"]),
    ],
  });
  const dims = ["--dim", "batch=4", "--policy", "all-analog"];
  const compiled = await aimcc("compile", model, "-t", "ahwa-lora", "-o", dir, ...dims);
  expect(compiled.stderr).toBe("");
  const values = Array.from({ length: 64 }, (_, i) => Math.sin(i * 1.7));
  writeProtoFile(at("x.pb"), "x", fromNumbers("f32", [4, 16], values));
  writeFileSync(at("labels.json"), JSON.stringify({ labels: [[0], [1], [2], [-100]] }));
  base = { inputs: [`x=${at("x.pb")}`], mode: "noisy", seed: 3, time: [0] };
});

const verify = (more: Partial<VerifyOptions>, signal?: AbortSignal): Promise<Verification> =>
  verifyWith(loadArtifact(dir), { ...base, ...more }, () => undefined, signal);

const METRIC = { metric: "bits-per-byte" } as const;
const chips = ({ runs }: Verification) => runs.map((r) => [r.seed, r.timeSeconds]);

test("several times look at the same chips, each as if it ran alone", async () => {
  const times = [1, 86400];
  const both = await verify({ time: times, seeds: 2 });
  expect(chips(both)).toEqual([
    [3, 1],
    [3, 86400],
    [4, 1],
    [4, 86400],
  ]);
  const alone = await verify({ time: [86400], seed: 4 });
  expect(both.runs[3]).toEqual(alone.runs[0]);
  expect(both.runs[2]?.outputs).not.toEqual(both.runs[3]?.outputs);
});

describe("--json", () => {
  test("has every seed and time, and what they have in common", async () => {
    const labels = ["--metric", "bits-per-byte", "--labels", at("labels.json")];
    const chosen = ["--mode", "noisy", "--seeds", "4", "--time", "1d,1s", "--inputs"];
    const done = await aimcc("verify", dir, ...chosen, `x=${at("x.pb")}`, ...labels, "--json");
    const found = JSON.parse(done.stdout);
    expect(found.runs.map((r: { seed: number }) => r.seed)).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect(found.times.map((t: { timeSeconds: number }) => t.timeSeconds)).toEqual([1, 86400]);
    const [, day] = found.times;
    const ofDay = found.runs.filter((r: { timeSeconds: number }) => r.timeSeconds === 86400);
    const { mean, half } = intervalOf(ofDay.map((r: { metric: number }) => r.metric));
    expect(day.metric).toEqual({ mean, halfWidth95: half });
    expect(day.layers[0].snrDb.mean).toBeGreaterThan(5);
    expect(day.layers[0].snrDb.mean).toBeLessThan(60);
    expect(day.layers[0].cosine.mean).toBeGreaterThan(0.9);
    expect(found.metric).toMatchObject({ name: "bits-per-byte", better: "lower" });
    expect(found.ended).toBe("all");
  });

  test("a single seed has no interval", async () => {
    const done = await aimcc("verify", dir, "--mode", "noisy", "--json");
    expect(JSON.parse(done.stdout).times[0].relative.halfWidth95).toBe(null);
  });
});

test("the text has a row for each time", async () => {
  const options = ["--mode", "noisy", "--seeds", "3", "--time", "1h,1d,10y"];
  const { stdout } = await aimcc("verify", dir, ...options);
  expect(stdout).toMatch(/after +output/);
  for (const time of ["1h", "1d", "10y"]) expect(stdout).toContain(`\n${time} `);
  expect(stdout).toMatch(/signal to noise/);
  expect(stdout).toMatch(/3 seeds \(mean ± 95 % confidence\)/);
});

test("progress names times as they were given", async () => {
  const told: string[] = [];
  const options = { ...base, seeds: 2, time: [1, 86400, 7 * 86400] };
  await verifyWith(loadArtifact(dir), options, (doing) => told.push(doing));
  const last = told.filter((t) => t.includes("seed 4")).at(-1);
  expect(told.some((t) => t.startsWith("simulating noisy, seed 3, after 1d: "))).toBe(true);
  expect(last).toMatch(/^simulating noisy, seed 4, after 1w: 1 of 1, /);
});

test("a layer that no noise reaches is exact, in words and in JSON", async () => {
  const out = at("exact");
  const model = write({
    input: [port("x", [2, 4])],
    output: [port("y", [2, 3])],
    initializer: [toProto("W", ramp([4, 3]))],
    node: [node("Relu", ["x"], ["r"]), node("MatMul", ["r", "W"], ["y"])],
  });
  await aimcc("compile", model, "-t", "ahwa-lora", "-o", out, "--policy", "all-analog");
  const noisy = ["verify", out, "--mode", "noisy", "--seeds", "2"];
  const { stdout } = await aimcc(...noisy);
  expect(stdout).toMatch(/nn.activation +0 ± 0 +exact +1.00000 ± 0.00000 +r\n/);
  expect(stdout).not.toContain("Infinity");
  const { runs, times } = JSON.parse((await aimcc(...noisy, "--json")).stdout);
  for (const layers of [runs[0].layers, times[0].layers]) {
    expect(layers.map((l: { exact: boolean }) => l.exact)).toEqual([true, false]);
  }
  expect(runs[0].layers[0]).toMatchObject({ snrDb: null, relative: 0 });
});

describe("--until", () => {
  test("ends after three seeds at the earliest", async () => {
    const { runs, ending } = await verify({
      until: 0.99,
      metric: METRIC.metric,
      labels: at("labels.json"),
    });
    expect(runs.length).toBe(3);
    expect(ending).toBe("tight");
  });

  test("goes on while the interval is wide", async () => {
    const { runs, ending } = await verify({ until: 1e-6, seeds: 5 });
    expect(runs.length).toBe(5);
    expect(ending).toBe("all");
  });

  test("refuses fewer seeds, and shares that are none", async () => {
    await expect(verify({ until: 0.1, seeds: 2 })).rejects.toThrow(/A015/);
    await expect(verify({ seeds: 0 })).rejects.toThrow(/A015/);
    const { status, stderr } = await aimcc("verify", dir, "--until", "150%");
    expect(status).toBe(2);
    expect(stderr).toMatch(/Expected a share/);
  });
});

describe("--resume", () => {
  test("goes on where it was ended, with equal results", async () => {
    const resume = at("whole.jsonl");
    const time = [1, 3600];
    const whole = await verify({ seeds: 3, time });
    const first = await verify({ seeds: 1, time, resume });
    // As if it had been ended while it wrote the next line.
    appendFileSync(resume, '{"seed":4,"timeSec');
    const rest = await verify({ seeds: 3, time, resume });
    expect(first.runs).toEqual(whole.runs.slice(0, 2));
    expect(rest.runs).toEqual(whole.runs);
    const lines = readFileSync(resume, "utf8").trim().split("\n");
    expect(lines.length).toBe(1 + 6);
    // Nothing is left to run.
    const controller = new AbortController();
    controller.abort();
    expect((await verify({ seeds: 3, time, resume }, controller.signal)).runs).toEqual(whole.runs);
  });

  test("goes on from runs of which part of the error is ONNX Runtime's own", async () => {
    const resume = at("rounded.jsonl");
    await verify({ resume });
    const [head = "", line = ""] = readFileSync(resume, "utf8").split("\n");
    const run = JSON.parse(line);
    for (const output of run.outputs) Object.assign(output, { rounding: 0.01, original: 0.02 });
    writeFileSync(resume, `${head}\n${JSON.stringify(run)}\n`);
    const { runs } = await verify({ resume, seeds: 2 });
    expect(runs[0]?.outputs[0]).toMatchObject({ rounding: 0.01, original: 0.02 });
    expect(runs.length).toBe(2);
  });

  test("refuses results of something else", async () => {
    const resume = at("other.jsonl");
    await verify({ resume });
    await expect(verify({ resume, mode: "quantized" })).rejects.toThrow(/A435.*something else/);
    const labels = { metric: "accuracy", labels: at("labels.json") };
    await expect(verify({ resume, ...labels })).rejects.toThrow(/A435.*something else/);
  });

  test.each([
    ["another file", "hello\n", /A435.*no results file/],
    ["nothing", "", /A435.*no results file/],
  ])("refuses %s", async (_, text, message) => {
    writeFileSync(at("bad.jsonl"), text);
    await expect(verify({ resume: at("bad.jsonl") })).rejects.toThrow(message);
  });

  test("says which line is damaged", async () => {
    const resume = at("damaged.jsonl");
    await verify({ resume });
    appendFileSync(resume, '{"seed":"one"}\n');
    await expect(verify({ resume })).rejects.toThrow(/A435.*\n.*damaged.jsonl:3/);
  });
});

describe("an interruption", () => {
  test("reports the seeds that had finished", async () => {
    const controller = new AbortController();
    let seen = 0;
    const tell = (doing: string): void => {
      if (doing.includes("seed 4") && doing.includes("1 of 1")) seen += 1;
      if (seen > 0) controller.abort();
    };
    const options = { ...base, seeds: 9 };
    const { runs, ending } = await verifyWith(loadArtifact(dir), options, tell, controller.signal);
    expect(chips({ runs } as Verification)).toEqual([
      [3, 0],
      [4, 0],
    ]);
    expect(ending).toBe("interrupted");
  });

  test("before anything has finished is a message", async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(verify({}, controller.signal)).rejects.toThrow(/A436/);
  });
});

describe("--explain", () => {
  const source = "assumption: for this test";

  /** Only the output noise of the converters is left. */
  function onlyOutputNoise(): Artifact {
    const artifact = loadArtifact(dir);
    const target = structuredClone(artifact.target);
    const { tile, analog, device } = target;
    tile.dac = { ...tile.dac, bits: { value: 24, source }, bound: { value: 50, source } };
    tile.adc = { ...tile.adc, bits: { value: 24, source } };
    analog.readNoise.value = 0;
    analog.irDrop.scale.value = 0;
    device.programming.sigma.pieces = [{ polynomial: [0] }];
    device.drift = undefined;
    device.flicker = undefined;
    return { ...artifact, target };
  }

  test("finds the one source there is, and what each layer makes of it", async () => {
    const artifact = onlyOutputNoise();
    const options = { ...base, seeds: 60, explain: true };
    const { attribution } = await verifyWith(artifact, options, () => undefined);
    if (!attribution) throw new Error("nothing is explained");
    const { sources, layers, loss, exact, complete } = attribution;
    expect(complete).toBe(true);
    expect(exact.mean).toBeLessThan(1e-9);
    expect(sources[0]?.name).toBe("output noise");
    for (const { name, alone, saved } of sources) {
      const share = name === "output noise" ? 1 : 0;
      expect(alone.mean / loss.mean, name).toBeCloseTo(share, 2);
      expect(saved.mean / loss.mean, name).toBeCloseTo(share, 2);
    }
    // The last layer's noise meets nothing behind it: sigma alpha gamma on each result.
    const last = artifact.mapping.weights.find((w) => w.cols === 3);
    const scales = toNumbers(artifact.tiles.get(last?.scales ?? "") as Tensor);
    const unit = artifact.target.analog.outputNoise.value * (last?.inputRange[0] ?? 0);
    const noise = 4 * scales.reduce((sum, gamma) => sum + (unit * gamma) ** 2, 0);
    const y = toNumbers((await exactAnswer(artifact)) as Tensor);
    const signal = y.reduce((sum, v) => sum + v * v, 0);
    const found = layers.find((l) => l.name === (last?.module || last?.name));
    // 720 squares of gaussians: their mean is off by 5 % at one deviation.
    expect(Math.abs((found?.alone.mean ?? 0) / (noise / signal) - 1)).toBeLessThan(0.2);
  });

  const exactAnswer = async (artifact: Artifact): Promise<Tensor | undefined> => {
    const inputs = [new Map([["x", readTensorFile(at("x.pb"))[0]?.value as Tensor]])];
    return (await simulate(artifact, { inputs, mode: "ideal" })).outputs[0]?.get("logits");
  };

  test("says it in a table and in JSON, by the metric", async () => {
    const labels = ["--metric", "accuracy", "--labels", at("labels.json")];
    const options = ["--mode", "noisy", "--inputs", `x=${at("x.pb")}`, ...labels, "--explain"];
    const { stdout } = await aimcc("verify", dir, ...options, "--time", "1s,1d");
    expect(stdout).toMatch(/where the loss comes from, after 1d\naccuracy: /);
    expect(stdout).toMatch(/source +alone +share +without/);
    const json = JSON.parse((await aimcc("verify", dir, ...options, "--json")).stdout);
    const nodes = json.attribution.layers.map((l: { nodes: readonly string[] }) => l.nodes);
    expect(nodes).toEqual(expect.arrayContaining([["matmul_of_h"], ["matmul_of_logits"]]));
    expect(stdout).toMatch(/layer +alone +share +without +ONNX nodes\n.* matmul_of_/);
    const names = json.attribution.sources.map((s: { name: string }) => s.name);
    expect(names).toContain("programming noise");
    expect(names).toContain("output converters");
  });

  test("is refused where there is nothing to explain", async () => {
    await expect(verify({ mode: "ideal", explain: true })).rejects.toThrow(/A016/);
    await expect(verify({ engine: "ort", explain: true })).rejects.toThrow(/A016/);
    await expect(verify({ engine: "ort", stream: true })).rejects.toThrow(/A016/);
  });
});

test.each([
  ["--time", "-1s", /Expected a time/],
  ["--time", "1s,soon", /Expected a time/],
  ["--metric", "rouge", /A008.*rouge/],
  ["--metric", "f1", /A008.*needs labels/],
  ["--labels", "nowhere.json", /A008.*needs a --metric/],
])("%s %s is refused", async (option, value, message) => {
  const { status, stderr } = await aimcc("verify", dir, "--mode", "noisy", option, value);
  expect(status).toBe(2);
  expect(stderr).toMatch(message);
});
