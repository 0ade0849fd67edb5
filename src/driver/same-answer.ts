/**
 * Translation validation: after each pass the module, exported to ONNX, must give the answer of the
 * original file on ONNX Runtime.
 */

import { differenceOf } from "../compare/difference.ts";
import { exportModule } from "../onnx/export.ts";
import { runExactly } from "../reference/exact.ts";
import type { Elem, Tensor } from "../tensor/tensor.ts";
import type { CompileRequest } from "./compile.ts";
import { type Original, onOriginal } from "./original.ts";
import type { Step } from "./run-passes.ts";

/**
 * Largest error allowed, relative to the output's largest absolute value. Half floats carry 11 and 8
 * significant bits, and a pass may change where rounding happens: four units in the last place.
 */
const TOLERANCE: Partial<Record<Elem, number>> = { f16: 4 * 2 ** -11, bf16: 4 * 2 ** -8 };
const SINGLE_TOLERANCE = 1e-4;

/** A check to run after each pass. Throws when the answer changes: that is our own fault. */
export function sameAnswer(
  request: CompileRequest,
  original: Original,
): (step: Step) => Promise<void> {
  const [sample] = request.samples;
  if (!sample) throw new Error("checking every pass takes sample inputs");
  const feeds = new Map(sample);
  let expected: ReadonlyMap<string, Tensor> | null = null;
  return async ({ pass, after }) => {
    expected ??= await onOriginal(original, (file) => runExactly(file, feeds));
    const actual = await runExactly(exportModule(after, original.store), feeds);
    // A trained adapter changes the answer on purpose; what follows must keep the new one.
    if (pass.name === "lora" && request.options.lora.kind === "adapter") expected = actual;
    for (const [name, value] of expected) {
      const error = differenceOf(actual.get(name), value).relative;
      if (!(error <= (TOLERANCE[value.elem] ?? SINGLE_TOLERANCE))) {
        throw new Error(`after ${pass.name}, output '${name}' is off by ${error.toExponential(2)}`);
      }
    }
  };
}
