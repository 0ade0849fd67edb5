/**
 * Walking several tensors in step: broadcasting, transposing and slicing are all the same walk over
 * one index space, where each tensor has its own stride on every axis.
 */

import { allocate, sizeOf, stridesOf, type Tensor, type TensorData } from "../tensor.ts";
import { KernelFault } from "./kernel.ts";

/** How one tensor is walked: the element at index i is at + sum(i[axis] * strides[axis]). */
export interface Walk {
  readonly at: number;
  readonly strides: readonly number[];
}

/** The shape that numpy broadcasting gives; throws where sizes differ and neither is 1. */
export function broadcastShape(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((s) => s[axis - rank + s.length] ?? 1);
    const size = sizes.find((d) => d !== 1) ?? 1;
    if (sizes.some((d) => d !== 1 && d !== size)) {
      throw new KernelFault(`shapes do not broadcast: ${shapes.map((s) => `[${s.join(", ")}]`)}`);
    }
    return size;
  });
}

/** A tensor of `shape` repeated over `result`: stride 0 where its own axis is absent or 1. */
export function broadcastWalk(shape: readonly number[], result: readonly number[]): Walk {
  const own = stridesOf(shape);
  const shift = result.length - shape.length;
  return {
    at: 0,
    strides: result.map((_, i) => ((shape[i - shift] ?? 1) === 1 ? 0 : (own[i - shift] ?? 0))),
  };
}

/** Drops axes of size 1 and merges neighbours that every walk steps through as one. */
function coalesce(shape: readonly number[], walks: readonly Walk[]) {
  const dims: number[] = [];
  const strides: number[][] = walks.map(() => []);
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const last = dims.length - 1;
    const step = walks.map((w) => w.strides[axis] ?? 0);
    const joins = last >= 0 && strides.every((s, i) => s[last] === (step[i] ?? 0) * size);
    if (joins) {
      dims[last] = (dims[last] ?? 1) * size;
      strides.forEach((s, i) => {
        s[last] = step[i] ?? 0;
      });
    } else {
      dims.push(size);
      strides.forEach((s, i) => {
        s.push(step[i] ?? 0);
      });
    }
  });
  if (dims.length === 0) {
    dims.push(1);
    for (const s of strides) s.push(0);
  }
  return { dims, strides };
}

/**
 * Calls `row` for each innermost run of the index space: `at` is where each tensor starts, `steps`
 * how it goes on, `n` the length. `at` is reused between calls.
 */
export function eachRow(
  shape: readonly number[],
  walks: readonly Walk[],
  row: (at: readonly number[], steps: readonly number[], n: number) => void,
): void {
  if (sizeOf(shape) === 0) return;
  const { dims, strides } = coalesce(shape, walks);
  const inner = dims.length - 1;
  const n = dims[inner] ?? 1;
  const steps = strides.map((s) => s[inner] ?? 0);
  const at = walks.map((w) => w.at);
  const index = new Array<number>(inner).fill(0);
  do row(at, steps, n);
  while (advance(index, dims, strides, at));
}

/** Counts the outer index up by one and moves every walk with it; false after the last. */
function advance(
  index: number[],
  dims: readonly number[],
  strides: readonly (readonly number[])[],
  at: number[],
): boolean {
  for (let axis = index.length - 1; axis >= 0; axis--) {
    const next = (index[axis] ?? 0) + 1;
    const wraps = next === dims[axis];
    index[axis] = wraps ? 0 : next;
    const moved = wraps ? 1 - next : 1;
    for (let w = 0; w < at.length; w++) {
      at[w] = (at[w] ?? 0) + moved * (strides[w]?.[axis] ?? 0);
    }
    if (!wraps) return true;
  }
  return false;
}

/**
 * The elements as bit patterns of their width, for moving without converting. The static type is
 * that of one width; only assignments from one such view to another of the same width make sense.
 */
export function bitsOf(data: TensorData): Int32Array {
  const { buffer, byteOffset, length } = data;
  const views = { 1: Uint8Array, 2: Uint16Array, 4: Int32Array, 8: BigInt64Array } as const;
  const View = views[data.BYTES_PER_ELEMENT as 1 | 2 | 4 | 8];
  return new View(buffer as ArrayBuffer, byteOffset, length) as Int32Array;
}

/** Copies an index space from one storage to another of the same element width. */
export function copyStrided(
  shape: readonly number[],
  from: TensorData,
  read: Walk,
  to: TensorData,
  write: Walk,
): void {
  const source = bitsOf(from);
  const target = bitsOf(to);
  eachRow(shape, [read, write], ([f = 0, t = 0], [fs = 0, ts = 0], n) => {
    if (fs === 1 && ts === 1 && n > 16) target.set(source.subarray(f, f + n), t);
    else for (let i = 0; i < n; i++) target[t + i * ts] = source[f + i * fs] as number;
  });
}

/** A fresh row-major tensor of the elements that a walk over `shape` finds. */
export function gatherWalk(t: Tensor, shape: readonly number[], read: Walk): Tensor {
  const data = allocate(t.elem, sizeOf(shape));
  copyStrided(shape, t.data, read, data, { at: 0, strides: stridesOf(shape) });
  return { elem: t.elem, shape, data };
}

/** The tensor with its axes in the order of `perm`. */
export function transposed(t: Tensor, perm: readonly number[]): Tensor {
  const own = stridesOf(t.shape);
  const shape = perm.map((axis) => t.shape[axis] ?? 1);
  return gatherWalk(t, shape, { at: 0, strides: perm.map((axis) => own[axis] ?? 0) });
}

/** The tensor repeated to a larger shape. */
export function expanded(t: Tensor, shape: readonly number[]): Tensor {
  return gatherWalk(t, shape, broadcastWalk(t.shape, shape));
}
