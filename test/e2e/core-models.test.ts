import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { verifyWith } from "../../src/cli/commands/verify.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { place } from "./cli.ts";
import { CORE, compile, FOREIGN } from "./corpus.ts";

const sets = (cases: typeof CORE) =>
  cases.flatMap((c) => c.data.map((data, set) => ({ ...c, data, set })));

describe("the program of a model gives what ONNX Runtime and PyTorch gave", () => {
  test.each(sets(CORE))("$name, data set $set", async ({ name, model, data }) => {
    const dir = join(place(), "artifact");
    await compile(model, dir, data);
    const artifact = loadArtifact(dir);
    const options = { data, mode: "ideal", seed: 0, seeds: 1, time: 0 } as const;
    const result = await verifyWith(artifact, options, () => undefined);
    const checks = result.runs[0]?.outputs ?? [];
    // Every output is held against both judges: the original file now, and PyTorch when it was recorded.
    expect(checks.map((c) => c.against).sort()).toEqual(
      artifact.manifest.model.outputs.flatMap(() => ["ONNX Runtime", "recorded"]).sort(),
    );
    // A half float carries 11 bits, and each kernel rounds once.
    const limit = artifact.manifest.model.outputs.some((o) => o.elem === "f16") ? 1e-2 : 1e-3;
    for (const { difference, argmax } of checks) {
      expect(difference.relative).toBeLessThanOrEqual(limit);
      expect(argmax ?? 1).toBe(1);
    }
    expect(result.verdict).toBe("agrees");
    // Inside as well: layer by layer, and there are layers to hold against.
    const layers = result.runs[0]?.layers ?? [];
    expect(layers.length, `${name} has layers that can be observed`).toBeGreaterThan(10);
    for (const layer of layers) expect(layer.difference.relative, layer.tensor).toBeLessThan(limit);
    // Matrix products really ran on tiles, and digital kernels beside them.
    expect(artifact.schedule.steps.filter((s) => s.kernel === "mvm").length).toBeGreaterThan(3);
    expect(artifact.schedule.steps.some((s) => s.kernel === "nn.attention")).toBe(true);
  });
});

describe("so does that of a model which others made", () => {
  test.each(sets(FOREIGN))("$name, data set $set", async ({ model, data }) => {
    const dir = join(place(), "artifact");
    await compile(model, dir, data);
    const artifact = loadArtifact(dir);
    const options = { data, mode: "ideal", seed: 0, seeds: 1, time: 0 } as const;
    const { runs } = await verifyWith(artifact, options, () => undefined);
    // Some of their recordings come from other arithmetic: half a percent off on ONNX Runtime itself.
    const judged = (runs[0]?.outputs ?? []).filter((o) => o.against === "ONNX Runtime");
    expect(judged.length).toBe(artifact.manifest.model.outputs.length);
    for (const { difference, output, argmax } of judged) {
      expect(difference.relative, output).toBeLessThanOrEqual(1e-3);
      expect(argmax ?? 1).toBe(1);
    }
    const { steps } = artifact.schedule;
    // One of them is a graph without a single node.
    if (steps.length > 0) expect(steps.some((s) => s.kernel === "mvm")).toBe(true);
  });
});
