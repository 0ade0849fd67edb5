/** Tiles and clusters: nothing is named twice, everything has a home, and what is told when it does not fit. */

import { describe, expect, test } from "vitest";
import { assign } from "../../passes/assign.ts";
import { FACTS } from "../../passes/facts.ts";
import { partition } from "../../passes/partition.ts";
import { place } from "../../passes/place.ts";
import { tilesOf as nodesOf } from "../../src/ir/dialects/aimc.ts";
import type { Module, Op, Value } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import type { Target } from "../../src/target/schema.ts";
import { f32, linears, moduleOf, op, resized, shapeOnly, surroundings } from "./fixtures.ts";
import { MOBILEBERT } from "./mobilebert.ts";

async function placed(
  module: Module,
  target: Target,
  policy = "default",
  alternatives: readonly Target[] = [],
) {
  const { context, reported } = surroundings({
    target,
    alternatives,
    options: { policy: loadPolicy(policy) },
  });
  const cut = await partition.run(await assign.run(module, context), context);
  const after = await place.run(cut, context);
  expect([...verify(after)].map((f) => f.text)).toEqual([]);
  return { after, reported };
}

const isGrid = (o: Op): boolean => o.kind === "aimc.mvm";
const tilesOf = (module: Module): readonly number[] => module.ops.filter(isGrid).flatMap(nodesOf);

test("tiles are numbered in program order and none is named twice", async () => {
  const module = linears([
    { module: "a", role: "other", rows: 20, cols: 30 },
    { module: "b", role: "other", rows: 7, cols: 8 },
    { module: "c", role: "other", rows: 16, cols: 17 },
  ]);
  const { after } = await placed(module, resized(8, 8, "as-needed"));
  expect(after.ops.filter(isGrid).map((o) => nodesOf(o).length)).toEqual([12, 1, 6]);
  expect(tilesOf(after)).toEqual(Array.from({ length: 19 }, (_, i) => i));
  expect(FACTS.placed(after, loadTarget("ahwa-lora"))).toBe(true);
});

test("MobileBERT takes tiles 0 to 361 of ahwa-lora with its head, as the paper maps it", async () => {
  const { after } = await placed(linears(MOBILEBERT), loadTarget("ahwa-lora"), "all-analog");
  expect(tilesOf(after)).toEqual(Array.from({ length: 362 }, (_, i) => i));
});

test("two linears of one weight share its tiles", async () => {
  const module = linears([
    { module: "a", role: "other", rows: 20, cols: 30 },
    { module: "b", role: "other", rows: 20, cols: 30 },
  ]);
  const shared = shapeOnly("shared", 20, 30);
  const tied = {
    ...module,
    ops: module.ops.map((o) => ({ ...o, attrs: { ...o.attrs, weight: shared } })),
  };
  const { after } = await placed(tied, resized(32, 32, 1));
  expect(tilesOf(after)).toEqual([0, 0]);
});

/** x -> norm -> up (wide) -> activation -> down -> residual with x. */
function feedForward(): Module {
  const value = (id: string, width: number): Value => ({ id, type: f32(4, width) });
  const [x, ids] = [value("x", 8), value("ids", 8)];
  const linear = (name: string, from: Value, to: Value): Op =>
    op("nn.linear", [from], to, {
      weight: shapeOnly(name, Number(from.type.shape[1]), Number(to.type.shape[1])),
      transposed: false,
      role: "feed-forward",
      module: name,
    });
  const [n, up, act, down, out] = [
    value("n", 8),
    value("up", 64),
    value("act", 64),
    value("down", 8),
    value("out", 8),
  ];
  return moduleOf(
    [ids],
    [
      op("onnx.Identity", [ids], x),
      op("nn.layer_norm", [x], n, { epsilon: 1e-5 }),
      linear("up", n, up),
      op("nn.activation", [up], act, { function: "relu" }),
      linear("down", act, down),
      op("nn.residual", [x, down], out),
    ],
  );
}

describe("clusters of digital operations", () => {
  test("every operation but constants has one, beside a tile that feeds it or that it feeds", async () => {
    const { after } = await placed(feedForward(), resized(64, 16, "as-needed"));
    const clusters = new Map(after.ops.map((o) => [o.results[0]?.id, o.attrs["cluster"]]));
    // The wide grid has tiles 0 to 3, the narrow one tile 4.
    expect(tilesOf(after)).toEqual([0, 1, 2, 3, 4]);
    expect(clusters.get("x")).toBe(0);
    expect(clusters.get("n")).toBe(0);
    expect([0, 1, 2, 3]).toContain(clusters.get("act"));
    expect(clusters.get("out")).toBe(4);
    expect(after.ops.every((o) => typeof o.attrs["cluster"] === "number")).toBe(true);
  });

  test("work after a grid of several tiles goes to the one with the least so far", async () => {
    const { after } = await placed(feedForward(), resized(64, 16, "as-needed"));
    const act = after.ops.find((o) => o.results[0]?.id === "act");
    expect(act?.attrs["cluster"]).toBe(1); // Cluster 0 has the norm already.
  });

  test("with nothing analog everything is on cluster 0", async () => {
    const { after } = await placed(feedForward(), resized(64, 16, 1), "all-digital");
    expect(new Set(after.ops.map((o) => o.attrs["cluster"]))).toEqual(new Set([0]));
  });
});

describe("a target that is too small", () => {
  test("says how many tiles are needed, how many there are, and what would make it fit", async () => {
    const others = [loadTarget("ahwa-lora"), loadTarget("hermes-64")];
    const { after, reported } = await placed(
      linears(MOBILEBERT),
      loadTarget("hermes-64"),
      "default",
      others,
    );
    expect(tilesOf(after)).toEqual([]);
    const [fault, ...more] = reported;
    expect(more).toEqual([]);
    expect(fault?.code).toBe("A203");
    // Per layer: 3 of 1 tile, 3 of 2 for 512 x 128, 8 of 2, 1 of 2; and 384 x 512 in 2 x 2.
    const needed = 24 * (3 + 3 * 2 + 8 * 2 + 2) + 4;
    expect(fault?.text).toBe(
      `the model needs ${needed} tiles of 256 x 256, but hermes-64 has 64: ${needed - 64} too few`,
    );
    expect(fault?.hint).toContain("compile for ahwa-lora");
    expect(fault?.hint).not.toContain("hermes-64");
    expect(fault?.at.kind).toBe("node");
  });

  test("the rule that it proposes makes the model fit", async () => {
    const module = linears([
      { module: "h.0.big", role: "feed-forward", rows: 40, cols: 20 },
      { module: "h.0.small", role: "feed-forward", rows: 8, cols: 8 },
      { module: "h.1.big", role: "feed-forward", rows: 40, cols: 20 },
      { module: "h.1.small", role: "feed-forward", rows: 8, cols: 8 },
    ]);
    const { reported } = await placed(module, resized(10, 10, 9));
    expect(reported[0]?.text).toContain("needs 18 tiles");
    expect(reported[0]?.hint).toContain("'h.*.big' (16 tiles)");
    const rule = /module: "([^"]*)"/.exec(reported[0]?.hint ?? "")?.[1] ?? "";
    const policy = {
      name: "mine",
      rules: [{ module: rule, place: "digital", why: "too large" }, ...loadPolicy("default").rules],
    } as const;
    const { context } = surroundings({ target: resized(10, 10, 9), options: { policy } });
    const after = await place.run(
      await partition.run(await assign.run(module, context), context),
      context,
    );
    expect(tilesOf(after)).toEqual([0, 1]);
  });
});
