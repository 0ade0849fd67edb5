/** Lowered tiles on ONNX Runtime, against the plain simulator and the fast one. */

import { describe, expect, test } from "vitest";
import type { Module, Op, Value } from "../../src/ir/op.ts";
import { OrtEngine } from "../../src/lower/ort-engine.ts";
import { Crossbars } from "../../src/sim/crossbar.ts";
import type { Artifact } from "../../src/sim/load.ts";
import { emptyTiles, heldTiles, programmed } from "../../src/sim/tile-memory.ts";
import { loadDevice, loadTarget } from "../../src/target/load.ts";
import type { Target } from "../../src/target/schema.ts";
import { toF32 } from "../../src/tensor/convert.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { gaussians, machineOf, uniform } from "../sim/one-tile.ts";
import { plainProduct } from "../sim/plain.ts";

const SEED = 5;
const source = "a test";
type Mode = "ideal" | "noisy";

const matrix = (shape: readonly number[], data: Float32Array): Tensor => tensor("f32", shape, data);

const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] ?? Number.NaN))), 0);

/** The products of inputs by weights of the artifact; each result is called after its weight. */
async function onnxRuntime(
  artifact: Artifact,
  inputs: ReadonlyMap<string, Tensor>,
  weights: readonly string[],
  expertOf: (weight: string) => number | null = () => null,
  mode: Mode = "noisy",
): Promise<ReadonlyMap<string, Float32Array>> {
  const values = new Map<string, Value>(
    [...inputs].map(([id, { elem, shape }]) => [id, { id, type: { elem, shape } }]),
  );
  const ports = (of: Iterable<Value>) => [...of].map((value) => ({ name: value.id, value }));
  const given = [...values.values()];
  const [x] = given;
  if (!x) throw new Error("no input");
  const ops = weights.map((weight): Op => {
    const mapped = artifact.mapping.weights.find(({ name }) => name === weight);
    const { rows = 0, cols = 0 } = mapped ?? {};
    const type = { elem: "f32", shape: [...x.type.shape.slice(0, -1), cols] } as const;
    const expert = expertOf(weight);
    const ref = { weight, type: { elem: "f32", shape: [rows, cols] }, sha256: "" } as const;
    const grid = { weight: ref, row_splits: [0, rows], col_splits: [0, cols], transposed: false };
    const attrs = { ...grid, ...(expert === null ? {} : { expert }) };
    const operands = expert === null ? [x] : given;
    const results = [{ id: `y ${weight}`, type }];
    return {
      kind: "aimc.mvm",
      operands,
      results,
      attrs: attrs as unknown as Op["attrs"],
      origin: [],
    };
  });
  const outputs = ports(ops.flatMap(({ results }) => results));
  const module: Module = { level: "aimc", name: "test", inputs: ports(given), outputs, ops };
  const engine = new OrtEngine(
    artifact,
    { module, store: storeOf(artifact) },
    { inputs: [inputs], threads: 1 },
  );
  try {
    const { outputs: found } = await engine.run({ mode, seed: SEED }, () => undefined);
    const all = [...(found[0] ?? [])].map(([name, t]) => [name.slice(2), toF32(t)] as const);
    return new Map(all);
  } finally {
    await engine.close();
  }
}

/** The weights as one block has them. */
const storeOf = ({ tiles, mapping }: Artifact): WeightStore =>
  ({
    load: ({ weight, type }) => {
      const { values = "" } = mapping.weights.find(({ name }) => name === weight) ?? {};
      return { ...(tiles.get(values) as Tensor), shape: type.shape };
    },
  }) as WeightStore;

function targetOf(change: (t: Target) => void = () => undefined): Target {
  const target = structuredClone(loadTarget("ahwa-lora"));
  target.device = loadDevice("ideal");
  // Finer than what is to be seen.
  target.tile.adc.bits.value = 22;
  change(target);
  return target;
}

/** Largest difference from the plain simulator, in steps of an 8-bit converter with the same full scale. */
async function error(change: (t: Target) => void, x: Float32Array): Promise<number> {
  const [rows, cols, adcBound] = [509, 20, 10];
  const weights = gaussians(rows * cols, 3).map((w) => Math.min(1, Math.max(-1, w / 4)));
  // One column with a single large weight among small ones, and one of nothing.
  for (let r = 0; r < rows; r++) weights[r * cols] = r === 7 ? 1 : 1e-3 * Math.sin(r);
  for (let r = 0; r < rows; r++) weights[r * cols + 1] = 0;
  const target = targetOf(change);
  const count = x.length / rows;
  const tile = { weights, rows, cols, inputRange: 1, adcBound };
  const inputs = new Map([["x", matrix([count, rows], x)]]);
  const found = await onnxRuntime(machineOf(target, tile), inputs, ["w"]);
  const plain = Array.from({ length: count }, (_, i) => {
    const one = { ...tile, weights: Array.from(weights), seed: SEED };
    return plainProduct(target, one, x.subarray(i * rows, (i + 1) * rows), i, true);
  }).flat();
  return apart(found.get("w") ?? [], plain) / (adcBound / 127);
}

const CHOICES: Readonly<Record<string, (t: Target) => void>> = {
  "the bundled target": () => undefined,
  "a range for each vector": (t) => {
    t.tile.dac.range = "abs-max";
  },
  "an S-shaped transfer": (t) => {
    t.analog.sShape = { mean: { value: 0.25, source }, deviation: { value: 0.1, source } };
  },
  "5-bit inputs": (t) => {
    t.tile.dac.bits.value = 5;
  },
  "read noise alone": (t) => {
    t.analog.irDrop.scale.value = 0;
    t.analog.outputNoise.value = 0;
  },
  "IR drop alone": (t) => {
    t.analog.readNoise.value = 0;
    t.analog.outputNoise.value = 0;
  },
};

describe("products of bytes", () => {
  test.each(Object.entries(CHOICES))("are as the formulas say: %s", async (_, change) => {
    const e = await error(change, uniform(4 * 509, 4));
    expect(e).toBeLessThan(0.03);
  });

  test("lose nothing of small inputs", async () => {
    // At most three levels, whose squares are far below what a byte tells apart.
    const x = uniform(8 * 509, 4).map((v) => v * 0.025);
    const e = await error(CHOICES["read noise alone"] as (t: Target) => void, x);
    expect(e).toBeLessThan(0.03);
  });

  const EXACT: Readonly<Record<string, (t: Target) => void>> = {
    "two counters": (t) => {
      t.tile.adc.scheme = "two-counter";
    },
    "9-bit inputs": (t) => {
      t.tile.dac.bits.value = 9;
    },
  };
  test.each(Object.entries(EXACT))("are not for %s", async (_, change) => {
    const e = await error(change, uniform(4 * 509, 4));
    expect(e).toBeLessThan(0.001);
  });
});

describe("experts", () => {
  const [tokens, rows] = [5, 70];
  // Two of the first expert that take the same inputs, and two tiles wide; of others one each.
  const weights = { gate: [24, 0], up: [40, 0], second: [16, 1], third: [8, 2] } as const;

  function machine(): Artifact {
    const target = targetOf();
    const parts = Object.entries(weights).map(([name, [cols]], i) => {
      const values = gaussians(rows * cols, i).map((w) => Math.min(1, Math.max(-1, w / 4)));
      const one = machineOf(target, { weights: values, rows, cols });
      const tensors = [...one.tiles].map(([key, t]) => [`${name}.${key}`, t] as const);
      const named = { name, values: `${name}.v`, scales: `${name}.s` };
      const split = name === "up" ? { colSplits: [0, 20, 40], tiles: [i, 9] } : { tiles: [i] };
      return { weight: { ...one.mapping.weights[0], ...named, ...split }, tensors };
    });
    return {
      target,
      mapping: { weights: parts.map(({ weight }) => weight) },
      tiles: new Map(parts.flatMap(({ tensors }) => tensors)),
    } as unknown as Artifact;
  }

  const x = uniform(tokens * rows, 4);
  // Nobody goes to the third.
  const routing = Float32Array.of(1, 0, 0, 0, 0.5, 0, 0.3, 0.7, 0, 0, 0, 0, 0, -1, 0);
  const inputs = new Map([
    ["x", matrix([tokens, rows], x)],
    ["routing", matrix([tokens, 3], routing)],
  ]);
  const names = Object.keys(weights) as (keyof typeof weights)[];
  const expertOf = (name: string) => weights[name as keyof typeof weights][1];

  test("take their tokens only, without noise", async () => {
    const artifact = machine();
    const found = await onnxRuntime(artifact, inputs, names, expertOf, "ideal");
    for (const name of names) {
      const [cols, expert] = weights[name];
      const w = toF32(artifact.tiles.get(`${name}.v`) as Tensor);
      const expected = Float32Array.from({ length: tokens * cols }, (_, i) => {
        const [t, c] = [Math.floor(i / cols), i % cols];
        if (routing[3 * t + expert] === 0) return 0;
        const vector = x.subarray(t * rows, (t + 1) * rows);
        return vector.reduce((sum, v, r) => sum + v * (w[r * cols + c] ?? 0), 0);
      });
      expect(found.get(name)).toHaveLength(expected.length);
      expect(apart(found.get(name) ?? [], expected)).toBeLessThan(1e-5);
    }
  });

  test("take their tokens only, be there none", async () => {
    const artifact = machine();
    const found = await onnxRuntime(artifact, inputs, names, expertOf);
    const how = { mode: "noisy", seed: SEED, timeSeconds: 0 } as const;
    const memory = programmed(emptyTiles(artifact, 1), artifact, how);
    const crossbars = new Crossbars(artifact, SEED, heldTiles(artifact, memory), 0);
    for (const weight of artifact.mapping.weights) {
      const expert = expertOf(weight.name);
      const all = Array.from({ length: tokens }, (_, t) => t);
      const taken = all.filter((t) => routing[3 * t + expert] !== 0);
      const given = taken.flatMap((t) => [...x.subarray(t * rows, (t + 1) * rows)]);
      const part = { x: Float32Array.from(given), rows: taken, inference: 0 };
      const expected = new Float32Array(tokens * weight.cols);
      const results = taken.length > 0 ? crossbars.run(weight, part) : new Float32Array(0);
      for (const [i, t] of taken.entries()) {
        expected.set(results.subarray(i * weight.cols, (i + 1) * weight.cols), t * weight.cols);
      }
      expect(found.get(weight.name)).toHaveLength(expected.length);
      expect(apart(found.get(weight.name) ?? [], expected)).toBeLessThan(0.002);
    }
  });
});
