/** Models of ONNX Runtime's optimiser and model builder: their modules are on tiles and clusters. */

import { expect, test } from "vitest";
import { dimsOf } from "../../src/data/sample.ts";
import { readSampleFolder } from "../../src/data/sample-folder.ts";
import { compileModel } from "../../src/driver/compile.ts";
import { readPorts } from "../../src/onnx/read.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";

async function kindsOf(name: string): Promise<readonly string[]> {
  const folder = `test/corpus/${name}`;
  const model = `${folder}/model.onnx`;
  const { inputs, outputs } = readPorts(model);
  const names = (ports: typeof inputs) => ports.map((p) => p.name);
  const set = `${folder}/test_data_set_0`;
  const sample = readSampleFolder(set, names(inputs), names(outputs)).inputs;
  const { module } = await compileModel({
    model,
    target: loadTarget("ahwa-lora"),
    dims: dimsOf(inputs, sample, {}),
    samples: [sample],
    options: { policy: loadPolicy("default"), lora: { kind: "none" }, seed: 0, tokens: "auto" },
    dump: [],
    verifyEach: false,
  });
  return module.ops.map((op) => String(op.attrs["fn"] ?? op.kind));
}

/** Attentions, and products with weights: projections, feed-forward layers, heads. */
const MODELS = [
  ["bert_base_dynamic_t113hf433_ortext", 2, 13],
  ["genai_tiny-random-gpt2-fp32_past", 5, 20],
  // Queries, keys and values have the same weights, which are programmed once.
  ["ort_tr_attention_mha", 1, 2],
  ["ort_tr_gemma3-vision-attention_fp32", 1, 2],
  ["ort_td_bert_toy_optimized", 5, 31],
  ["deeploy_CCT_1_16_16_8", 1, 7],
] as const;

test.each(MODELS)(
  "%s has %i attentions and %i products on tiles",
  async (name, heads, products) => {
    const kinds = await kindsOf(name);
    const count = (kind: string) => kinds.filter((k) => k === kind).length;
    expect(kinds.filter((k) => k.includes("com.microsoft"))).toEqual([]);
    expect(count("nn.attention")).toBe(heads);
    expect(count("program.launch")).toBeGreaterThanOrEqual(products);
    expect(count("onnx.Softmax")).toBe(0);
  },
);
