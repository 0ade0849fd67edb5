/** How good a language model is on text that it has not seen. */

import { fail } from "../diag/diagnostic.ts";
import { toF32, toNumbers } from "../tensor/convert.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Mean surprise of the targets in bits: the average of -log2 softmax(logits)[target].
 * With one byte a token these are bits per byte.
 *
 * logits: [..., vocabulary]; targets: integers, one for each vector of logits.
 * Errors: A430 when the sizes do not belong together or a target is outside the vocabulary.
 */
export function bitsPerToken(logits: Tensor, targets: Tensor): number {
  const width = logits.shape.at(-1) ?? 0;
  const wanted = toNumbers(targets);
  const values = toF32(logits);
  if (width === 0 || values.length !== wanted.length * width) {
    const text = `${wanted.length} labels do not fit logits of shape [${logits.shape.join(", ")}]`;
    fail("A430", text, { kind: "command" }, "give one label for each vector of logits");
  }
  let nats = 0;
  wanted.forEach((target, i) => {
    if (!Number.isInteger(target) || target < 0 || target >= width) {
      const hint = `labels lie between 0 and ${width - 1}`;
      fail("A430", `label ${target} is not in the vocabulary`, { kind: "command" }, hint);
    }
    nats += surprise(values.subarray(i * width, (i + 1) * width), target);
  });
  return nats / wanted.length / Math.LN2;
}

/** -ln softmax(logits)[target], shifted by the largest logit so that no exponential overflows. */
function surprise(logits: Float32Array, target: number): number {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (const v of logits) sum += Math.exp(v - top);
  return Math.log(sum) + top - (logits[target] as number);
}
