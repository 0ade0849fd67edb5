/** What the original model computes inside, on the sample inputs: the ground of calibration. */

import type { PassContext } from "../../passes/pass.ts";
import { isWeightRef, type Module, type Value } from "../ir/op.ts";
import { exportModule } from "../onnx/export.ts";
import { type Tap, tapModel } from "../reference/tap.ts";
import { toF32 } from "../tensor/convert.ts";
import { bytesPer, sizeOf } from "../tensor/tensor.ts";
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
    const taps = await tapsOf(original, names);
    for (const sample of samples) {
      const shown = await Promise.all(taps.map((tap) => tap.run(new Map(sample))));
      const tensors = new Map(shown.flatMap((tensors) => [...tensors]));
      for (const v of named) {
        const tensor = tensors.get(v.tensor as string);
        if (!tensor) continue;
        const list = seen.get(v) ?? [];
        list.push(toF32(tensor));
        seen.set(v, list);
      }
    }
    for (const tap of taps) await tap.close();
    return seen;
  };

/**
 * The file shows its own tensors; those inside of functions and loops are shown by the module as it was read,
 * where these are inlined.
 */
async function tapsOf(original: Original, names: readonly string[]): Promise<readonly Tap[]> {
  const outer = await onOriginal(original, (model) => tapModel(model, names));
  const inner = names.filter((name) => !outer.names.includes(name));
  if (inner.length === 0 || !isWritable(original.source)) return [outer];
  const bytes = exportModule(original.source, original.store);
  return [outer, await tapModel(bytes, inner)];
}

/** A message holds at most 2 GiB; the graph itself needs far less than an eighth of them. */
const MOST_BYTES = 2 ** 31 - 2 ** 28;

function isWritable(module: Module): boolean {
  const sizes = module.ops.map(({ attrs }) => {
    const value = attrs["value"];
    return isWeightRef(value) ? sizeOf(value.type.shape) * bytesPer(value.type.elem) : 0;
  });
  return sizes.reduce((a, b) => a + b, 0) < MOST_BYTES;
}
