/** Grids by brute force, and the meaning of grids by ONNX Runtime. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nearEqualSplits, partition } from "../../passes/partition.ts";
import type { Attrs, Module, Value } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { f32, linears, moduleOf, op, random, resized, surroundings } from "./fixtures.ts";
import { MOBILEBERT } from "./mobilebert.ts";

test("splits cover every index once, in the fewest and most even parts", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4000 }), fc.integer({ min: 1, max: 600 }), (n, limit) => {
      const splits = nearEqualSplits(n, limit);
      const sizes = splits.slice(1).map((s, i) => s - (splits[i] ?? 0));
      expect(splits[0]).toBe(0);
      expect(splits.at(-1)).toBe(n);
      expect(sizes.length).toBe(Math.ceil(n / limit));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(limit);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
  );
});

test("2016 x 224 on HERMES is 8 blocks of 252 x 224 (arXiv 2212.02872)", () => {
  const splits = nearEqualSplits(2016, 256);
  expect(splits.slice(1).map((s, i) => s - (splits[i] ?? 0))).toEqual(new Array(8).fill(252));
  expect(nearEqualSplits(224, 256)).toEqual([0, 224]);
});

const analog = (module: Module): Module => ({
  ...module,
  ops: module.ops.map((o) =>
    o.kind === "nn.linear" ? { ...o, attrs: { ...o.attrs, place: "analog", why: "a test" } } : o,
  ),
});

test("MobileBERT is 362 linears of 20,251,648 weights on as many tiles of 512 x 512", async () => {
  const after = await partition.run(analog(linears(MOBILEBERT)), surroundings().context);
  const blocks = after.ops.flatMap((o) => {
    const rows = o.attrs["row_splits"] as readonly number[];
    const cols = o.attrs["col_splits"] as readonly number[];
    return rows
      .slice(1)
      .flatMap((r, i) => cols.slice(1).map((c, j) => (r - (rows[i] ?? 0)) * (c - (cols[j] ?? 0))));
  });
  expect(after.ops.map((o) => o.kind)).toEqual(new Array(362).fill("aimc.mvm"));
  expect(blocks.length).toBe(362);
  expect(blocks.reduce((a, b) => a + b)).toBe(20_251_648);
});

/** The answers of both levels of one module on the same inputs. */
async function answers(
  module: Module,
  rows: number,
  cols: number,
  feeds: Map<string, Tensor>,
  store = surroundings().store,
) {
  const { context } = surroundings({ target: resized(rows, cols, "as-needed"), store });
  const before = analog(module);
  const after = await partition.run(before, context);
  expect([...verify(before)], "before").toEqual([]);
  expect(
    [...verify(after)].map((f) => f.text),
    "after",
  ).toEqual([]);
  const run = async (m: Module) => (await runModel(exportModule(m, store), feeds)).get("out");
  return { after, expected: await run(before), actual: await run(after) };
}

function close(actual: Tensor | undefined, expected: Tensor | undefined): void {
  expect(actual?.shape).toEqual(expected?.shape);
  const [a, e] = [actual, expected].map((t) => (t ? toNumbers(t) : []));
  const scale = Math.max(...(e ?? []).map(Math.abs));
  expect(scale).toBeGreaterThan(0.1);
  for (const [i, v] of (a ?? []).entries())
    expect(Math.abs(v - (e?.[i] ?? NaN))).toBeLessThan(1e-5 * scale);
}

describe("a grid means the linear that it was cut from", () => {
  const cases: readonly [string, number[], number[], Attrs, boolean][] = [
    ["one tile", [3, 20], [20, 24], { transposed: false }, false],
    ["several blocks, bias, [out, in]", [2, 3, 20], [24, 20], { transposed: true }, true],
    ["a vector", [20], [20, 24], { transposed: false }, true],
    ["a slice of a stack", [5, 20], [3, 20, 24], { transposed: false, slice: 2 }, false],
    ["a transposed slice", [1, 5, 20], [3, 24, 20], { transposed: true, slice: 1 }, true],
  ];
  test.each(cases)("%s", async (name, xShape, wShape, attrs, hasBias) => {
    const { store } = surroundings();
    const x: Value = { id: "x", type: f32(...xShape) };
    const bias: Value = { id: "bias", type: f32(24) };
    const y: Value = { id: "y", type: f32(...xShape.slice(0, -1), 24), tensor: "y" };
    const weight = store.add("w", random(wShape, 3));
    const module = moduleOf(hasBias ? [x, bias] : [x], [
      op("nn.linear", hasBias ? [x, bias] : [x], y, { weight, role: "other", ...attrs }),
    ]);
    const feeds = new Map([["x", random(xShape, 5)]]);
    if (hasBias) feeds.set("bias", random([24], 6));
    const limit = name === "one tile" ? 64 : 7;
    const { after, actual, expected } = await answers(module, limit, limit, feeds, store);
    expect(after.ops[0]?.attrs["row_splits"]).toEqual(limit === 64 ? [0, 20] : [0, 7, 14, 20]);
    expect(after.ops.at(-1)?.results[0]).toBe(y);
    close(actual, expected);
  });

  test.each([false, true])("rows of other experts are zero, with a bias: %s", async (hasBias) => {
    const { store } = surroundings();
    const x: Value = { id: "x", type: f32(4, 20) };
    const bias: Value = { id: "bias", type: f32(24) };
    const routing: Value = { id: "routing", type: f32(4, 3) };
    const weight = store.add("w", random([20, 24], 3));
    const attrs = { weight, transposed: false, role: "expert", expert: 1 };
    const y: Value = { id: "y", type: f32(4, 24) };
    const module = moduleOf(hasBias ? [x, bias, routing] : [x, routing], [
      op("nn.linear", [x, hasBias ? bias : null, routing], y, attrs),
    ]);
    const feeds = new Map([
      ["x", random([4, 20], 5)],
      ["routing", fromNumbers("f32", [4, 3], [0, 0.5, 0.5, 1, 0, 0, 0, 1, 0, 0.2, 0, 0.8])],
    ]);
    if (hasBias) feeds.set("bias", random([24], 6));
    const { actual, expected } = await answers(module, 7, 9, feeds, store);
    close(actual, expected);
    const values = actual ? toNumbers(actual) : [];
    expect(values.slice(24, 48)).toEqual(new Array(24).fill(0));
    expect(values.slice(0, 24).some((v) => v !== 0)).toBe(true);
  });
});

test("digital linears stay as they are", async () => {
  const module = linears([{ module: "a", role: "head", rows: 9, cols: 9 }]);
  const digital = {
    ...module,
    ops: module.ops.map((o) => ({ ...o, attrs: { ...o.attrs, place: "digital" } })),
  };
  const after = await partition.run(digital, surroundings().context);
  expect(after.level).toBe("aimc");
  expect(after.ops).toEqual(digital.ops);
});
