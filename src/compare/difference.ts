/** How far two tensors are apart, in the few numbers that verification reports. */

import { toF32 } from "../tensor/convert.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface Difference {
  /** Largest absolute difference; Infinity where exactly one side is not finite. */
  readonly maxError: number;
  /** Largest finite absolute value of the reference. */
  readonly maxReference: number;
  /** maxError / maxReference: 0 when both are 0. */
  readonly relative: number;
  /** Cosine of the angle between the two, 1 when they point the same way; NaN when one is all zero. */
  readonly cosine: number;
  /**
   * Signal-to-noise ratio in decibels: 10 log10 of sum e^2 / sum (a - e)^2, e being the reference. Infinity when
   * both are equal, -Infinity when one side alone is not finite somewhere or the reference is all zero.
   */
  readonly snr: number;
}

/** Errors: none. A tensor of another size is infinitely far. */
export function differenceOf(actual: Tensor | undefined, expected: Tensor): Difference {
  const e = toF32(expected);
  const a = actual ? toF32(actual) : new Float32Array(0);
  const maxReference = largest(e);
  if (a.length !== e.length) {
    return {
      maxError: Infinity,
      maxReference,
      relative: Infinity,
      cosine: Number.NaN,
      snr: -Infinity,
    };
  }
  const maxError = largestDifference(a, e);
  const relative = maxError === 0 ? 0 : maxError / maxReference;
  const snr = maxError === Infinity ? -Infinity : signalToNoise(a, e);
  return { maxError, maxReference, relative, cosine: cosineOf(a, e), snr };
}

function largest(values: Float32Array): number {
  let found = 0;
  for (const v of values) if (Number.isFinite(v) && Math.abs(v) > found) found = Math.abs(v);
  return found;
}

function largestDifference(a: Float32Array, e: Float32Array): number {
  let found = 0;
  for (let i = 0; i < e.length; i++) {
    const x = a[i] as number;
    const y = e[i] as number;
    if (Object.is(x, y) || x === y) continue; // Also equal infinities and NaNs.
    const d = Math.abs(x - y);
    if (!Number.isFinite(d)) return Infinity;
    if (d > found) found = d;
  }
  return found;
}

function cosineOf(a: Float32Array, e: Float32Array): number {
  let dot = 0;
  let aa = 0;
  let ee = 0;
  for (let i = 0; i < e.length; i++) {
    const x = a[i] as number;
    const y = e[i] as number;
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    dot += x * y;
    aa += x * x;
    ee += y * y;
  }
  return aa === 0 && ee === 0 ? 1 : dot / Math.sqrt(aa * ee);
}

function signalToNoise(a: Float32Array, e: Float32Array): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < e.length; i++) {
    const y = e[i] as number;
    // Not finite here means equal: the caller has looked.
    if (!Number.isFinite(y)) continue;
    signal += y * y;
    noise += ((a[i] as number) - y) ** 2;
  }
  return noise === 0 ? Infinity : 10 * Math.log10(signal / noise);
}

/** Share of vectors along the last axis whose largest element is at the same place in both. */
export function argmaxAgreement(actual: Tensor, expected: Tensor): number {
  const width = expected.shape.at(-1) ?? 1;
  const a = toF32(actual);
  const e = toF32(expected);
  const vectors = width === 0 ? 0 : e.length / width;
  let same = 0;
  for (let v = 0; v < vectors; v++) {
    if (argmax(a, v * width, width) === argmax(e, v * width, width)) same += 1;
  }
  return vectors === 0 ? 1 : same / vectors;
}

function argmax(values: Float32Array, at: number, width: number): number {
  let best = 0;
  for (let i = 1; i < width; i++) {
    if ((values[at + i] as number) > (values[at + best] as number)) best = i;
  }
  return best;
}
