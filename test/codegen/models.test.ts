import { expect, test } from "vitest";
import { KernelGap } from "../../src/codegen/kernel.ts";
import { core } from "../e2e/corpus.ts";
import { recordedCalls } from "./recorded.ts";
import { agrees } from "./run-kernel.ts";

/** How far machine code may be from the kernels of src/tensor, by the largest magnitude of a result. */
const WITHIN = 1e-5;

const CORE = [
  "bert_base_dynamic_t113hf433",
  "gpt2_lm_t113hf433",
  "gpt2_past_t113hf433",
  "llama_past_t26hf450",
  "olmoe_dense_t26hf5",
  "t5_encoder_t113hf433",
  "vit_cls_t113hf433",
];

test.each(CORE)(
  "machine code agrees with every kernel of %s",
  { timeout: 120_000 },
  async (name) => {
    const gaps = new Set<string>();
    for (const call of await recordedCalls(core(name))) {
      try {
        agrees(call, WITHIN);
      } catch (e) {
        if (!(e instanceof KernelGap)) throw e;
        gaps.add(`${call.kernel}: ${e.message}`);
      }
    }
    if (process.env["KERNEL_GAPS"]) expect([...gaps]).toEqual([]);
  },
);
