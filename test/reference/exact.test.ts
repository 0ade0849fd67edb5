/** The judge computes what a model defines, not what it permits. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { runOriginal } from "../../src/compare/original-run.ts";
import { onnx } from "../../src/onnx/proto.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { openExactly, runExactly } from "../../src/reference/exact.ts";
import { runModel } from "../../src/reference/run.ts";
import { tapModel } from "../../src/reference/tap.ts";
import type { Artifact } from "../../src/sim/load.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { encode, folder, node, port } from "../onnx/small-model.ts";

const [ROWS, COLUMNS, BLOCK] = [8, 64, 32];
const code = (i: number): number => (i * 7 + (i >> 3)) % 16;
const scale = (block: number): number => 0.02 + (block % 5) / 100;
const ATTRS = { K: COLUMNS, N: ROWS, bits: 4, block_size: BLOCK };
const x = fromNumbers(
  "f32",
  [3, COLUMNS],
  Array.from({ length: 3 * COLUMNS }, (_, i) => Math.sin(i * i) * (1 + (i % 7))),
);

/** Codes [N, blocks, bytes] with two of four bits in a byte, the zero point 8, a scale for each block. */
const weights = [
  toProto("codes", {
    elem: "ui8",
    shape: [ROWS, COLUMNS / BLOCK, BLOCK / 2],
    data: Uint8Array.from(
      { length: (ROWS * COLUMNS) / 2 },
      (_, i) => code(2 * i) + 16 * code(2 * i + 1),
    ),
  }),
  toProto(
    "scales",
    fromNumbers(
      "f32",
      [(ROWS * COLUMNS) / BLOCK],
      Array.from({ length: (ROWS * COLUMNS) / BLOCK }, (_, i) => scale(i)),
    ),
  ),
];

const product = (level: number) => ({
  ...node("MatMulNBits", ["x", "codes", "scales"], ["y"], { ...ATTRS, accuracy_level: level }),
  domain: "com.microsoft",
});

/** A model whose product may round its input to 8 bits. */
function permissive(): string {
  const path = join(folder(), "model.onnx");
  const graph = {
    input: [port("x", [3, COLUMNS])],
    output: [port("y", [3, ROWS])],
    node: [product(4)],
    initializer: weights,
  };
  const model = onnx.ModelProto.decode(encode(graph, 17));
  model.opsetImport = [...model.opsetImport, { domain: "com.microsoft", version: 1 }];
  writeFileSync(path, onnx.ModelProto.encode(model).finish());
  return path;
}

const expected = (): Tensor => {
  const given = toNumbers(x);
  const at = (r: number, n: number): number => {
    let sum = 0;
    for (let k = 0; k < COLUMNS; k++) {
      const i = n * COLUMNS + k;
      sum += (given[r * COLUMNS + k] ?? 0) * (code(i) - 8) * scale(Math.floor(i / BLOCK));
    }
    return sum;
  };
  const data = Array.from({ length: 3 * ROWS }, (_, i) => at(Math.floor(i / ROWS), i % ROWS));
  return fromNumbers("f32", [3, ROWS], data);
};

const feeds = new Map([["x", x]]);

test("a product that may round its input does not", async () => {
  const path = permissive();
  const whole = await runExactly(path, feeds);
  expect(differenceOf(whole.get("y"), expected()).relative).toBeLessThan(1e-5);
  const tap = await tapModel(path, ["y"]);
  expect(differenceOf((await tap.run(feeds)).get("y"), expected()).relative).toBeLessThan(1e-5);
  await tap.close();
});

test("nor inside of a branch", async () => {
  const path = join(folder(), "model.onnx");
  const branch = { name: "branch", node: [product(4)], output: [port("y", [3, ROWS])] };
  const graph = {
    input: [port("x", [3, COLUMNS]), port("c", [], "i1")],
    output: [port("z", [3, ROWS])],
    initializer: weights,
    node: [
      {
        ...node("If", ["c"], ["z"]),
        attribute: ["then_branch", "else_branch"].map((name) => ({ name, type: 5, g: branch })),
      },
    ],
  };
  const model = onnx.ModelProto.decode(encode(graph, 17));
  model.opsetImport = [...model.opsetImport, { domain: "com.microsoft", version: 1 }];
  writeFileSync(path, onnx.ModelProto.encode(model).finish());
  const session = await openExactly(path);
  const out = await session.run(new Map([...feeds, ["c", fromNumbers("i1", [], [1])]]));
  await session.close();
  expect(differenceOf(out.get("z"), expected()).relative).toBeLessThan(1e-5);
});

test("outputs that were recorded with that rounding are known by it", async () => {
  const model = permissive();
  const output = { name: "y", elem: "f32", shape: [3, ROWS] };
  const artifact = {
    manifest: { model: { outputs: [output] } },
    schedule: { buffers: [], steps: [] },
  } as unknown as Artifact;
  const request = { artifact, model, inferences: [feeds], tell: () => undefined };
  const rounded = await runModel(model, feeds);
  const own = differenceOf(rounded.get("y"), expected()).relative;
  const run = await runOriginal({ ...request, recorded: rounded });
  // Not every processor rounds.
  if (own > 1e-3) expect(run.rounding.get("y")).toBeCloseTo(own, 5);
  else expect(run.rounding.size).toBe(0);
  // Anything else that is off is not excused.
  const wrong = fromNumbers(
    "f32",
    [3, ROWS],
    toNumbers(expected()).map((v) => v * -1),
  );
  const far = await runOriginal({ ...request, recorded: new Map([["y", wrong]]) });
  expect(far.rounding.get("y") ?? 0).toBeLessThan(0.1);
});
