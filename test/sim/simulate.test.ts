import { expect, test } from "vitest";
import { loadArtifact } from "../../src/sim/load.ts";
import { MODES } from "../../src/sim/program-tiles.ts";
import { type SimulateOptions, simulate } from "../../src/sim/simulate.ts";
import { timeline } from "../../src/sim/timeline.ts";
import { traceOf } from "../../src/sim/trace.ts";
import { routedParts } from "./routed-artifact.ts";
import { smallAnswer, smallInput, smallParts, WEIGHT, writeParts } from "./small-artifact.ts";

const stream = (count: number) =>
  Array.from({ length: count }, (_, k) => new Map([["x", smallInput(k)]]));

const run = (options: Partial<SimulateOptions> = {}, block = 2) =>
  simulate(loadArtifact(writeParts(smallParts(block))), {
    inputs: stream(3),
    mode: "ideal",
    threads: 1,
    ...options,
  });

test.each([1, 2, 3, 5])(
  "ideal results in blocks of %i tokens are those of the definition",
  async (block) => {
    const { outputs } = await run({}, block);
    for (const [k, values] of outputs.entries()) {
      const expected = smallAnswer(smallInput(k));
      const found = values.get("out");
      expect(found?.shape).toEqual([2, 1, 5, 4]);
      for (const [i, v] of expected.entries()) expect(Number(found?.data[i])).toBeCloseTo(v, 6);
    }
  },
);

test("quantized and noisy results are near the ideal ones, and not equal", async () => {
  const [ideal, quantized, noisy] = await Promise.all(
    MODES.map(async (mode) => (await run({ mode, seed: 3 })).outputs[0]?.get("out")?.data ?? []),
  );
  const distance = (a: ArrayLike<unknown> = []) =>
    Math.max(...Array.from(a, (v, i) => Math.abs(Number(v) - Number(ideal?.[i]))));
  expect(distance(quantized)).toBeGreaterThan(1e-5);
  expect(distance(quantized)).toBeLessThan(0.05);
  expect(distance(noisy)).toBeGreaterThan(distance(quantized));
  expect(distance(noisy)).toBeLessThan(0.3);
});

test("noisy results depend on the seed, not on threads or on how tokens are blocked", async () => {
  const noisy = { mode: "noisy", seed: 11, timeSeconds: 3600, inputs: stream(5) } as const;
  const { outputs } = await run(noisy);
  expect((await run({ ...noisy, threads: 2 })).outputs).toEqual(outputs);
  expect((await run({ ...noisy, threads: 5 })).outputs).toEqual(outputs);
  expect((await run(noisy, 5)).outputs).toEqual(outputs);
  expect((await run({ ...noisy, seed: 12 })).outputs).not.toEqual(outputs);
});

test.each(MODES)("values alone are those of the machine: %s", async (mode) => {
  const chip = { mode, seed: 11, timeSeconds: 3600, inputs: stream(3), taps: ["t_a"] } as const;
  const machine = await run(chip);
  for (const whole of [true, "but-first"] as const) {
    for (const threads of [1, 2, 3]) {
      const { outputs, taps } = await run({ ...chip, whole, threads });
      expect(outputs).toEqual(machine.outputs);
      expect(taps).toEqual(machine.taps);
    }
  }
});

test("a tap gives the values of an ONNX tensor, put together from its blocks", async () => {
  const { taps } = await run({ taps: ["t_a", "nowhere"], threads: 2 });
  const a = taps[1]?.get("t_a");
  expect(a?.shape).toEqual([2, 1, 5, 4]);
  for (let row = 0; row < 10; row++) {
    const sum = [0, 1, 2, 3].reduce((s, j) => s + Number(a?.data[4 * row + j]), 0);
    expect(sum).toBeCloseTo(1, 6);
  }
  expect(taps[1]?.has("nowhere")).toBe(false);
});

test("a kernel that works along the whole axis gives all of it, and each iteration keeps its part", async () => {
  const parts = smallParts();
  const soft = parts.schedule.steps.find((s) => s.id === "soft");
  const sum = parts.schedule.steps.find((s) => s.id === "sum");
  const h = parts.schedule.buffers.find((b) => b.id === "h");
  if (!soft || !sum || !h) throw new Error("the small artifact has changed");
  const last = { batch: "same", token: "last" } as const;
  soft.reads = [{ buffer: "h", select: ["batch", "all", "all", "all"] }];
  soft.waits = [{ buffer: "h", step: "sum", newest: last }];
  h.capacity = 3;
  sum.credits = [{ buffer: "h", reader: "soft", distance: 3, release: last }];
  const inputs = stream(2);
  const artifact = loadArtifact(writeParts(parts));
  const { outputs } = await simulate(artifact, { inputs, mode: "ideal", threads: 1 });
  for (const [k, values] of outputs.entries()) {
    const found = values.get("out")?.data ?? [];
    for (const [i, v] of smallAnswer(smallInput(k)).entries()) {
      expect(Number(found[i])).toBeCloseTo(v, 6);
    }
  }
});

test("rows that are not routed to an expert are 0 and take no part", async () => {
  const { parts, inputs: one } = routedParts("f32");
  const inputs = [one];
  const values = Float32Array.from(one.get("x")?.data ?? [], Number);
  const artifact = loadArtifact(writeParts(parts));
  const { outputs } = await simulate(artifact, { inputs, mode: "ideal" });
  const found = outputs[0]?.get("out")?.data ?? [];
  for (let row = 0; row < 5; row++) {
    for (let j = 0; j < 4; j++) {
      const sum = Number(found[row * 4 + j]) + Number(found[(5 + row) * 4 + j]);
      const products = [0, 1, 2, 3].map(
        (i) => (values[row * 4 + i] ?? 0) * (WEIGHT[i * 4 + j] ?? 0),
      );
      const expected = [1, 4].includes(row) ? products.reduce((a, b) => a + b, 0) : 0;
      expect(sum).toBeCloseTo(expected, 6);
    }
  }
});

test("inputs that do not fit are named", async () => {
  await expect(run({ inputs: [new Map()] })).rejects.toThrow(/A411.*input 'x' is missing/);
  const wrong = { elem: "f32", shape: [1, 4], data: new Float32Array(4) } as const;
  const inputs = [new Map([["x", wrong]])];
  await expect(run({ inputs })).rejects.toThrow(
    /A411.*1x4xf32, the model was compiled for 2x1x5x4xf32/,
  );
});

test("time follows from the costs", () => {
  const parts = smallParts(5);
  // One block a batch, everything on one cluster: no transfers, a chain of five steps and a launch.
  for (const step of parts.schedule.steps) step.cluster = 0;
  for (const buffer of parts.schedule.buffers) buffer.cluster = 0;
  parts.manifest.target.fabric.hopNs.value = 0;
  parts.manifest.target.fabric.linkBytesPerNs.value = 1e30;
  parts.schedule.clusters = [{ cluster: 0, steps: ["mul", "sum", "soft", "attend", "add"] }];
  const artifact = loadArtifact(writeParts(parts));
  const { totalNs, latencyNs, mvms, clusters, tiles } = timeline(artifact, 1);
  // First launch 30 + 100; the second starts when the tiles are idle, at 130, and computes beside four kernels.
  // At 160 the cluster is free: sum, soft of batch 0 until 220, and so on; the last of 10 kernels ends at 400.
  expect(totalNs).toBe(400);
  expect(latencyNs).toBe(400);
  expect(clusters.get(0)?.busyNs).toBe(300);
  expect(tiles.get("w")?.busyNs).toBe(200);
  // 10 tokens through each of 4 tiles.
  expect(mvms).toBe(40);
  const long = timeline(artifact, 10);
  expect(long.intervalNs).toBeLessThanOrEqual(latencyNs);
  expect(long.intervalNs).toBeGreaterThanOrEqual(300);
});

test("the trace names nodes, steps and iterations", () => {
  const { slices } = timeline(loadArtifact(writeParts(smallParts())), 2, 1);
  const { traceEvents } = traceOf(slices);
  const events = traceEvents.filter((e) => e.ph === "X");
  // Six iterations: four kernels, and a launch on its cluster and on four tiles.
  expect(events.length).toBe(6 * (4 + 5));
  expect(events).toContainEqual(
    expect.objectContaining({
      pid: 2,
      tid: 0,
      name: "net.attend nn.attention",
      args: expect.objectContaining({
        step: "attend",
        inference: 0,
        iteration: 5,
        batch: 1,
        block: 2,
        nodes: ["/attend/nn.attention"],
      }),
    }),
  );
  const tile = events.filter((e) => e.pid === 3 && e.tid === 4);
  expect(tile.length).toBe(6);
  for (const [k, e] of tile.entries()) {
    const before = tile[k - 1];
    if (before) expect(e.ts).toBeGreaterThanOrEqual((before.ts ?? 0) + (before.dur ?? 0) - 1e-9);
  }
});
