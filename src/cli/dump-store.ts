/** The constants that a dump names: the model file's own, and those that the compiler computed. */

import { existsSync } from "node:fs";
import { fail, inFile } from "../diag/diagnostic.ts";
import type { WeightRef } from "../ir/op.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { ModelStore } from "../weights/model-store.ts";
import { openSafetensors } from "../weights/safetensors.ts";
import type { WeightStore } from "../weights/store.ts";

/**
 * A store over the model's constants, if there is a model, and a safetensors file, if there is one.
 * Errors: A007 when a pass asks for a constant that neither has.
 */
export function dumpStore(
  model: WeightStore | undefined,
  computedFile: string,
  dump: string,
): WeightStore {
  const computed = existsSync(computedFile) ? openSafetensors(computedFile) : undefined;
  const added = new ModelStore();
  const has = (name: string) =>
    added.has(name) || computed?.has(name) === true || model?.has(name) === true;
  return {
    has,
    add(name, value) {
      let free = name;
      for (let i = 1; has(free); i++) free = `${name}_${i}`;
      return added.add(free, value);
    },
    load(ref: WeightRef): Tensor {
      if (added.has(ref.weight)) return added.load(ref);
      if (computed?.has(ref.weight)) return computed.load(ref.weight);
      if (model?.has(ref.weight)) return model.load(ref);
      const hint = "give the file that the dump was made from with --model";
      return fail("A007", `nothing holds the constant '${ref.weight}'`, inFile(dump), hint);
    },
  };
}
