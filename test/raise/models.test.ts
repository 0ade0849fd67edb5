/** What raising finds in real models, held against what their authors put in, and their answers. */

import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import { census, readRaised, relativeError, roles } from "./raised.ts";

/** Counted by hand from the models' configurations. */
interface Truth {
  readonly nn: Readonly<Record<string, number>>;
  readonly roles: Readonly<Record<string, number>>;
}

/** 4 projections of attention and 2 linears of the feed-forward network in each layer. */
const encoder = (layers: number) => ({
  "attention-projection": 4 * layers,
  "feed-forward": 2 * layers,
});

/** Two layers; the file traces them twice, once for each output, and the compiler computes them once. */
const BERT: Truth = {
  nn: {
    "nn.linear": 13,
    "nn.attention": 2,
    "nn.embedding": 2,
    "nn.layer_norm": 5,
    // One GELU a layer, and the tanh of the pooler.
    "nn.activation": 3,
  },
  roles: { ...encoder(2), other: 1 },
};

const LLAMA: Truth["nn"] = {
  "nn.linear": 15,
  "nn.attention": 2,
  "nn.rms_norm": 5,
  "nn.embedding": 1,
  "nn.gated": 2,
  "nn.rope": 4,
  "nn.residual": 4,
};

const LLAMA_ROLES = { "attention-projection": 8, "feed-forward": 6, head: 1 };

/** Two norms a layer and one at the end; OLMoE has two more for queries and keys. */
const mixture = (layers: number, experts: number, norms: number): Truth => ({
  nn: {
    "nn.linear": layers * (4 + 1 + 3 * experts) + 1,
    "nn.attention": layers,
    "nn.rms_norm": norms * layers + 1,
    "nn.rope": 2 * layers,
    "nn.router": layers,
    "nn.combine": layers,
    "nn.gated": layers * experts,
    "nn.residual": 2 * layers,
    "nn.embedding": 1,
  },
  roles: {
    "attention-projection": 4 * layers,
    router: layers,
    expert: 3 * experts * layers,
    head: 1,
  },
});

const gpt2 = (layers: number): Truth => ({
  nn: {
    // Queries, keys and values are one matrix.
    "nn.linear": 4 * layers + 1,
    "nn.attention": layers,
    "nn.layer_norm": 2 * layers + 1,
    "nn.activation": layers,
  },
  roles: { "attention-projection": 2 * layers, "feed-forward": 2 * layers, head: 1 },
});

const TRUTH: Readonly<Record<string, Truth>> = {
  "test/corpus/bert_base_dynamic_t113hf433": BERT,
  "test/corpus/bert_base_dynamic_t26dynhf450": BERT,
  "test/corpus/bert_mlm_static_t113hf433": {
    nn: { "nn.linear": 14, "nn.attention": 2, "nn.layer_norm": 6, "nn.activation": 3 },
    roles: { ...encoder(2), head: 2 },
  },
  "test/corpus/distilbert_dynamic_t113hf433": {
    nn: { "nn.linear": 14, "nn.attention": 2, "nn.layer_norm": 5, "nn.activation": 3 },
    roles: { ...encoder(2), head: 1, other: 1 },
  },
  "test/corpus/gpt2_lm_t113hf433": gpt2(2),
  "test/corpus/gpt2_past_t113hf433": {
    ...gpt2(2),
    nn: { ...gpt2(2).nn, "nn.cache_append": 4 },
  },
  "test/corpus/llama_past_t26hf450": {
    nn: { ...LLAMA, "nn.cache_append": 4 },
    roles: LLAMA_ROLES,
  },
  "test/corpus/llama_static_t26dynhf450": { nn: LLAMA, roles: LLAMA_ROLES },
  "test/corpus/llama_static_t26hf450": { nn: LLAMA, roles: LLAMA_ROLES },
  "test/corpus/mixtral_loop_t26hf446": mixture(2, 4, 2),
  "test/corpus/mobilebert_scaled_t113hf433": {
    // 3 layers: 4 of attention, 4 pairs of feed-forward, 3 bottlenecks; embeddings and pooler.
    nn: { "nn.linear": 47, "nn.attention": 3, "nn.embedding": 2 },
    roles: { "attention-projection": 12, "feed-forward": 24, other: 11 },
  },
  "test/corpus/olmoe_dense_t26hf5": {
    ...mixture(2, 8, 4),
    // Gate and up are one matrix here.
    nn: { ...mixture(2, 8, 4).nn, "nn.linear": 2 * (4 + 1 + 2 * 8) + 1 },
    roles: { ...mixture(2, 8, 4).roles, expert: 2 * 2 * 8 },
  },
  "test/corpus/olmoe_loop_t26hf446": mixture(2, 8, 4),
  "test/corpus/t5_encoder_t113hf433": {
    nn: { "nn.linear": 12, "nn.attention": 2, "nn.rms_norm": 5, "nn.activation": 2 },
    roles: encoder(2),
  },
  "test/corpus/vit_cls_t113hf433": {
    // The convolution of patches is a linear too.
    nn: { "nn.linear": 14, "nn.attention": 2, "nn.layer_norm": 5, "nn.activation": 2 },
    roles: { ...encoder(2), head: 1, patch: 1 },
  },
  "test/corpus/albert_shared_t113hf433": {
    // One layer, three times; the embedding's projection and the pooler.
    nn: { "nn.linear": 20, "nn.attention": 3, "nn.layer_norm": 7, "nn.activation": 4 },
    roles: { ...encoder(3), other: 2 },
  },
  "test/corpus/bart_seq2seq_t113hf433": {
    // Two layers each side; those of the decoder attend twice. One more norm behind each embedding.
    nn: { "nn.linear": 33, "nn.attention": 6, "nn.layer_norm": 12, "nn.activation": 4 },
    roles: { "attention-projection": 8 + 16, "feed-forward": 8, head: 1 },
  },
  "test/corpus/bert_mlm_static_t113hf433_int8dyn": {
    nn: { "nn.linear": 14, "nn.attention": 2, "nn.layer_norm": 6, "nn.activation": 3 },
    roles: { ...encoder(2), head: 2 },
  },
  "test/corpus/bigdec_tiny_moe_external": {
    // Two layers of 8 experts and one that all tokens share.
    nn: {
      ...mixture(2, 8, 2).nn,
      "nn.linear": 2 * (4 + 1 + 3 * 9) + 1,
      "nn.gated": 2 * 9,
      "nn.residual": 6,
    },
    roles: { ...mixture(2, 8, 2).roles, "feed-forward": 2 * 3 },
  },
  "test/corpus/deeploy_CCT_2_32_32_128_Opset20": {
    // A convolution, two layers, the pooling of tokens by attention scores, and the classifier.
    nn: { "nn.linear": 15, "nn.attention": 2, "nn.layer_norm": 5, "nn.softmax": 1 },
    roles: { ...encoder(2), patch: 1, head: 2 },
  },
  "test/corpus/gptneox_lm_t113hf433": {
    // Attention and feed-forward run beside each other, each behind a norm of its own.
    nn: { "nn.linear": 9, "nn.attention": 2, "nn.layer_norm": 5, "nn.rope": 4, "nn.activation": 2 },
    roles: { "attention-projection": 4, "feed-forward": 4, head: 1 },
  },
  "test/corpus/llama_fp16_static_t26hf450": { nn: LLAMA, roles: LLAMA_ROLES },
  "test/corpus/llama_gqa_t113hf433": { nn: LLAMA, roles: LLAMA_ROLES },
  "test/corpus/mistral_window_t26hf450": { nn: LLAMA, roles: LLAMA_ROLES },
  "test/corpus/olmoe_dense_t26dynhf5": {
    ...mixture(2, 8, 4),
    nn: { ...mixture(2, 8, 4).nn, "nn.linear": 2 * (4 + 1 + 2 * 8) + 1 },
    roles: { ...mixture(2, 8, 4).roles, expert: 2 * 2 * 8 },
  },
  "test/corpus/opt_lm_t113hf433": {
    nn: { "nn.linear": 13, "nn.attention": 2, "nn.layer_norm": 5, "nn.activation": 2 },
    roles: { ...encoder(2), head: 1 },
  },
  "test/corpus/phi3_fusedqkv_t26hf446": {
    // Queries, keys and values are one matrix, gate and up another.
    nn: { ...LLAMA, "nn.linear": 9 },
    roles: { "attention-projection": 4, "feed-forward": 4, head: 1 },
  },
  "test/corpus/qwen3_lm_t26hf5": {
    // Queries and keys have norms of their own.
    nn: { ...LLAMA, "nn.rms_norm": 9 },
    roles: LLAMA_ROLES,
  },
  "test/corpus/whisper_encoder_t113hf433": {
    // Two convolutions over time, a GELU behind each.
    nn: { "nn.linear": 14, "nn.attention": 2, "nn.layer_norm": 5, "nn.activation": 4 },
    roles: { ...encoder(2), patch: 2 },
  },
  "samples/gpt2-bytes": gpt2(4),
  "samples/olmoe-bytes": mixture(3, 8, 4),
};

/** Traces of modules that were written out and should have been found. */
const LEFT_OVER = ["Softmax", "Erf", "ReduceMean", "Gemm", "Sqrt", "Sigmoid", "NonZero", "TopK"];

const SETS = ["test_data_set_0", "test_data_set_1"];

describe.each(Object.entries(TRUTH))("%s", (folder, truth) => {
  test("holds what its configuration says, and nothing written out", () => {
    const { module } = readRaised(folder);
    const found = census(module);
    expect(found).toMatchObject(truth.nn);
    expect(roles(module)).toEqual(truth.roles);
    for (const name of LEFT_OVER) expect(found, name).not.toHaveProperty(`onnx.${name}`);
    const named = module.ops.filter((op) => op.kind === "nn.linear");
    for (const op of named) expect(op.attrs["module"], op.origin.join()).toMatch(/^\w+(\.\w+)*$/);
    for (const op of module.ops) {
      for (const r of op.results) expect(r.type.shape, op.kind).not.toContain(null);
      if (op.kind !== "onnx.Constant") expect(op.origin).not.toEqual([]);
    }
  });

  test.each(SETS.filter((s) => existsSync(`${folder}/${s}`)))(
    "gives the recorded answer on %s",
    async (set) => {
      const { module, store, sample } = readRaised(folder, set);
      const actual = await runModel(exportModule(module, store), sample.inputs);
      // The recorded outputs are another framework's: there even the file itself is off by 2.5e-4.
      const original = await runModel(`${folder}/model.onnx`, sample.inputs);
      for (const [name, recorded] of sample.outputs) {
        const value = actual.get(name);
        // Half a float has 11 bits; where it is rounded may change.
        const tolerance = recorded.elem === "f16" ? 4 * 2 ** -11 : 1e-4;
        expect(relativeError(value, original.get(name) ?? recorded), name).toBeLessThan(tolerance);
        expect(relativeError(value, recorded), name).toBeLessThan(10 * tolerance);
      }
    },
  );
});
