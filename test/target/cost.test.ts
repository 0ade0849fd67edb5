/** The cost model against the numbers of arXiv 2411.17367 v4 and against shortest paths on explicit graphs. */

import { alg, Graph } from "@dagrejs/graphlib";
import { describe, expect, test } from "vitest";
import {
  gridColumns,
  hops,
  kernelNs,
  loraTcdmBytes,
  loraWork,
  mvmNs,
  transferNj,
  transferNs,
} from "../../src/target/cost.ts";
import { loadTarget } from "../../src/target/load.ts";
import type { Target } from "../../src/target/schema.ts";
import { familyOf, workOf } from "../../src/target/work.ts";

const ahwa = loadTarget("ahwa-lora");
const hermes = loadTarget("hermes-64");

const integrating = (ns: number): Target => ({
  ...ahwa,
  tile: { ...ahwa.tile, mvmNs: { value: ns, source: "arXiv 2411.17367 v4, latency study" } },
});

describe("PMCA/AIMC latency ratios of arXiv 2411.17367 v4, rank 8, as printed", () => {
  test.each([
    [128, 128, 128, 128, "1.04"],
    [128, 128, 256, 8, "0.63"],
    [128, 128, 512, 8, "0.32"],
    [512, 128, 128, 128, "2.57"],
    [512, 128, 256, 128, "1.29"],
    [512, 128, 512, 8, "0.70"],
  ])("%i x %i at %i ns, t = %i: %s", (inputs, outputs, ns, tokens, printed) => {
    const target = integrating(ns);
    const pmca = kernelNs(target, loraWork(tokens, inputs, outputs, 8));
    expect((pmca / mvmNs(target, tokens, outputs)).toFixed(2)).toBe(printed);
  });

  test.each([
    [128, 8, 8.125],
    [512, 8, 20.125],
    [128, 128, 70],
    [512, 128, 172],
  ])("TCDM for %i x 128 at t = %i is %d KiB", (inputs, tokens, kib) => {
    expect(loraTcdmBytes(tokens, inputs, 128, 8) / 1024).toBe(kib);
  });

  test("512 x 128 fits the TCDM up to t = 64", () => {
    const fits = [8, 16, 32, 64, 128].filter(
      (t) => loraTcdmBytes(t, 512, 128, 8) <= ahwa.cluster.tcdmKiB.value * 1024,
    );
    expect(fits).toEqual([8, 16, 32, 64]);
  });
});

test("a HERMES core waits for its affine stage: 256 values take 640 ns at 400 MHz", () => {
  expect(mvmNs(hermes, 1, 256)).toBe(520 + 640);
  expect(mvmNs(hermes, 10, 256)).toBe(10 * 640 + 520);
  expect(mvmNs(hermes, 0, 256)).toBe(0);
});

/** Nodes and links one by one, as section "links" of arXiv 2212.02872 lists neighbours. */
function linksOf(count: number, steps: readonly (readonly [number, number])[]): Graph {
  const graph = new Graph({ directed: false });
  const columns = gridColumns(count);
  for (let i = 0; i < count; i++) {
    graph.setNode(String(i));
    for (const [down, across] of steps) {
      const column = (i % columns) + across;
      const to = i + down * columns + across;
      if (column < columns && to < count) graph.setEdge(String(i), String(to));
    }
  }
  return graph;
}

test.each([
  ["ahwa-lora", 64],
  ["ahwa-lora", 11],
  ["hermes-64", 64],
  ["hermes-64", 27],
])("hops on %s with %i nodes are shortest paths", (name, count) => {
  const target = loadTarget(name);
  const mesh = [[1, 0], [0, 1]] as const; // biome-ignore format: pairs read better on one line
  const steps = target.fabric.topology === "5pp" ? [...mesh, [0, 2] as const] : mesh;
  const paths = alg.dijkstraAll(linksOf(count, steps), () => 1, undefined as never);
  for (let a = 0; a < count; a++) {
    for (let b = 0; b < count; b++) {
      expect(hops(target, count, a, b), `${a} to ${b}`).toBe(
        paths[String(a)]?.[String(b)]?.distance,
      );
    }
  }
});

test("HERMES has 320 directed links between its cores under the neighbour rule", () => {
  expect(
    2 *
      linksOf(64, [
        [1, 0],
        [0, 1],
        [0, 2],
      ]).edgeCount(),
  ).toBe(320);
});

test("transfers cost hops and bytes; local ones nothing", () => {
  expect(transferNs(hermes, 256, 0)).toBe(0);
  expect(transferNs(hermes, 256, 2)).toBeCloseTo(256 / 0.4 + 2 * 2.5, 9);
  expect(transferNj(hermes, 256, 2)).toBeCloseTo(2 * 256 * 0.0024, 9);
});

test("work counts multiply-accumulates and elements", () => {
  const attention = workOf(
    "nn.attention",
    [
      [1, 8, 64, 32],
      [1, 2, 64, 32],
      [1, 2, 64, 16],
    ],
    [[1, 8, 64, 16]],
  );
  expect(attention.macs).toBe(8 * 64 * 64 * (32 + 16));
  expect(attention.elements).toBe(8 * 64 * 64);
  expect(workOf("nn.linear", [[2, 5, 32], null], [[2, 5, 7]], [[32, 7]]).macs).toBe(2 * 5 * 32 * 7);
  expect(
    workOf(
      "onnx.MatMul",
      [
        [4, 5, 6],
        [4, 6, 7],
      ],
      [[4, 5, 7]],
    ).macs,
  ).toBe(4 * 5 * 6 * 7);
  expect(
    workOf(
      "nn.lora",
      [
        [3, 128],
        [3, 64],
      ],
      [[3, 64]],
      [
        [8, 128],
        [64, 8],
      ],
    ).macs,
  ).toBe(3 * 8 * 192);
  expect(workOf("onnx.ReduceMean", [[4, 32]], [[4, 1]]).elements).toBe(128);
  expect(
    workOf(
      "nn.embedding",
      [
        [50000, 32],
        [1, 7],
      ],
      [[1, 7, 32]],
    ).elements,
  ).toBe(224);
  expect(familyOf("onnx.Softmax")).toBe("softmax");
  expect(familyOf("onnx.Where")).toBe("elementwise");
});

test("every family of work has a cost on every target", () => {
  const families = ["onnx.Add", "onnx.Transpose", "onnx.Gather", "onnx.ReduceSum", "nn.rope"]
    .concat(["nn.layer_norm", "nn.softmax", "nn.activation", "nn.gated", "nn.router"])
    .map(familyOf);
  for (const target of [ahwa, hermes]) {
    expect(Object.keys(target.cluster.cyclesPerElement).sort()).toEqual([...families].sort());
  }
});
