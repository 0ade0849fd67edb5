/** What the program of a small module looks like: who streams, who waits for what, who holds how much. */

import { describe, expect, test } from "vitest";
import { FACTS } from "../../passes/facts.ts";
import { priceOn } from "../../passes/pipeline/cost.ts";
import { growUntilLive, isLive } from "../../passes/pipeline/liveness.ts";
import { capacitiesOf } from "../../passes/pipeline/memory.ts";
import { leastCapacity, networkOf } from "../../passes/pipeline/network.ts";
import { propagate } from "../../passes/pipeline/propagate.ts";
import type { Schedule, Step } from "../../src/artifact/schedule.ts";
import { toSchedule } from "../../src/ir/dialects/program-schedule.ts";
import { parseModule } from "../../src/ir/parse.ts";
import { printModule } from "../../src/ir/print.ts";
import { OPS } from "../../src/ir/registry.ts";
import { loadTarget } from "../../src/target/load.ts";
import { CASES } from "./cases.ts";
import { execute, lastOf } from "./executor.ts";
import { Builder, compile } from "./modules.ts";

const target = loadTarget("ahwa-lora");

const caseOf = (name: string) => {
  const make = CASES[name];
  if (!make) throw new Error(`no case ${name}`);
  return make();
};

const stepOf = (s: Schedule, kernel: string): Step => {
  const step = s.steps.find((x) => x.kernel === kernel);
  if (!step) throw new Error(`no ${kernel}`);
  return step;
};

const same = { batch: "same", token: { mul: 1, add: 0, div: 1 } };

describe("attention", () => {
  test("a causal one waits for the keys up to its own block", () => {
    const { schedule } = compile(caseOf("causal attention"), 2);
    const step = stepOf(schedule, "nn.attention");
    expect(step.reads.map((r) => r?.select)).toEqual([
      ["all", "all", "token", "all"],
      ["all", "all", { upto: 0 }, "all"],
      ["all", "all", { upto: 0 }, "all"],
    ]);
    expect(step.waits.map((w) => w.newest)).toEqual([same, same, same]);
    const keys = schedule.steps.flatMap((s) => s.credits).filter((c) => c.reader === step.id);
    expect(keys.map((c) => c.release.token)).toEqual([same.token, "last", "last"]);
  });

  test("a full one waits for all keys of its batch", () => {
    const step = stepOf(compile(caseOf("full attention"), 2).schedule, "nn.attention");
    expect(step.domain).toEqual({ batch: 2, tokens: 6, block: 2 });
    expect(step.waits.map((w) => w.newest)).toEqual([
      same,
      { batch: "same", token: "last" },
      { batch: "same", token: "last" },
    ]);
  });

  test("one with a window releases the keys that it has left behind", () => {
    const { schedule } = compile(caseOf("window attention"), 2);
    const step = stepOf(schedule, "nn.attention");
    const release = schedule.steps
      .flatMap((s) => s.credits)
      .filter((c) => c.reader === step.id)
      .map((c) => c.release.token);
    // Block u holds tokens 2u and 2u + 1; the last query that sees 2u + 1 is 2u + 3, in block u + 1.
    expect(release.slice(1)).toEqual([
      { mul: 1, add: 1, div: 1 },
      { mul: 1, add: 1, div: 1 },
    ]);
  });

  test("products that were not recognised stream as well", () => {
    const { schedule } = compile(caseOf("products"), 2);
    expect(schedule.steps.every((s) => s.domain.batch === 2 && s.domain.tokens === 6)).toBe(true);
  });
});

describe("layouts", () => {
  test("flattened rows stay in step with batch and token", () => {
    const { schedule } = compile(caseOf("experts"), 2);
    expect(new Set(schedule.steps.map((s) => JSON.stringify(s.domain))).size).toBe(1);
    const partials = schedule.buffers.find((b) => b.shape.length === 3 && b.shape[0] === 2);
    expect(stepOf(schedule, "nn.combine").reads[0]?.select).toEqual(["row", "all"]);
    expect(partials?.shape).toEqual([2, 6, 4]);
    const sum = stepOf(schedule, "aimc.sum");
    expect(sum.reads[0]?.select).toEqual(["all", "row", "all"]);
  });

  test("only what needs everything at once runs at once", () => {
    const { schedule } = compile(caseOf("gathered"), 2);
    const once = schedule.steps.filter((s) => s.domain.batch * s.domain.tokens === 1);
    expect(once.map((s) => s.kernel)).toEqual(["CumSum"]);
  });

  test("kernels that count from the first token run at once, slices of features do not", () => {
    const b = new Builder(1);
    const x = b.mvm(b.input("x", [1, 6, 6]), 6);
    const triangle = b.one("onnx.Trilu", [x], [1, 6, 6], { upper: 0 });
    const cut = [[2], [4], [2]].map((v) => b.constant([1], "i64", v));
    const { schedule } = compile(
      b.module(triangle, b.one("onnx.Slice", [x, ...cut], [1, 6, 2])),
      2,
    );
    expect(stepOf(schedule, "Trilu").domain.tokens).toBe(1);
    expect(stepOf(schedule, "Slice").domain).toEqual({ batch: 1, tokens: 6, block: 2 });
  });

  test("a pooler runs once a batch", () => {
    const { schedule } = compile(caseOf("pooled"), 2);
    expect(stepOf(schedule, "Gather").domain).toEqual({ batch: 3, tokens: 1, block: 1 });
  });

  test("constants are read by slices where the result needs slices", () => {
    const b = new Builder(1);
    const x = b.mvm(b.input("x", [2, 6, 4]), 4);
    const position = b.constant([1, 6, 4]);
    const { schedule } = compile(b.module(b.one("onnx.Add", [x, position], [2, 6, 4])), 3);
    const name = position.id;
    expect(stepOf(schedule, "Add").reads[1]).toEqual({
      constant: `%${name}`,
      select: ["all", "token", "all"],
    });
  });
});

test("blocks along what an operation reads in full are none that a kernel could give", () => {
  const b = new Builder(1);
  const x = b.mvm(b.input("x", [2, 6, 4]), 4);
  const turned = b.one("onnx.Transpose", [x], [2, 4, 6], { perm: [0, 2, 1] });
  const ends = [
    b.one("nn.layer_norm", [turned, b.constant([6]), b.constant([6])], [2, 4, 6], { epsilon: 0.1 }),
    b.one("nn.rms_norm", [turned, b.constant([6])], [2, 4, 6], { epsilon: 0.1 }),
    b.one("onnx.Softmax", [turned], [2, 4, 6], { axis: -1 }),
    b.one("onnx.Conv", [x, b.constant([6, 1, 3]), b.constant([6])], [2, 6, 2], { group: 6 }),
  ];
  const { schedule } = compile(b.module(...ends), 2);
  for (const kernel of ["nn.layer_norm", "nn.rms_norm", "Softmax", "Conv"]) {
    expect(stepOf(schedule, kernel).domain).toEqual({ batch: 2, tokens: 1, block: 1 });
  }
});

describe("graph outputs", () => {
  test("may be constants, inputs, and values that are also read inside", () => {
    const b = new Builder(1);
    const x = b.input("x", [1, 4, 4]);
    const c = b.constant([2]);
    const y = b.mvm(x, 4);
    const { schedule } = compile(b.module(c, x, y, b.one("onnx.Relu", [y], [1, 4, 4])), 2);
    expect(schedule.outputs.map((o) => o.constant ?? o.buffer)).toEqual([
      `%${c.id}`,
      "x",
      y.id,
      schedule.buffers.at(-1)?.id,
    ]);
    const host = schedule.steps.flatMap((s) => s.credits).filter((k) => k.reader === "host");
    expect(host.map((k) => k.buffer)).toEqual([y.id, schedule.buffers.at(-1)?.id]);
    expect(execute(schedule, 2, lastOf())).toBeNull();
  });

  test("a program may have no steps at all", () => {
    const b = new Builder(1);
    const { schedule } = compile(b.module(b.constant([2]), b.input("x", [3])));
    expect(schedule.steps).toEqual([]);
    expect(schedule.outputs.length).toBe(2);
  });
});

describe("rings", () => {
  test("a shortcut past full attention grows until nothing stops, and no further", () => {
    const module = caseOf("full attention");
    const network = networkOf(module, propagate(module, OPS), () => 1);
    expect(isLive(network, capacitiesOf(network, target, priceOn({ target }, module)))).toBe(true);
    const least = new Map([...network.rings].map(([v, r]) => [v, leastCapacity(r)]));
    expect(isLive(network, least)).toBe(false);
    const grown = growUntilLive(network, least);
    expect(isLive(network, grown)).toBe(true);
    const larger = [...grown].filter(([v, c]) => c > (least.get(v) ?? 0));
    expect(larger.length).toBeGreaterThan(0);
    for (const [v, c] of larger) {
      expect(isLive(network, new Map(grown).set(v, c - 1)), v.id).toBe(false);
    }
  });

  test("exceeding a cluster's memory is remarked with numbers", () => {
    const b = new Builder(1);
    const x = b.mvm(b.input("x", [1, 64, 64]), 2048);
    const { remarks } = compile(b.module(b.mvm(x, 64)), 16);
    expect(remarks.map((r) => r.text)).toEqual([
      expect.stringMatching(
        /^cluster 0 needs \d+ KiB for rings and 0 KiB for constants and has 128 KiB: \d+ KiB lie/,
      ),
    ]);
  });

  test("a block that cannot fit although a smaller one would is an error", () => {
    const b = new Builder(1);
    const x = b.mvm(b.input("x", [1, 64, 64]), 1024);
    const { faults } = compile(b.module(b.mvm(x, 64)), 64);
    expect(faults.map((f) => [f.code, f.hint])).toEqual([
      ["A301", "at most 32 tokens fit: choose --tokens 32 or fewer, or --tokens auto"],
    ]);
  });
});

describe("a program module", () => {
  test("survives being printed and parsed, and gives the same schedule", () => {
    for (const make of Object.values(CASES)) {
      const { module, schedule } = compile(make(), 3);
      const text = printModule(module);
      const again = parseModule(text, "program.mlir");
      expect(printModule(again)).toBe(text);
      expect(toSchedule(again)).toEqual(schedule);
    }
  });

  test("has the facts that the passes claim", () => {
    const { module } = compile(caseOf("residual"));
    expect(FACTS.pipelined(module) && FACTS.scheduled(module)).toBe(true);
  });

  test("lists the last steps of a cluster first, and costs something everywhere", () => {
    const { schedule } = compile(caseOf("residual"), "auto");
    const position = new Map(schedule.steps.map((s, i) => [s.id, i]));
    for (const { steps } of schedule.clusters) {
      const places = steps.map((id) => position.get(id) ?? -1);
      expect(places).toEqual(places.toSorted((a, b) => b - a));
    }
    for (const { kernel, cost } of schedule.steps) {
      expect(cost.digitalNs).toBeGreaterThan(0);
      expect(cost.tileNs > 0).toBe(kernel === "mvm");
    }
  });
});
