/** Low-rank branches: their parameter counts, their meaning, and adapters that do not fit. */

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { assign } from "../../passes/assign.ts";
import { lora } from "../../passes/lora.ts";
import type { LoraOption } from "../../passes/options.ts";
import { isWeightRef, type Module, type Op } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { philox } from "../../src/tensor/philox.ts";
import { sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { readAdapter } from "../../src/weights/adapter.ts";
import { ModelStore } from "../../src/weights/model-store.ts";
import { writeSafetensors } from "../../src/weights/safetensors.ts";
import { linears, random, surroundings } from "./fixtures.ts";
import { MOBILEBERT } from "./mobilebert.ts";

async function withLora(
  module: Module,
  option: LoraOption,
  policy = "all-analog",
  store = new ModelStore(),
) {
  const { context, reported } = surroundings({
    store,
    options: { lora: option, policy: loadPolicy(policy), seed: 7 },
  });
  const after = await lora.run(await assign.run(module, context), context);
  if (reported.length === 0) expect([...verify(after)].map((f) => f.text)).toEqual([]);
  return { after, reported, store };
}

const branches = (module: Module): readonly Op[] => module.ops.filter((o) => o.kind === "nn.lora");

const sizeIn = (o: Op): number =>
  [o.attrs["a"], o.attrs["b"]].reduce<number>(
    (n, w) => n + (isWeightRef(w) ? sizeOf(w.type.shape) : 0),
    0,
  );

describe("parameter counts of arXiv 2411.17367 v4, MobileBERT, rank 8", () => {
  test.each([
    ["QKV only", /self\.(query|key|value)$/, 221_184],
    ["attention output, feed-forward and bottlenecks", /dense$/, 1_400_832],
    ["all", /./, 1_633_296],
  ])("%s", async (_, path, parameters) => {
    const { after } = await withLora(linears(MOBILEBERT), { kind: "fresh", rank: 8, alpha: 32 });
    const chosen = branches(after).filter((o) => path.test(String(o.attrs["module"])));
    expect(chosen.reduce((n, o) => n + sizeIn(o), 0)).toBe(parameters);
  });
});

test("Philox gives the published answers (Random123, kat_vectors)", () => {
  expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  expect(philox([ones, ones, ones, ones], [ones, ones])).toEqual([
    0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd,
  ]);
  expect(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
  ).toEqual([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
});

test("a fresh branch is random in A, zero in B, and the same for the same seed", async () => {
  const module = linears([
    { module: "a", role: "other", rows: 100, cols: 30 },
    { module: "b", role: "other", rows: 100, cols: 30 },
  ]);
  const option = { kind: "fresh", rank: 4, alpha: 8 } as const;
  const runs = await Promise.all([withLora(module, option), withLora(module, option)]);
  const [first, second] = runs.map(({ after, store }) =>
    branches(after).map(({ attrs: { a, b, scale } }) => {
      if (!isWeightRef(a) || !isWeightRef(b)) throw new Error("a branch without weights");
      expect(scale).toBe(2);
      expect(new Set(toNumbers(store.load(b)))).toEqual(new Set([0]));
      return toNumbers(store.load(a));
    }),
  );
  expect(first).toEqual(second);
  expect(first?.[0]).not.toEqual(first?.[1]);
  const values = first?.flat() ?? [];
  expect(values.every((v) => Math.abs(v) < 0.1)).toBe(true);
  // Uniform in ±0.1: mean 0 and standard deviation 0.1 / sqrt 3, here within five standard errors.
  const mean = values.reduce((s, v) => s + v, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((s, v) => s + v * v, 0) / values.length);
  expect(Math.abs(mean)).toBeLessThan((5 * 0.0577) / Math.sqrt(values.length));
  expect(Math.abs(deviation - 0.1 / Math.sqrt(3))).toBeLessThan(0.005);
});

test("digital linears get no fresh branch", async () => {
  const module = linears([{ module: "lm_head", role: "head", rows: 16, cols: 32 }]);
  const { after } = await withLora(module, { kind: "fresh", rank: 4, alpha: 8 }, "default");
  expect(branches(after)).toEqual([]);
});

const MODEL = [
  { module: "encoder.layer.0.query", role: "attention-projection", rows: 6, cols: 10 },
  { module: "encoder.layer.1.query", role: "attention-projection", rows: 6, cols: 10 },
];

function adapter(modules: Record<string, readonly [Tensor, Tensor]>, rank = 2) {
  const pairs = Object.entries(modules).map(([m, [a, b]]) => [m, { a, b }] as const);
  return {
    kind: "adapter",
    adapter: { folder: "my-adapter", alpha: 6, rank, modules: new Map(pairs) },
  } as const;
}

test("an adapter's branch is added with its scale, by the ends of paths", async () => {
  const store = new ModelStore();
  const weights = new Map(
    MODEL.map((m, i) => [
      `${m.module}.weight`,
      store.add(`${m.module}.weight`, random([6, 10], i + 1)),
    ]),
  );
  const module = linears(MODEL.slice(1), 4, (name) => {
    const ref = weights.get(name);
    if (!ref) throw new Error(name);
    return ref;
  });
  const [a, b] = [random([2, 6], 8), random([10, 2], 9)];
  const { after, reported } = await withLora(
    module,
    adapter({ "bert.encoder.layer.1.query": [a, b] }),
    "all-digital",
    store,
  );
  expect(reported).toEqual([]);
  expect(branches(after).map((o) => o.attrs["of"])).toEqual(["encoder.layer.1.query.weight"]);
  expect(after.outputs).toEqual(module.outputs);

  const x = random([4, 6], 5);
  const actual = (await runModel(exportModule(after, store), new Map([["x0", x]]))).get("out");
  const [xs, as, bs, ws] = [x, a, b, random([6, 10], 2)].map(toNumbers);
  const at = (m: readonly number[] | undefined, width: number, i: number, j: number) =>
    m?.[i * width + j] ?? NaN;
  for (let t = 0; t < 4; t++) {
    for (let n = 0; n < 10; n++) {
      let y = 0;
      for (let k = 0; k < 6; k++) y += at(xs, 6, t, k) * at(ws, 10, k, n);
      for (let r = 0; r < 2; r++) {
        let low = 0;
        for (let k = 0; k < 6; k++) low += at(xs, 6, t, k) * at(as, 6, r, k);
        y += 3 * low * at(bs, 2, n, r);
      }
      expect(actual && toNumbers(actual)[t * 10 + n]).toBeCloseTo(y, 4);
    }
  }
});

test("an adapter of the wrong shape names module, expected and found shapes", async () => {
  const wrong = adapter({ "layer.0.query": [random([2, 7]), random([10, 2])] });
  const { reported } = await withLora(linears(MODEL), wrong);
  expect(reported.map((d) => d.code)).toEqual(["A207"]);
  expect(reported[0]?.text).toBe(
    "adapter module 'layer.0.query' does not fit linear 'encoder.layer.0.query': " +
      "expected A 2x6 and B 10x2, found A 2x7xf32 and B 10x2xf32",
  );
});

test("adapter modules that fit nothing name the nearest linears", async () => {
  const lost = adapter({
    "encoder.layer.0.quary": [random([2, 6]), random([10, 2])],
    "encoder.layer.7.query": [random([2, 6]), random([10, 2])],
  });
  const { reported } = await withLora(linears(MODEL), lost);
  expect(reported.map((d) => `${d.code} ${d.text}`)).toEqual([
    "A208 adapter module 'encoder.layer.0.quary' fits no linear of the model",
    "A208 adapter module 'encoder.layer.7.query' fits no linear of the model",
  ]);
  expect(reported[0]?.hint).toContain("'encoder.layer.0.query'");
});

describe("an adapter folder", () => {
  const folder = (config: unknown, tensors: Record<string, Tensor> | null): string => {
    const dir = mkdtempSync(join(tmpdir(), "aimcc-adapter-"));
    writeFileSync(
      join(dir, "adapter_config.json"),
      typeof config === "string" ? config : JSON.stringify(config),
    );
    if (!tensors) return dir;
    const specs = Object.entries(tensors).map(([name, t]) => ({
      name,
      elem: t.elem,
      shape: t.shape,
    }));
    writeSafetensors(join(dir, "adapter_model.safetensors"), specs, ({ name }) => {
      const t = tensors[name];
      if (!t) throw new Error(name);
      return t;
    });
    return dir;
  };
  const config = {
    peft_type: "LORA",
    r: 2,
    lora_alpha: 6,
    target_modules: ["query"],
    bias: "none",
  };
  const path = "base_model.model.layer.0.query";

  test("is read with PEFT's names", () => {
    const [a, b] = [random([2, 6]), fromNumbers("f16", [10, 2], new Array(20).fill(0.5))];
    const read = readAdapter(
      folder(config, { [`${path}.lora_A.weight`]: a, [`${path}.lora_B.weight`]: b }),
    );
    expect(read).toMatchObject({ alpha: 6, rank: 2 });
    expect([...read.modules]).toEqual([["layer.0.query", { a, b }]]);
  });

  test.each([
    ["no tensors", config, null, "has no adapter_model.safetensors"],
    ["not JSON", "{", {}, "is not JSON"],
    ["no rank", { lora_alpha: 1 }, {}, "'r':"],
    ["rank by module", { ...config, rank_pattern: { query: 4 } }, {}, "rank_pattern"],
    ["DoRA", { ...config, use_dora: true }, {}, "DoRA"],
    ["another method", { ...config, peft_type: "IA3" }, {}, "peft_type IA3"],
    [
      "half a pair",
      config,
      { [`${path}.lora_A.weight`]: random([2, 6]) },
      "'layer.0.query' has no lora_B",
    ],
    [
      "an embedding",
      config,
      { "base_model.model.e.lora_embedding_A": random([2, 6]) },
      "lora_embedding_A",
    ],
    ["nothing", config, {}, "is empty"],
  ])("%s is refused", (_, given, tensors, message) => {
    const dir = folder(given, tensors as Record<string, Tensor> | null);
    expect(() => readAdapter(dir)).toThrow(message);
    expect(() => readAdapter(dir)).toThrow("A206");
  });

  test("that is missing is told by its path", () => {
    expect(() => readAdapter("no/such/folder")).toThrow(/A206[\s\S]*no\/such\/folder/);
  });
});
