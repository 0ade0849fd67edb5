/**
 * Trained adapters as PEFT stores them: a folder with adapter_config.json and adapter_model.safetensors.
 * Source: huggingface.co/docs/peft/developer_guides/checkpoint.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Adapter } from "../../passes/options.ts";
import { fail, inFile } from "../diag/diagnostic.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { readSafetensors } from "../weights/safetensors.ts";

const Config = z.looseObject({
  r: z.int().min(1),
  lora_alpha: z.number().positive(),
  peft_type: z.literal("LORA"),
  use_dora: z.literal(false).optional(),
  use_rslora: z.literal(false).optional(),
});

const HINT =
  "an adapter is a folder with adapter_config.json and adapter_model.safetensors, as PEFT saves it";

/** Errors: A427 when the folder is no LoRA adapter, or holds half a module. */
export function readAdapter(folder: string): Adapter {
  const config = readConfig(join(folder, "adapter_config.json"));
  const path = join(folder, "adapter_model.safetensors");
  if (!existsSync(path)) fail("A427", "the adapter has no weights", inFile(path), HINT);
  const halves = new Map<string, { a?: Tensor; b?: Tensor }>();
  for (const [name, value] of readSafetensors(path)) {
    const match = /^(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?(?:\.weight)?$/.exec(
      name,
    );
    const [, module, side] = match ?? [];
    if (module === undefined) {
      return fail("A427", `'${name}' is no matrix of a LoRA branch`, inFile(path), HINT);
    }
    halves.set(module, { ...halves.get(module), [side === "A" ? "a" : "b"]: value });
  }
  const modules = new Map<string, { readonly a: Tensor; readonly b: Tensor }>();
  for (const [module, { a, b }] of halves) {
    if (!a || !b) return fail("A427", `module '${module}' lacks A or B`, inFile(path), HINT);
    modules.set(module, { a, b });
  }
  return { folder, alpha: config.lora_alpha, rank: config.r, modules };
}

function readConfig(path: string): z.output<typeof Config> {
  if (!existsSync(path)) fail("A427", "this is no adapter", inFile(path), HINT);
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    fail("A427", `not JSON: ${(error as Error).message}`, inFile(path), HINT);
  }
  const checked = Config.safeParse(data);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  return fail("A427", `${issue?.path.join(".")}: ${issue?.message}`, inFile(path), HINT);
}
