/** What the original model computes inside, on the sample inputs: the ground of calibration. */

import type { PassContext } from "../../passes/pass.ts";
import type { Value } from "../ir/op.ts";
import { tapModel } from "../reference/tap.ts";
import { toF32 } from "../tensor/convert.ts";
import type { Sample } from "./compile.ts";
import { type Original, onOriginal } from "./original.ts";

/** An `observe` that runs the original model on every sample, one session for all of them. */
export const observer =
  (original: Original, samples: readonly Sample[]): PassContext["observe"] =>
  async (values) => {
    const named = values.filter((v) => v.tensor !== undefined);
    const seen = new Map<Value, Float32Array[]>();
    if (named.length === 0 || samples.length === 0) return seen;
    const names = [...new Set(named.map((v) => v.tensor as string))];
    const tap = await onOriginal(original, (model) => tapModel(model, names));
    for (const sample of samples) {
      const tensors = await tap.run(new Map(sample));
      for (const v of named) {
        const tensor = tensors.get(v.tensor as string);
        if (!tensor) continue;
        const list = seen.get(v) ?? [];
        list.push(toF32(tensor));
        seen.set(v, list);
      }
    }
    await tap.close();
    return seen;
  };
