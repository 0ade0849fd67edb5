/** The corpus: real models and pieces of models, with what their authors recorded. */

import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

export interface Case {
  readonly name: string;
  readonly folder: string;
  readonly model: string;
  /** Folders of recorded inputs and outputs. */
  readonly data: readonly string[];
}

/** Older than opset 7: ONNX Runtime has no operators for these, so that only their recorded outputs judge. */
const LEGACY = ["onnx_op_basic", "onnx_op_params", "onnx_op_pow", "onnx_pt_GLU", "onnx_pt_Linear"];

/** Operators that only their authors have, and a model without its weights. */
const REFUSED = [
  "deeploy_EEGFormer",
  "deeploy_k_FP32_RMSNorm_single_fused_op",
  "deeploy_k_Integer_Attention",
  "deeploy_k_Integer_RMSNorm",
  "stream_swiglu_64_128_256",
];

function caseIn(folder: string): Case {
  const data = readdirSync(folder).filter((name) => name.startsWith("test_data_set_"));
  const model = join(folder, "model.onnx");
  return { name: basename(folder), folder, model, data: data.sort().map((d) => join(folder, d)) };
}

const casesIn = (root: string): Case[] =>
  readdirSync(root)
    .sort()
    .map((name) => join(root, name))
    .filter((folder) => existsSync(join(folder, "model.onnx")))
    .map(caseIn);

const isOneOf =
  (names: readonly string[]) =>
  ({ name }: Case): boolean =>
    names.includes(name);

/** Language models that were trained, so that their quality means something. */
export const TRAINED: readonly Case[] = casesIn("samples");

const whole = casesIn("test/corpus");
const pieces = casesIn("test/corpus/fragments");

/** Models as wholes, with random weights. */
export const MODELS: readonly Case[] = whole.filter((c) => !isOneOf(REFUSED)(c));

/** Single operators and patterns of a few nodes. */
export const FRAGMENTS: readonly Case[] = pieces.filter((c) => !isOneOf(REFUSED)(c));

export const isLegacy = isOneOf(LEGACY);

/** What has to be refused. */
export const UNSUPPORTED: readonly Case[] = [...whole, ...pieces].filter(isOneOf(REFUSED));
