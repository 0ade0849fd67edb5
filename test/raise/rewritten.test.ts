/** Whole models as other tools would have written them hold the same modules and give the same answers. */

import { describe, expect, test } from "vitest";
import { foldConstants } from "../../passes/fold-constants.ts";
import { inferShapes } from "../../passes/infer-shapes.ts";
import { shareRepeated } from "../../passes/share-repeated.ts";
import { simplify } from "../../passes/simplify.ts";
import { apply, readCorpus } from "../ir/onnx-models.ts";
import { perturbed } from "./perturb.ts";
import { census, expectSame, raised, roles } from "./raised.ts";

const MODELS = [
  "bert_base_dynamic_t113hf433",
  "bert_base_dynamic_t26dynhf450",
  "distilbert_dynamic_t113hf433",
  "gpt2_past_t113hf433",
  "gptneox_lm_t113hf433",
  "llama_static_t26dynhf450",
  "llama_past_t26hf450",
  "mistral_window_t26hf450",
  "mixtral_loop_t26hf446",
  "mobilebert_scaled_t113hf433",
  "olmoe_dense_t26dynhf5",
  "opt_lm_t113hf433",
  "phi3_fusedqkv_t26hf446",
  "t5_encoder_t113hf433",
  "vit_cls_t113hf433",
  "whisper_encoder_t113hf433",
];

/** Kinds of the nn level; what is between them may be written with more or fewer operations. */
const modules = (counts: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(counts).filter(([kind]) => kind.startsWith("nn.")));

describe.each(MODELS)("%s", (name) => {
  test.each([1, 4])("rewritten by seed %i", async (seed) => {
    const { module, store, sample } = readCorpus(`${name}/test_data_set_0`);
    const typed = [inferShapes, foldConstants, simplify, shareRepeated].reduce(
      (m, p) => apply(p, m, store),
      module,
    );
    const changed = perturbed(typed, seed);
    const [plain, after] = [raised(typed, store), raised(changed, store)];
    expect(modules(census(after))).toEqual(modules(census(plain)));
    expect(roles(after)).toEqual(roles(plain));
    await expectSame(typed, after, store, sample.inputs, 1e-4);
  });
});
