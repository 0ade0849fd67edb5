/** Copies parts of tensors: a box of one into a box of another, element type unchanged. */

import { allocate, sizeOf, stridesOf, type Tensor, type TensorData } from "../tensor/tensor.ts";
import type { Range } from "./domain.ts";
import { sizes } from "./plan.ts";

interface Side {
  readonly data: TensorData;
  readonly shape: readonly number[];
  /** First index of the box on each axis. */
  readonly at: readonly number[];
}

/** Copies a box of the given size; both sides have the same element type. */
export function copyBox(from: Side, to: Side, size: readonly number[]): void {
  if (size.includes(0)) return;
  const [fromSteps, toSteps] = [stridesOf(from.shape), stridesOf(to.shape)];
  const dot = (at: readonly number[], steps: readonly number[]) =>
    at.reduce((sum, v, axis) => sum + v * (steps[axis] ?? 0), 0);
  // Trailing axes that are whole on both sides form one run with the axis before them.
  let axes = size.length;
  let run = 1;
  while (axes > 0) {
    axes--;
    run *= size[axes] ?? 1;
    if (size[axes] !== from.shape[axes] || size[axes] !== to.shape[axes]) break;
  }
  const into = to.data as Float32Array; // Any type: elements are only moved.
  const source = from.data as Float32Array;
  const walk = (depth: number, a: number, b: number): void => {
    if (depth === axes) {
      into.set(source.subarray(a, a + run), b);
      return;
    }
    for (let i = 0; i < (size[depth] ?? 0); i++) {
      walk(depth + 1, a + i * (fromSteps[depth] ?? 0), b + i * (toSteps[depth] ?? 0));
    }
  };
  walk(0, dot(from.at, fromSteps), dot(to.at, toSteps));
}

/** The part of a tensor in the ranges; the tensor itself when that is all of it. */
export function sliced(t: Tensor, ranges: readonly Range[]): Tensor {
  const shape = sizes(ranges);
  if (shape.every((d, i) => d === t.shape[i])) return t;
  const data = allocate(t.elem, sizeOf(shape));
  const at = ranges.map(([lo]) => lo);
  copyBox({ ...t, at }, { data, shape, at: shape.map(() => 0) }, shape);
  return { elem: t.elem, shape, data };
}
