/** The models that must work first, as machine code of every cluster: item by item against ONNX Runtime and the kernels. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { aimcc, place } from "./cli.ts";
import { core } from "./corpus.ts";

/** With side-branches where that is what the machine is for. */
const CASES: readonly (readonly [name: string, ...options: string[]])[] = [
  ["bert_base_dynamic_t113hf433", "--lora", "rank=8"],
  ["bert_base_dynamic_t26dynhf450"],
  ["bert_mlm_static_t113hf433"],
  ["distilbert_dynamic_t113hf433"],
  ["gpt2-bytes", "--dim", "batch=1", "--dim", "sequence=16"],
  ["gpt2_lm_t113hf433"],
  ["gpt2_past_t113hf433"],
  ["llama_past_t26hf450", "--lora", "rank=8"],
  ["llama_static_t26dynhf450"],
  ["llama_static_t26hf450"],
  ["mixtral_loop_t26hf446"],
  ["mobilebert_scaled_t113hf433"],
  ["olmoe-bytes", "--dim", "batch=1", "--dim", "sequence=8"],
  ["olmoe_dense_t26hf5"],
  ["olmoe_loop_t26hf446"],
  ["t5_encoder_t113hf433"],
  ["vit_cls_t113hf433"],
];

interface Verified {
  readonly verdict: string;
  readonly steps: readonly {
    readonly kernel: string;
    readonly blocks: number;
    readonly same: number;
  }[];
}

/** What is moved, added or done by tiles has the very bits of its kernel. */
const EXACT =
  /^(?:mvm|aimc\.sum|Add|Sub|Mul|nn\.residual|nn\.embedding|Reshape|Transpose|Split|Slice|Concat|Where|Cast)$/;

/** Compiles and verifies, and holds what has to be exact to its bits. */
async function agrees(name: string, target: string, options: readonly string[]): Promise<void> {
  const { model, data } = core(name);
  const out = join(place(), "out");
  const given = data[0] === undefined || options.includes("--dim") ? [] : ["--data", data[0]];
  const made = await aimcc("compile", model, "-t", target, "-o", out, ...given, ...options);
  expect(made.status, made.stderr).toBe(0);
  const { status, stdout, stderr } = await aimcc("verify", out, "--isa", "--json", ...given);
  expect(status, stderr).toBe(0);
  const { verdict, steps } = JSON.parse(stdout) as Verified;
  expect(verdict).toBe("agrees");
  expect(steps.length).toBeGreaterThan(0);
  for (const { kernel, blocks, same } of steps) {
    if (EXACT.test(kernel)) expect(same, kernel).toBe(blocks);
  }
}

describe("a whole model in machine code agrees", () => {
  test.each(CASES)("%s", { timeout: 120_000 }, async (name, ...options) => {
    await agrees(name, "ahwa-lora", options);
  });

  const [plain, vectors] = ["rv32imaf", "rv32imaf_zve32f_zba_zbb"];
  test.each([
    ["gpt2_lm_t113hf433", plain],
    ["gpt2_lm_t113hf433", vectors],
    ["llama_past_t26hf450", vectors],
    ["olmoe_dense_t26hf5", vectors],
  ])("%s, on cores of %s", { timeout: 120_000 }, async (name, isa) => {
    const bundled = readFileSync("targets/ahwa-lora.yaml", "utf8");
    const target = join(place(), "other-cores.yaml");
    writeFileSync(target, bundled.replace(/isa: rv32imaf\S*\n/, `isa: ${isa}\n`));
    await agrees(name, target, ["--kernel-costs", "measured"]);
    expect(readFileSync(target, "utf8")).not.toBe(bundled);
  });
});
