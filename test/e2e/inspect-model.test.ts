/** `aimcc inspect MODEL.onnx`: counts against the file's own initializers and the networks' known configurations. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeModelFile, modelFacts } from "../../src/cli/inspect/model.ts";
import { examineModel } from "../../src/driver/examine.ts";
import { outlineOf } from "../../src/outline/outline.ts";
import { leavesOf } from "../../src/outline/tree.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { aimcc } from "./cli.ts";

const modelOf = (name: string): string => join("test/corpus", name, "model.onnx");

const seen = (path: string, dims: Record<string, number> = {}) =>
  examineModel({ model: path, dims, policy: loadPolicy("default") });

describe("what is recognised is what the configuration says", () => {
  test.each([
    // Layers, linears of a layer, linears outside of layers.
    ["llama_gqa_t113hf433", 2, 7, 1],
    ["bert_base_dynamic_t113hf433", 2, 6, 1],
    ["gpt2_lm_t113hf433", 2, 4, 1],
    ["whisper_encoder_t113hf433", 2, 6, 2],
    ["vit_cls_t113hf433", 2, 6, 2],
  ])("%s: %i layers", async (name, layers, linears, others) => {
    const e = await seen(modelOf(name));
    const leaves = [...leavesOf(outlineOf({ ...e, nodes: e.file.nodes }))];
    const count = (kind: string) => leaves.filter((l) => l.kind === kind).length;
    expect(count("nn.attention")).toBe(layers);
    expect(count("nn.linear")).toBe(layers * linears + others);
    expect(leaves.filter((l) => l.state === "refused")).toEqual([]);
  });

  test("a mixture of experts: 2 layers of 4 experts with 3 matrices each, and a router", async () => {
    const facts = modelFacts("m", await seen(modelOf("mixtral_loop_t26hf446")));
    const expert = facts.totals.find((t) => t.kind === "expert");
    expect(expert).toMatchObject({ modules: 2 * 4 * 3, parameters: 2 * 4 * 3 * 64 * 64 });
    expect(facts.dynamic.routers).toBe(2);
  });
});

test.each(["llama_gqa_t113hf433", "mixtral_loop_t26hf446", "whisper_encoder_t113hf433"])(
  "the parameters of %s are the elements of its initializers",
  async (name) => {
    const facts = modelFacts("m", await seen(modelOf(name)));
    const stored = facts.file.parameters.find((p) => p.elem === "f32")?.elements;
    expect(facts.totals.reduce((n, t) => n + t.parameters, 0)).toBe(stored);
  },
);

test("integers count as the numbers that they stand for", async () => {
  const parameters = async (name: string) => {
    const { totals } = modelFacts("m", await seen(modelOf(name)));
    return totals.reduce((n, t) => n + t.parameters, 0);
  };
  const real = await parameters("bert_mlm_static_t113hf433");
  expect(await parameters("bert_mlm_static_t113hf433_int8dyn")).toBe(real);
});

test("multiply-accumulates grow with the given sizes", async () => {
  const at = async (sequence: number) => {
    const facts = modelFacts("m", await seen(modelOf("llama_gqa_t113hf433"), { sequence }));
    return facts.totals.filter((t) => t.place === "analog").reduce((n, t) => n + t.macs, 0);
  };
  expect(await at(24)).toBe(3 * (await at(8)));
});

test("layers that are alike are told once", async () => {
  const text = describeModelFile("m", await seen(modelOf("vit_cls_t113hf433")));
  expect(text).toMatch(/encoder\.layer\.0-1 x2/);
  expect(text).toMatch(/query +linear 64 -> 64, bias, attention-projection/);
  expect(text).toMatch(/batch = 1, chosen for this view; compile needs --dim batch=N or --data/);
});

test("a model with operators of its own is shown, with the message beside each of them", async () => {
  const e = await seen(modelOf("deeploy_EEGFormer"));
  const text = describeModelFile("m", e);
  expect(text).toMatch(/! RequantShift +not compiled/);
  expect(text).toMatch(/refused\[A105\]: .*RequantShift/);
});

test("every model of the corpus can be looked at", async () => {
  for (const name of readdirSync("test/corpus")) {
    if (name === "fragments") continue;
    const facts = modelFacts("m", await seen(modelOf(name)));
    expect(facts.file.nodes, name).toBeGreaterThanOrEqual(0);
    expect(Array.isArray(facts.totals), name).toBe(true);
  }
});

test("what stays an operator of its own says why and where", async () => {
  const text = describeModelFile("m", await seen(modelOf("mobilebert_scaled_t26hf446")));
  expect(text).toMatch(/Mul is no scale of a norm: its row meets what .* gives/);
  expect(text).toMatch(/at .*\/LayerNorm\/Mul/);
  const pooled = describeModelFile("m", await seen(modelOf("deeploy_CCT_1_16_16_8")));
  expect(pooled).toMatch(/MatMul is no attention: its scores come out of \w+, not of a product/);
  expect(pooled).not.toMatch(/no pattern takes it/);
  const cached = await seen(modelOf("llama_past_t26hf450"));
  const leaves = [...leavesOf(outlineOf({ ...cached, nodes: cached.file.nodes }))];
  const [angles] = leaves.filter((l) => l.kind === "MatMul");
  expect(angles?.missed).toMatchObject({ pattern: "linear layer", nodes: angles?.nodes });
});

test("questions about an artifact are refused for a model", async () => {
  const { status, stderr } = await aimcc("inspect", modelOf("vit_cls_t113hf433"), "--tiles");
  expect(status).toBe(2);
  expect(stderr).toContain("A013");
  const { stdout } = await aimcc("inspect", modelOf("vit_cls_t113hf433"), "--json");
  expect(JSON.parse(stdout).file.producer).toBe("pytorch 1.13.0");
});
