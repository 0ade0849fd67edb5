/** Integers of a file that is quantised by blocks: put together again from the artifact, they are the file's. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { MappedWeight } from "../../src/artifact/mapping.ts";
import { verifyWith } from "../../src/cli/commands/verify.ts";
import { describeWeight } from "../../src/cli/inspect/weight.ts";
import { differenceOf } from "../../src/compare/difference.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { simulate } from "../../src/sim/simulate.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { compile } from "../e2e/corpus.ts";
import { folder, ramp } from "../onnx/small-model.ts";
import { type Example, fileOf } from "./on-ort.ts";

/** More inputs than a tile of the target has rows, so that blocks of rows are cut. */
const [K, N, BLOCK] = [640, 24, 32];
const BLOCKS = K / BLOCK;

const bytes = (shape: readonly number[]): Tensor => {
  const length = shape.reduce((a, b) => a * b, 1);
  return { elem: "ui8", shape, data: Uint8Array.from({ length }, (_, i) => (i * 37 + 11) % 251) };
};

/** Scales that no short number stands for. */
const scales: Tensor = {
  elem: "f32",
  shape: [N, BLOCKS],
  data: Float32Array.from({ length: N * BLOCKS }, (_, i) => 0.01 + 0.003 * Math.sin(i)),
};

const example = (bits: number): Example => ({
  op: "com.microsoft.MatMulNBits",
  inputs: [ramp([3, K]), bytes([N, BLOCKS, (BLOCK * bits) / 8]), scales],
  attrs: { K, N, bits, block_size: BLOCK },
  constants: [1, 2],
});

/** The k-th code of output n, straight from ONNX Runtime's description of the format. */
function codeOf(packed: Tensor, bits: number, n: number, k: number): number {
  const at = (n * K + k) * bits;
  return (Number(packed.data[Math.floor(at / 8)]) >> (at % 8)) & (2 ** bits - 1);
}

async function compiled(given: Example) {
  const dir = join(folder(), "artifact");
  await compile(fileOf(given), dir, undefined, {
    policy: loadPolicy("all-analog"),
    lora: { kind: "none" },
  });
  const artifact = loadArtifact(dir);
  const [weight, ...more] = artifact.mapping.weights;
  if (!weight) throw new Error("nothing is mapped");
  expect(more).toEqual([]);
  return { artifact, weight };
}

/** [k, n] of the elements that lie on tiles, in the order of the artifact. */
function* places({ rowSplits, colSplits }: MappedWeight): Iterable<readonly [number, number]> {
  for (const [r, top] of rowSplits.slice(0, -1).entries()) {
    for (const [c, left] of colSplits.slice(0, -1).entries()) {
      for (let k = top; k < (rowSplits[r + 1] ?? 0); k++) {
        for (let n = left; n < (colSplits[c + 1] ?? 0); n++) yield [k, n];
      }
    }
  }
}

test.each([2, 4, 8])("%i bits come back from the tiles", async (bits) => {
  const given = example(bits);
  const { artifact, weight } = await compiled(given);
  expect(weight.rowSplits.length).toBeGreaterThan(2);
  expect(weight.quantised?.block).toBe(BLOCK);
  const packed = given.inputs[1] as Tensor;
  const expected = Array.from(places(weight), ([k, n]) => codeOf(packed, bits, n, k));
  expect(toNumbers(artifact.tiles.get(weight.values) as Tensor)).toEqual(expected);
  const kept = artifact.tiles.get(weight.quantised?.scales ?? "") as Tensor;
  const turned = Array.from({ length: BLOCKS * N }, (_, i) => {
    const [b, n] = [Math.floor(i / N), i % N];
    return scales.data[n * BLOCKS + b];
  });
  expect(toNumbers(kept)).toEqual(turned);
  const shown = describeWeight(artifact, weight.name);
  expect(shown).toContain(`one f32 scale for each ${BLOCK} inputs`);
  expect(shown).toContain(bits === 8 ? " ui8," : " ui4,");
  expect(weight).toMatchObject({ initializer: "x1.codes", elem: bits === 8 ? "ui8" : "ui4" });
});

test.each(["ideal", "quantized"] as const)("tiles of integers compute in %s mode", async (mode) => {
  const { artifact } = await compiled(example(4));
  const options = { mode, seed: 0, seeds: 1, time: [0] } as const;
  const { runs } = await verifyWith(artifact, options, () => undefined);
  const [output] = runs[0]?.outputs ?? [];
  // Eight bits at the converters; the sums here are of hundreds of products of both signs.
  expect(output?.difference.relative).toBeLessThan(mode === "ideal" ? 1e-4 : 0.2);
});

/** The real matrix [K, N] that the codes stand for, straight from ONNX Runtime's description of the format. */
function realMatrix(given: Example, bits: number): Tensor {
  const packed = given.inputs[1] as Tensor;
  const data = new Float32Array(K * N);
  for (let k = 0; k < K; k++) {
    for (let n = 0; n < N; n++) {
      const scale = scales.data[n * BLOCKS + Math.floor(k / BLOCK)] as number;
      data[k * N + n] = (codeOf(packed, bits, n, k) - 2 ** (bits - 1)) * scale;
    }
  }
  return { elem: "f32", shape: [K, N], data };
}

test.each(["quantized", "noisy"] as const)(
  "integers in blocks are programmed as the real weights that they stand for: %s",
  async (mode) => {
    const given = example(4);
    const inputs = [given.inputs[0] as Tensor, realMatrix(given, 4)];
    const [x] = inputs;
    const answers: Tensor[] = [];
    for (const model of [given, { op: "MatMul", inputs, constants: [1] }]) {
      const { artifact } = await compiled(model);
      const feeds = [new Map([["x0", x as Tensor]])];
      const chip = { mode, seed: 3, timeSeconds: 3600 };
      const { outputs } = await simulate(artifact, { inputs: feeds, ...chip });
      answers.push(outputs[0]?.get("y0") as Tensor);
    }
    const [coded, real] = answers as [Tensor, Tensor];
    // Noise is drawn by place, so that equal weights are equally noisy; a converter may turn at a tie.
    expect(differenceOf(coded, real).relative).toBeLessThan(0.01);
    expect(differenceOf(coded, real).cosine).toBeGreaterThan(0.99999);
  },
);

const one = (elem: "f32" | "ui8" | "i8", value: number): Tensor => ({
  elem,
  shape: [],
  data: { f32: Float32Array, ui8: Uint8Array, i8: Int8Array }[elem].of(value),
});

test("a quantiser's scale and zero point become the range of the DACs", async () => {
  const { artifact, weight } = await compiled({
    op: "QLinearMatMul",
    inputs: [
      bytes([3, 16]),
      ...[one("f32", 0.25), one("ui8", 77)],
      { ...bytes([16, 24]), elem: "i8", data: Int8Array.from(bytes([16, 24]).data as Uint8Array) },
      ...[one("f32", 0.5), one("i8", 0)],
      ...[one("f32", 40), one("ui8", 128)],
    ],
    constants: [1, 2, 3, 4, 5, 6, 7],
    elems: ["ui8"],
    opset: 21,
  });
  // 255 is further from 77 than 0: the tile's inputs are integers less 77, each of them worth 0.25.
  expect(weight).toMatchObject({ inputRange: [178], inputScale: 0.25, elem: "i8" });
  const ir = join(artifact.directory, "ir");
  const dumps = readdirSync(ir).filter((name) => name.endsWith(".mlir"));
  const texts = dumps.map((name) => readFileSync(join(ir, name), "utf8"));
  expect(texts.some((t) => /aimc\.mvm.*input_range = \[178/.test(t))).toBe(true);
});
