/** An artifact made by hand: a 4 x 4 linear on 2 x 2 tiles, its sum, a softmax, causal attention, an addition. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Mapping } from "../../src/artifact/mapping.ts";
import type { Schedule } from "../../src/artifact/schedule.ts";
import { loadTarget } from "../../src/target/load.ts";
import type { Target } from "../../src/target/schema.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { writeSafetensors } from "../../src/weights/safetensors.ts";

const BATCH = 2;
const TOKENS = 5;
const WIDTH = 4;

/** 16 different weights of both signs, one column of zeros in a block. */
export const WEIGHT = Float32Array.from({ length: 16 }, (_, i) =>
  i === 8 || i === 12 ? 0 : Math.sin(3 * i + 1),
);

export interface Parts {
  manifest: Record<string, unknown> & { version: number; target: Target };
  mapping: Mapping;
  schedule: Schedule;
  tiles: Map<string, Tensor>;
  constants: Map<string, Tensor>;
}

type Step = Schedule["steps"][number];
type Select = Step["writes"][number]["select"][number];

const SAME = { batch: "same", token: { mul: 1, add: 0, div: 1 } } as const;
const LAST = { batch: "same", token: "last" } as const;

export function smallParts(block = 2, target: Target = smallTarget()): Parts {
  const blocks = [0, 1, 2, 3].map((i) => {
    const [r, c] = [2 * (i >> 1), 2 * (i & 1)];
    const at = (row: number, col: number) => WEIGHT[(r + row) * WIDTH + c + col] as number;
    const scales = [0, 1].map((j) => Math.max(2 ** -126, Math.abs(at(0, j)), Math.abs(at(1, j))));
    return { values: [at(0, 0), at(0, 1), at(1, 0), at(1, 1)], scales };
  });
  const all = (what: "values" | "scales") => Float32Array.from(blocks.flatMap((b) => b[what]));
  const tiles = new Map<string, Tensor>([
    ["w", tensor("f32", [WIDTH * WIDTH], all("values"))],
    ["w/scale", tensor("f32", [2, WIDTH], all("scales"))],
  ]);
  const grid = { rowSplits: [0, 2, 4], colSplits: [0, 2, 4], tiles: [0], values: "w" };
  const converters = { inputRange: [1], adcBound: [10], scales: "w/scale" };
  const names = { name: "w", initializer: "w", module: "net.w", kind: "other", why: "a test" };
  const size = { transposed: false, rows: WIDTH, cols: WIDTH, elem: "f32" as const };
  return {
    manifest: manifestOf(target),
    mapping: {
      version: 1,
      weights: [{ ...names, ...size, nodes: ["/w/MatMul"], ...grid, ...converters }],
      digital: [],
      lora: [],
    },
    schedule: scheduleOf(block),
    tiles,
    constants: new Map(),
  };
}

function smallTarget(): Target {
  const target = structuredClone(loadTarget("ahwa-lora"));
  target.tile.rows.value = 2;
  target.tile.cols.value = 2;
  return target;
}

const PORT = {
  elem: "f32" as const,
  shape: [BATCH, 1, TOKENS, WIDTH],
  dims: [null, null, null, null],
};

const manifestOf = (target: Target) => ({
  format: "aimcc-artifact",
  version: 1,
  compiler: "0.0.0",
  model: {
    path: "small.onnx",
    sha256: "",
    producer: "",
    opset: 23,
    parameters: 16,
    inputs: [{ name: "x", ...PORT }],
    outputs: [{ name: "out", ...PORT }],
    dims: {},
  },
  target,
  options: {},
  remarks: [],
});

function scheduleOf(block: number): Schedule {
  const domain = { batch: BATCH, tokens: TOKENS, block };
  const n = Math.ceil(TOKENS / block);
  const value: Select[] = ["batch", "all", "token", "all"];
  const upTo: Select[] = ["batch", "all", { upto: 0 }, "all"];
  const step = (
    id: string,
    kernel: string,
    cluster: number,
    reads: readonly [string, string, Select[]?][],
    writes: readonly [string, Select[]?],
    credits: Step["credits"],
    more: Partial<Step> = {},
  ): Step => ({
    id,
    kernel,
    attrs: {},
    cluster,
    domain,
    reads: reads.map(([buffer, , select = value]) => ({ buffer, select })),
    writes: [{ buffer: writes[0], select: writes[1] ?? value }],
    waits: reads.map(([buffer, writer]) => ({ buffer, step: writer, newest: SAME })),
    credits,
    signals: [writes[0]],
    module: `net.${id}`,
    nodes: [`/${id}/${kernel}`],
    cost: { digitalNs: 30, tileNs: kernel === "mvm" ? 100 : 0, energyNj: 1 },
    ...more,
  });
  const credit = (
    buffer: string,
    reader: string,
    distance: number,
    release: typeof SAME | typeof LAST = SAME,
  ) => ({
    buffer,
    reader,
    distance,
    release,
  });
  const partial: Select[] = ["all", ...value];
  const steps = [
    step("mul", "mvm", 0, [["x", "host"]], ["p", partial], [credit("p", "sum", 2)], {
      weight: "w",
      tiles: [0],
      nodes: ["/w/MatMul"],
    }),
    step("sum", "aimc.sum", 0, [["p", "mul", partial]], ["h"], [credit("h", "soft", 2)]),
    step("soft", "Softmax", 1, [["h", "sum"]], ["a"], [credit("a", "attend", n + 1, LAST)], {
      attrs: { axis: -1 },
    }),
    step(
      "attend",
      "nn.attention",
      2,
      [
        ["a", "soft"],
        ["a", "soft", upTo],
        ["a", "soft", upTo],
      ],
      ["y"],
      [credit("y", "add", 2)],
      { attrs: { scale: 0.5, causal: true } },
    ),
    step(
      "add",
      "Add",
      1,
      [
        ["y", "attend"],
        ["x", "host"],
      ],
      ["out"],
      [credit("out", "host", 2)],
    ),
  ];
  const shape = [BATCH, 1, TOKENS, WIDTH];
  const buffer = (id: string, writer: string, capacity: number, cluster: number) => ({
    id,
    elem: "f32" as const,
    shape: id === "p" ? [2, ...shape] : shape,
    writer,
    domain,
    select: id === "p" ? partial : value,
    capacity,
    cluster,
    tensor: `t_${id}`,
    nodes: [],
  });
  return {
    version: 1,
    inputs: [
      { name: "x", buffer: "x", credits: ["mul", "add"].map((r) => credit("x", r, BATCH * n)) },
    ],
    outputs: [{ name: "out", buffer: "out" }],
    buffers: [
      buffer("x", "host", BATCH * n, 0),
      buffer("p", "mul", 2, 0),
      buffer("h", "sum", 2, 1),
      buffer("a", "soft", n + 1, 2),
      buffer("y", "attend", 2, 1),
      buffer("out", "add", 2, 1),
    ],
    steps,
    clusters: [
      { cluster: 0, steps: ["mul", "sum"] },
      { cluster: 1, steps: ["soft", "add"] },
      { cluster: 2, steps: ["attend"] },
    ],
  };
}

const root = mkdtempSync(join(tmpdir(), "aimcc-sim-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Writes the parts as a directory, which lives as long as the tests of the file, and gives its path. */
export function writeParts(parts: Parts): string {
  const directory = mkdtempSync(join(root, "artifact-"));
  for (const file of ["manifest", "mapping", "schedule"] as const) {
    writeFileSync(join(directory, `${file}.json`), JSON.stringify(parts[file]));
  }
  writeTensors(join(directory, "tiles.safetensors"), parts.tiles);
  writeTensors(join(directory, "digital.safetensors"), parts.constants);
  return directory;
}

function writeTensors(path: string, tensors: ReadonlyMap<string, Tensor>): void {
  const specs = [...tensors].map(([name, { elem, shape }]) => ({ name, elem, shape }));
  writeSafetensors(path, specs, ({ name }) => tensors.get(name) as Tensor);
}

/** Inputs in (-1, 1), different for each number. */
export const smallInput = (number: number): Tensor =>
  tensor(
    "f32",
    [BATCH, 1, TOKENS, WIDTH],
    Float32Array.from({ length: BATCH * TOKENS * WIDTH }, (_, i) => Math.sin(7 * i + 5 * number)),
  );

/** What the network computes, in double precision from its definition. */
export function smallAnswer(x: Tensor): number[] {
  const out: number[] = [];
  for (let b = 0; b < BATCH; b++) {
    const rows = Array.from({ length: TOKENS }, (_, t) => rowOf(x, b, t));
    const soft = rows.map((row) => softmax(linear(row)));
    for (const [t, q] of soft.entries()) {
      const past = soft.slice(0, t + 1);
      const weights = softmax(past.map((k) => 0.5 * q.reduce((s, v, i) => s + v * (k[i] ?? 0), 0)));
      for (let j = 0; j < WIDTH; j++) {
        const mixed = past.reduce((s, v, i) => s + (weights[i] ?? 0) * (v[j] ?? 0), 0);
        out.push(mixed + (rows[t]?.[j] ?? 0));
      }
    }
  }
  return out;
}

const rowOf = (x: Tensor, b: number, t: number): number[] =>
  Array.from({ length: WIDTH }, (_, j) => Number(x.data[(b * TOKENS + t) * WIDTH + j]));

const linear = (row: readonly number[]): number[] =>
  row.map((_, j) => row.reduce((s, v, i) => s + v * (WEIGHT[i * WIDTH + j] ?? 0), 0));

function softmax(row: readonly number[]): number[] {
  const e = row.map((v) => Math.exp(v - Math.max(...row)));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}
