/** Reads a PEFT LoRA adapter: a folder with adapter_config.json and adapter_model.safetensors. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Diagnostic, fail, InputError, inFile } from "../diag/diagnostic.ts";
import { isFloat, type Tensor } from "../tensor/tensor.ts";
import { openSafetensors, type SafetensorsFile } from "./safetensors.ts";

interface Pair {
  readonly a: Tensor;
  readonly b: Tensor;
}

interface Adapter {
  readonly folder: string;
  readonly alpha: number;
  readonly rank: number;
  /** By module path: A is [rank, in], B is [out, rank]. */
  readonly modules: ReadonlyMap<string, Pair>;
}

const Config = z.looseObject({
  peft_type: z.string().optional(),
  r: z.int().min(1),
  lora_alpha: z.number(),
  bias: z.string().nullish(),
  use_rslora: z.boolean().nullish(),
  use_dora: z.boolean().nullish(),
  rank_pattern: z.record(z.string(), z.unknown()).nullish(),
  alpha_pattern: z.record(z.string(), z.unknown()).nullish(),
  modules_to_save: z.array(z.string()).nullish(),
});
type Config = z.infer<typeof Config>;

/** What PEFT puts before every module path, and the name that it gives an unnamed adapter. */
const NAME = /^(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight$/;

/** Throws A206 for a folder that is not a LoRA adapter, or is one of a variety that is not supported. */
export function readAdapter(folder: string): Adapter {
  const config = readConfig(join(folder, "adapter_config.json"));
  const path = join(folder, "adapter_model.safetensors");
  if (!existsSync(path)) {
    const hint = "PEFT's save_pretrained writes it; older .bin files have to be saved again";
    fail("A206", "the adapter has no adapter_model.safetensors", inFile(folder), hint);
  }
  const modules = pairsOf(openSafetensors(path), path);
  return { folder, alpha: config.lora_alpha, rank: config.r, modules };
}

function readConfig(path: string): Config {
  const hint = "give the folder that PEFT's save_pretrained wrote";
  if (!existsSync(path)) fail("A206", "there is no such adapter configuration", inFile(path), hint);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return fail("A206", "the adapter configuration is not JSON", inFile(path), hint);
  }
  const checked = Config.safeParse(json);
  if (!checked.success) {
    throw new InputError(
      checked.error.issues.map((i) => fault(path, `'${i.path.join(".")}': ${i.message}`, hint)),
    );
  }
  const unsupported = [...varieties(checked.data)].map((what) =>
    fault(path, `the adapter uses ${what}, which is not supported`, "train a plain LoRA adapter"),
  );
  if (unsupported.length > 0) throw new InputError(unsupported);
  return checked.data;
}

/** What would change the meaning of the branches and is not plain LoRA. */
function* varieties(config: Config): Iterable<string> {
  if ((config.peft_type ?? "LORA") !== "LORA") yield `peft_type ${config.peft_type}`;
  if ((config.bias ?? "none") !== "none") yield "trained biases";
  if (config.use_rslora) yield "rsLoRA scaling";
  if (config.use_dora) yield "DoRA";
  if (Object.keys(config.rank_pattern ?? {}).length > 0) yield "rank_pattern";
  if (Object.keys(config.alpha_pattern ?? {}).length > 0) yield "alpha_pattern";
  if ((config.modules_to_save ?? []).length > 0) yield "modules_to_save";
}

const HALVES = "an adapter holds a lora_A.weight and a lora_B.weight for each module";

/** Modules in alphabetical order, each with both of its matrices. */
function pairsOf(file: SafetensorsFile, path: string): ReadonlyMap<string, Pair> {
  const { halves, faults } = halvesOf(file, path);
  const pairs = new Map<string, Pair>();
  for (const [module, { A: a, B: b }] of [...halves].sort(([x], [y]) => (x < y ? -1 : 1))) {
    if (a !== undefined && b !== undefined) pairs.set(module, { a: file.load(a), b: file.load(b) });
    else faults.push(fault(path, `module '${module}' has no lora_${a ? "B" : "A"}.weight`, HALVES));
  }
  if (faults.length > 0) throw new InputError(faults);
  return pairs;
}

interface Halves {
  /** Names of the tensors. */
  readonly A?: string;
  readonly B?: string;
}

function halvesOf(file: SafetensorsFile, path: string) {
  const halves = new Map<string, Halves>();
  const faults: Diagnostic[] = [];
  for (const { name, elem, shape } of file.specs) {
    const [, module, half] = NAME.exec(name) ?? [];
    if (module === undefined || half === undefined || shape.length !== 2 || !isFloat(elem)) {
      faults.push(fault(path, `'${name}' is not a matrix of a LoRA branch`, HALVES));
      continue;
    }
    halves.set(module, { ...halves.get(module), [half]: name });
  }
  if (file.specs.length === 0) faults.push(fault(path, "the adapter is empty", HALVES));
  return { halves, faults };
}

const fault = (file: string, text: string, hint: string): Diagnostic => ({
  code: "A206",
  text,
  at: inFile(file),
  hint,
});
