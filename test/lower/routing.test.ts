/** What experts compute of the vectors that are routed to them, and streams on several threads. */

import { describe, expect, test } from "vitest";
import type { Module, Op, Value } from "../../src/ir/op.ts";
import { lowerTiles } from "../../src/lower/analog.ts";
import { ChipFed } from "../../src/lower/chip-source.ts";
import { OrtEngine } from "../../src/lower/ort-engine.ts";
import type { Artifact } from "../../src/sim/load.ts";
import { loadTarget } from "../../src/target/load.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { gaussians, machineOf, uniform } from "../sim/one-tile.ts";

const [tokens, width] = [5, 20];
const names = ["a", "b"] as const;

/** Two weights of one size. */
function machine(): Artifact {
  const target = structuredClone(loadTarget("ahwa-lora"));
  const parts = names.map((name, i) => {
    const weights = gaussians(width ** 2, i).map((w) => Math.tanh(w / 4));
    const one = machineOf(target, { weights, rows: width, cols: width });
    const tensors = [...one.tiles].map(([key, t]) => [`${name}.${key}`, t] as const);
    const own = { name, tiles: [i], values: `${name}.v`, scales: `${name}.s` };
    return { weight: { ...one.mapping.weights[0], ...own }, tensors };
  });
  return {
    target,
    mapping: { weights: parts.map(({ weight }) => weight) },
    tiles: new Map(parts.flatMap(({ tensors }) => tensors)),
  } as unknown as Artifact;
}

const named = (id: string, cols = width): Value => ({
  id,
  type: { elem: "f32", shape: [tokens, cols] },
});
const [x, routing, h, g, y] = [named("x"), named("routing", 3), named("h"), named("g"), named("y")];

function expert(weight: string, number: number, given: Value, result: Value): Op {
  const ref = { weight, type: { elem: "f32", shape: [width, width] }, sha256: "" };
  const grid = { row_splits: [0, width], col_splits: [0, width], transposed: false };
  const attrs = { weight: ref, ...grid, expert: number } as unknown as Op["attrs"];
  return { kind: "aimc.mvm", operands: [given, routing], results: [result], attrs, origin: [] };
}

/** y = silu(h) h through `second`'s weights, h = x through those of expert 0. */
function moduleOf(second: number, outputs: readonly Value[]): Module {
  const attrs = { function: "silu" };
  const gated: Op = { kind: "nn.gated", operands: [h, h], results: [g], attrs, origin: [] };
  const port = (value: Value) => ({ name: value.id, value });
  return {
    level: "aimc",
    name: "test",
    inputs: [x, routing].map(port),
    outputs: outputs.map(port),
    ops: [expert("a", 0, x, h), gated, expert("b", second, g, y)],
  };
}

const inputs = [0, 1, 2].map(
  (seed) =>
    new Map([
      ["x", tensor("f32", [tokens, width], uniform(tokens * width, seed))],
      [
        "routing",
        tensor("f32", [tokens, 3], Float32Array.of(1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0)),
      ],
    ]),
);

async function results(module: Module, threads = 1) {
  const store = {} as WeightStore;
  const engine = new OrtEngine(machine(), { module, store }, { inputs, threads });
  try {
    const done: number[] = [];
    const { outputs } = await engine.run({ mode: "noisy", seed: 3 }, (n) => done.push(n));
    expect(done).toEqual([1, 2, 3]);
    return outputs.map((values) => values.get("y")?.data);
  } finally {
    await engine.close();
  }
}

function scatters(module: Module, chip = new ChipFed(false)): number {
  const { ops } = lowerTiles(module, machine(), "noisy", chip);
  return ops.filter(({ kind }) => kind === "onnx.ScatterND").length;
}

describe("between tiles of one expert", () => {
  test("are its vectors alone", async () => {
    const module = moduleOf(0, [y]);
    expect(scatters(module)).toBe(1);
    expect(await results(module)).toEqual(await results(moduleOf(0, [y, g])));
  });

  test("are all vectors where another reads them, or someone looks", async () => {
    expect(scatters(moduleOf(0, [y, g]))).toBe(2);
    expect(scatters(moduleOf(0, [y]), new ChipFed(true))).toBe(2);
    const other = moduleOf(1, [y]);
    expect(scatters(other)).toBe(2);
    expect(await results(other)).toEqual(await results(moduleOf(1, [y, g])));
  });
});

test("a stream is the same on several threads", async () => {
  const module = moduleOf(0, [y]);
  expect(await results(module, 2)).toEqual(await results(module));
});

test("a stream ends between inferences", async () => {
  const module = moduleOf(0, [y]);
  const store = {} as WeightStore;
  const engine = new OrtEngine(machine(), { module, store }, { inputs, threads: 2 });
  const running = engine.run({ mode: "noisy" }, () => undefined).catch(() => undefined);
  await engine.close();
  await running;
});
