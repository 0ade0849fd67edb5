import { expect, test } from "vitest";
import { MAIN_BASE } from "../../../src/artifact/programs.ts";
import type { Schedule, Select } from "../../../src/artifact/schedule.ts";
import { sizeOf, type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { type Parts, smallParts } from "../../sim/small-artifact.ts";
import { run, withPrograms } from "./on-clusters.ts";

/** A step that reads a graph input, which lies in main memory, and constants; in blocks of 5, 5 and 3 tokens. */
interface Case {
  readonly kernel: string;
  readonly attrs?: Record<string, unknown>;
  /** The axis before the last has the tokens. */
  readonly input: readonly number[];
  readonly output: readonly number[];
  /** Shapes of constants: the operands behind the input, or what attributes name. */
  readonly constants: Readonly<Record<string, readonly number[]>>;
  readonly reads?: readonly (string | null)[];
}

const TOKENS = 13;
const DOMAIN = { batch: 1, tokens: TOKENS, block: 5 };
const BLOCKS = 3;
const SAME = { batch: "same", token: { mul: 1, add: 0, div: 1 } } as const;

const floats = (shape: readonly number[], seed: number): Tensor =>
  tensor(
    "f32",
    [...shape],
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(seed * (i + 1))),
  );

const byTokens = (shape: readonly number[]): Select[] =>
  shape.map((_, i): Select => (i === shape.length - 2 ? "token" : "all"));

function scheduleOf({ kernel, attrs = {}, input, output, constants, reads }: Case): Schedule {
  const buffer = (id: string, writer: string, shape: readonly number[]) => ({
    ...{ id, writer, elem: "f32" as const, shape: [...shape], select: byTokens(shape) },
    ...{ domain: DOMAIN, capacity: BLOCKS, cluster: 0, nodes: [] },
  });
  const credit = (id: string, reader: string) => [
    { buffer: id, reader, distance: BLOCKS, release: SAME },
  ];
  const constant = (name: string) => ({
    constant: name,
    select: (constants[name] ?? []).map((): Select => "all"),
  });
  return {
    version: 1,
    inputs: [{ name: "x", buffer: "x", credits: credit("x", "s") }],
    outputs: [{ name: "out", buffer: "y" }],
    buffers: [buffer("x", "host", input), buffer("y", "s", output)],
    steps: [
      {
        ...{ id: "s", kernel, attrs: attrs as Schedule["steps"][number]["attrs"], cluster: 0 },
        ...{ domain: DOMAIN, module: "", nodes: ["/n"], signals: ["y"] },
        cost: { digitalNs: 1, tileNs: 0, energyNj: 0 },
        reads: [
          { buffer: "x", select: byTokens(input) },
          ...(reads ?? Object.keys(constants)).map((name) => (name ? constant(name) : null)),
        ],
        writes: [{ buffer: "y", select: byTokens(output) }],
        waits: [{ buffer: "x", step: "host", newest: SAME }],
        credits: credit("y", "host"),
      },
    ],
    clusters: [{ cluster: 0, steps: ["s"] }],
  };
}

function partsOf(given: Case): Parts {
  const parts = smallParts();
  const { input } = given;
  const port = { name: "x", elem: "f32", shape: input, dims: input.map(() => null) };
  const model = { ...(parts.manifest["model"] as object), inputs: [port], outputs: [] };
  const constants = Object.entries(given.constants);
  return {
    manifest: { ...parts.manifest, model },
    mapping: { version: 1, weights: [], digital: [], lora: [] },
    schedule: scheduleOf(given),
    tiles: new Map(),
    constants: new Map(constants.map(([name, shape], i) => [name, floats(shape, 2 + i)])),
  };
}

const WIDE = [1, TOKENS, 1200];
const NARROW = [1, TOKENS, 64];
const CASES: readonly Case[] = [
  { kernel: "Relu", input: WIDE, output: WIDE, constants: {} },
  { kernel: "Mul", input: WIDE, output: WIDE, constants: { a: [1200] } },
  {
    kernel: "nn.rms_norm",
    attrs: { epsilon: 1e-5 },
    input: WIDE,
    output: WIDE,
    constants: { a: [1200] },
  },
  { kernel: "Softmax", attrs: { axis: -1 }, input: WIDE, output: WIDE, constants: {} },
  { kernel: "aimc.sum", input: [7, TOKENS, 200], output: [TOKENS, 200], constants: {} },
  { kernel: "MatMul", input: WIDE, output: [1, TOKENS, 3], constants: { w: [1200, 3] } },
  { kernel: "MatMul", input: NARROW, output: [1, TOKENS, 200], constants: { w: [64, 200] } },
  {
    kernel: "nn.linear",
    attrs: { weight: { weight: "w" } },
    input: NARROW,
    output: [1, TOKENS, 200],
    constants: { w: [64, 200], b: [200] },
    reads: ["b"],
  },
  {
    kernel: "nn.linear",
    attrs: { weight: { weight: "w" }, transposed: true },
    input: NARROW,
    output: [1, TOKENS, 200],
    constants: { w: [200, 64] },
    reads: [],
  },
];

test.each(CASES)("$kernel of $input with $constants goes through a small TCDM", async (given) => {
  const inputs = [1, 2].map((k) => new Map([["x", floats(given.input, k)]]));
  const small = withPrograms(partsOf(given), 36 * 1024);
  const { steps, outputs } = await run(small, inputs);
  expect(steps.map((s) => s.check?.blocks)).toEqual([2 * BLOCKS]);
  expect(steps[0]?.check?.worst).toBeLessThan(1e-5);
  // Nothing that the kernel touches lies in main memory, and the pieces give what the whole gives.
  const [cluster] = small.made.programs.clusters;
  const areas = cluster?.areas ?? [];
  expect(areas.length).toBeGreaterThan(3);
  expect(areas.every((a) => a.address < MAIN_BASE)).toBe(true);
  const whole = await run(withPrograms(partsOf(given), 2 ** 20), inputs);
  for (const [i, values] of outputs.entries()) {
    const [a, b] = [values.get("out"), whole.outputs[i]?.get("out")];
    expect(a?.data.length).toBe(b?.data.length);
    for (const [j, v] of [...(a?.data ?? [])].entries()) {
      expect(Number(v)).toBeCloseTo(Number(b?.data[j]), 5);
    }
  }
});
