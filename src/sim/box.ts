/** Parts of tensors: a box, one range of indices for each axis. Element types stay as they are. */

import { stridesOf, type Tensor, type TensorData } from "../tensor/tensor.ts";
import { runsOf, staysInFile, within } from "../weights/tensor-file.ts";
import type { Range } from "./domain.ts";

/** A box of a row-major tensor of one shape, as runs of consecutive elements. */
export interface Box {
  readonly ranges: readonly Range[];
  readonly shape: readonly number[];
  /** Where the runs start, in order, and how long each is. */
  readonly starts: readonly number[];
  readonly run: number;
}

export function boxOf(whole: readonly number[], ranges: readonly Range[]): Box {
  const steps = stridesOf(whole);
  const shape = ranges.map(([lo, hi]) => hi - lo);
  // Trailing axes that are taken whole lengthen the runs of the axis before them.
  let axes = ranges.length;
  let run = 1;
  while (axes > 0) {
    axes--;
    run *= shape[axes] as number;
    if (shape[axes] !== whole[axes]) break;
  }
  let starts = [ranges.reduce((at, [lo], i) => at + lo * (steps[i] as number), 0)];
  for (let i = 0; i < axes; i++) {
    const along = Array.from({ length: shape[i] as number }, (_, k) => k * (steps[i] as number));
    starts = starts.flatMap((at) => along.map((offset) => at + offset));
  }
  return { ranges, shape, starts: run === 0 ? [] : starts, run };
}

/** Bytes that a file's tensor has at most to be read whole for a part of it. */
const SMALL = 2 ** 20;

/** The box of a tensor; shares memory where it is one run, and stays in its file then. */
export function sliced(t: Tensor, { shape, starts, run }: Box): Tensor {
  const { elem } = t;
  const from = staysInFile(t, SMALL) ? t : { elem, shape: t.shape, data: t.data };
  const [start = 0] = starts;
  if (starts.length === 1) return within(from, start, shape);
  return { elem, shape, data: runsOf(from, starts, run) };
}

/** Overwrites the box of a tensor with `value`, whose shape is the box's. */
export function fillBox(into: Tensor, { starts, run }: Box, value: TensorData): void {
  const target = into.data as Float32Array;
  const source = value as Float32Array;
  if (starts.length === 1) {
    target.set(source, starts[0]);
    return;
  }
  for (const [i, at] of starts.entries()) target.set(source.subarray(i * run, (i + 1) * run), at);
}
