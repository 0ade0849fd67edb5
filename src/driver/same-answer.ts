/**
 * Translation validation: after each pass the module, exported to ONNX, must give the answer of the
 * original file on ONNX Runtime.
 */

import { differenceOf } from "../compare/difference.ts";
import { coarseness, isQuantiser } from "../compare/precision.ts";
import { exportModule } from "../onnx/export.ts";
import { runExactly } from "../reference/exact.ts";
import { runModel } from "../reference/run.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { CompileRequest } from "./compile.ts";
import { type Original, onOriginal } from "./original.ts";
import type { Step } from "./run-passes.ts";

/**
 * Largest error allowed, relative to the output's largest absolute value. A model with half floats may be as far
 * off as they are coarse: a pass may change where rounding happens.
 */
const TOLERANCE = 1e-4;

/** Whether a pass changes the answer because the user wants it to. */
const isMeant = (pass: string, { options }: CompileRequest): boolean =>
  (pass === "lora" && options.lora.kind === "adapter") ||
  (pass === "matrix-engine" && options.matrixEngine === true);

/** A check to run after each pass. Throws when the answer changes: that is our own fault. */
export function sameAnswer(
  request: CompileRequest,
  original: Original,
): (step: Step) => Promise<void> {
  const [sample] = request.samples;
  if (!sample) throw new Error("checking every pass takes sample inputs");
  const feeds = new Map(sample);
  const { ops } = original.source;
  const elems = ops.flatMap((op) => op.results.map((r) => r.type.elem));
  const tolerance = Math.max(TOLERANCE, coarseness(elems));
  let mayTurnTies = ops.some((op) => isQuantiser(op.kind));
  let expected: ReadonlyMap<string, Tensor> | null = null;
  // What ONNX Runtime's own two runs of a model that quantises are apart is no pass's fault.
  let optimised: ReadonlyMap<string, Tensor> | null = null;
  return async ({ pass, after }) => {
    expected ??= await onOriginal(original, (file) => runExactly(file, feeds));
    const actual = await runExactly(exportModule(after, original.store), feeds);
    // A trained adapter changes the answer on purpose, and so do halves; what follows must keep the new one.
    if (isMeant(pass.name, request)) {
      expected = actual;
      mayTurnTies = false;
    }
    for (const [name, value] of expected) {
      const error = differenceOf(actual.get(name), value).relative;
      if (error <= tolerance) continue;
      if (mayTurnTies) {
        optimised ??= await onOriginal(original, (file) => runModel(file, feeds));
        if (error <= tolerance + differenceOf(optimised.get(name), value).relative) continue;
      }
      throw new Error(`after ${pass.name}, output '${name}' is off by ${error.toExponential(2)}`);
    }
  };
}
