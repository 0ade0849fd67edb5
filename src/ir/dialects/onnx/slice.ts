/** The arithmetic of Slice: what is cut from each axis. */

import type { Dim } from "../../../tensor/tensor.ts";
import { impossible, normaliseAxis, type Shape } from "./shape.ts";

export interface Cut {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Of the operands x, starts, ends, axes, steps: null where not known, undefined where absent. */
export type SliceValues = readonly (readonly number[] | null | undefined)[];

/** The cut of every axis that is named, before clamping; null when something needed is not known. */
export function slicesOf(shape: Shape, values: SliceValues): ReadonlyMap<number, Cut> | null {
  const [, starts, ends, axes, steps] = values;
  if (!starts || !ends || axes === null || steps === null) return null;
  const cuts = starts.map((start, i): [number, Cut] => {
    const axis = normaliseAxis(axes?.[i] ?? i, shape.length);
    return [axis, { start, end: ends[i] ?? 0, step: steps?.[i] ?? 1 }];
  });
  return new Map(cuts);
}

/** `lengths` are the lengths of the operands' first axes, for when their values are not known. */
export function sliceShape(shape: Shape, values: SliceValues, lengths: readonly Dim[]): Dim[] {
  const cuts = slicesOf(shape, values);
  if (cuts) return shape.map((d, i) => cutLength(d, cuts.get(i)));
  const axes = values[3] === undefined ? upTo(lengths[1] ?? null) : values[3];
  if (!axes) return shape.map(() => null);
  const named = axes.map((a) => normaliseAxis(a, shape.length));
  return shape.map((d, i) => (named.includes(i) ? null : d));
}

const upTo = (n: Dim): readonly number[] | null =>
  n === null ? null : Array.from({ length: n }, (_, i) => i);

function cutLength(dim: Dim, cut: Cut | undefined): Dim {
  if (cut === undefined) return dim;
  if (cut.step === 0) impossible("a step of 0");
  if (dim === null || dim === 0) return dim;
  const { start, end } = clamped(dim, cut);
  return Math.max(0, Math.ceil((end - start) / cut.step));
}

/** Start and end within the axis, counted from its beginning. */
function clamped(dim: number, { start, end, step }: Cut): { start: number; end: number } {
  const fromStart = (at: number) => (at < 0 ? at + dim : at);
  const [low, high] = step > 0 ? [0, dim] : [-1, dim - 1];
  const within = (at: number) => Math.min(Math.max(at, low), high);
  return { start: Math.max(within(fromStart(start)), 0), end: within(fromStart(end)) };
}

/** True when the cut leaves the axis as it is. */
export const isWhole = (dim: Dim, cut: Cut): boolean =>
  dim !== null && cut.step === 1 && cutLength(dim, cut) === dim;
