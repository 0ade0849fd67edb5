/** What goes to matrix engines, with which weights, and what it then means on ONNX Runtime. */

import { expect, test } from "vitest";
import { matrixEngine } from "../../passes/matrix-engine.ts";
import { isWeightRef, type Module, type Op } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { ModelStore } from "../../src/weights/model-store.ts";
import { f32, moduleOf, op, random, surroundings } from "./fixtures.ts";

const [TOKENS, INPUTS, OUTPUTS] = [4, 6, 10];
const x = { id: "x", type: f32(TOKENS, INPUTS) };

async function moved(module: Module, store: ModelStore) {
  const { context, remarks } = surroundings({ store, options: { matrixEngine: true } });
  const after = await matrixEngine.run(module, context);
  expect([...verify(after)].map((f) => f.text)).toEqual([]);
  return { after, remarks };
}

const linear = (store: ModelStore, weight: Tensor, more: Op["attrs"] = {}): Op => {
  const y = { id: "y", type: f32(TOKENS, OUTPUTS) };
  const attrs = { transposed: false, role: "other", place: "digital", ...more };
  return op("nn.linear", [x], y, { ...attrs, weight: store.add("w", weight) });
};

const halves = (t: Tensor): number[] => toNumbers(fromNumbers("f16", t.shape, toNumbers(t)));

test.each([
  ["as it is", [INPUTS, OUTPUTS], {}, (i: number) => i],
  [
    "with outputs first",
    [OUTPUTS, INPUTS],
    { transposed: true },
    (i: number) => (i % OUTPUTS) * INPUTS + Math.floor(i / OUTPUTS),
  ],
  ["one of a stack", [3, INPUTS, OUTPUTS], { slice: 2 }, (i: number) => 120 + i],
  [
    "one of a stack with outputs first",
    [2, OUTPUTS, INPUTS],
    { slice: 1, transposed: true },
    (i: number) => 60 + (i % OUTPUTS) * INPUTS + Math.floor(i / OUTPUTS),
  ],
] as const)("a weight %s becomes halves, [in, out]", async (_, shape, attrs, place) => {
  const store = new ModelStore();
  const weight = random(shape);
  const module = moduleOf([x], [linear(store, weight, attrs)]);
  const { after } = await moved(module, store);
  const [made] = after.ops;
  const found = made?.attrs["weight"];
  if (!isWeightRef(found)) throw new Error("a linear without a weight");
  expect(made?.attrs["engine"]).toBe("redmule");
  expect(found.type).toEqual({ elem: "f16", shape: [INPUTS, OUTPUTS] });
  const numbers = halves(weight);
  const wanted = Array.from({ length: INPUTS * OUTPUTS }, (_, i) => numbers[place(i)]);
  expect(toNumbers(store.load(found))).toEqual(wanted);
  const feeds = new Map([["x", random([TOKENS, INPUTS], 5)]]);
  const [before, later] = await Promise.all(
    [module, after].map(async (m) => (await runModel(exportModule(m, store), feeds)).get("out")),
  );
  const off = toNumbers(later as Tensor).map((v, i) =>
    Math.abs(v - (toNumbers(before as Tensor)[i] ?? Number.NaN)),
  );
  expect(Math.max(...off)).toBeGreaterThan(0);
  expect(Math.max(...off)).toBeLessThan(5e-3);
});

test("linears that share a weight share its halves", async () => {
  const store = new ModelStore();
  const one = linear(store, random([INPUTS, OUTPUTS]));
  const other = { ...one, results: [{ id: "z", type: f32(TOKENS, OUTPUTS) }] };
  const { after } = await moved(moduleOf([x], [one, other]), store);
  expect(after.ops[0]?.attrs["weight"]).toBe(after.ops[1]?.attrs["weight"]);
});

test("tiles, routed rows and integers stay where they are, and the digital ones are told", async () => {
  const store = new ModelStore();
  const routing = { id: "r", type: f32(TOKENS, 2) };
  const integers = tensor("i8", [INPUTS, OUTPUTS], new Int8Array(INPUTS * OUTPUTS));
  const analog = linear(store, random([INPUTS, OUTPUTS]), { place: "analog" });
  const routed = linear(store, random([INPUTS, OUTPUTS]), { expert: 1 });
  const ops = [
    analog,
    {
      ...routed,
      operands: [x, null, routing],
      results: [{ id: "y1", type: f32(TOKENS, OUTPUTS) }],
    },
    {
      ...linear(store, integers),
      results: [{ id: "y2", type: f32(TOKENS, OUTPUTS) }],
    },
  ];
  const { after, remarks } = await moved(moduleOf([x, routing], ops), store);
  expect(after.ops).toEqual(ops);
  expect(remarks.length).toBe(2);
});

test("without the option, or without an engine, nothing moves", async () => {
  const store = new ModelStore();
  const module = moduleOf([x], [linear(store, random([INPUTS, OUTPUTS]))]);
  const { context } = surroundings({ store });
  expect(await matrixEngine.run(module, context)).toBe(module);
  const { matrixEngine: _, ...cluster } = context.target.cluster;
  const without = surroundings({
    store,
    target: { ...context.target, cluster },
    options: { matrixEngine: true },
  });
  expect(await matrixEngine.run(module, without.context)).toBe(module);
});
