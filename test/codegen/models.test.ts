import { describe, expect } from "vitest";
import { core } from "../e2e/corpus.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { kindOf, recordedCalls } from "./recorded.ts";
import { agrees } from "./run-kernel.ts";

/** How far machine code may be from the kernels of src/tensor, by the largest magnitude of a result. */
const WITHIN = 1e-5;

const MODELS = [
  "bert_base_dynamic_t113hf433",
  "bert_mlm_static_t113hf433_int8dyn",
  "deeploy_CCT_1_16_16_8",
  "gpt2_lm_t113hf433",
  "gpt2_past_t113hf433",
  "llama_fp16_static_t26hf450",
  "llama_past_t26hf450",
  "olmoe_dense_t26hf5",
  "t5_encoder_t113hf433",
  "vit_cls_t113hf433",
];

/** Models have many calls in common. */
const seen = new Set<string>();

describe("machine code agrees with every kernel that a model calls, and with QEMU, bit for bit", () => {
  const test = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  test.each(MODELS)("%s", { timeout: 240_000 }, async (name) => {
    const calls = (await recordedCalls(core(name))).filter((call) => !seen.has(kindOf(call)));
    for (const call of calls) {
      seen.add(kindOf(call));
      agrees(call, WITHIN, true);
    }
    expect(seen.size).toBeGreaterThan(0);
  });
});
