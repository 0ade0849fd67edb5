/** Slice and Pad: windows into a tensor and around it. */

import { allocate, sizeOf, stridesOf, type Tensor } from "../tensor.ts";
import { filled } from "./creation.ts";
import {
  axisOf,
  type Kernel,
  type KernelCall,
  KernelFault,
  type KernelTable,
  maybe,
  num,
  nums,
  operand,
  text,
} from "./kernel.ts";
import { ints } from "./lanes.ts";
import { bitsOf, gatherWalk } from "./strided.ts";

interface Range {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

/** numpy's rules: negative positions count from the end, and out of range means the edge. */
function rangeOf(start: number, end: number, step: number, size: number): Range {
  if (size === 0) return { start: 0, step, size: 0 };
  const clamp = (v: number, low: number, high: number) => Math.max(low, Math.min(high, v));
  const from = start < 0 ? start + size : start;
  const to = end < 0 ? end + size : end;
  const first = step > 0 ? clamp(from, 0, size) : clamp(from, 0, size - 1);
  const last = step > 0 ? clamp(to, 0, size) : clamp(to, -1, size - 1);
  return { start: first, step, size: Math.max(0, Math.ceil((last - first) / step)) };
}

/** Operand i, or the attribute that held it before opset 10. */
function listed(call: KernelCall, i: number, name: string): readonly number[] | null {
  const t = maybe(call, i);
  return t ? ints(t) : nums(call, name);
}

const slice: Kernel = (call) => {
  const x = operand(call, 0);
  const starts = listed(call, 1, "starts") ?? [];
  const ends = listed(call, 2, "ends") ?? [];
  const axes = listed(call, 3, "axes") ?? starts.map((_, i) => i);
  const steps = listed(call, 4, "steps") ?? starts.map(() => 1);
  const ranges: Range[] = x.shape.map((size) => ({ start: 0, step: 1, size }));
  axes.forEach((a, i) => {
    const axis = axisOf(a, x.shape.length);
    const size = x.shape[axis] ?? 0;
    ranges[axis] = rangeOf(starts[i] ?? 0, ends[i] ?? 0, steps[i] ?? 1, size);
  });
  const own = stridesOf(x.shape);
  const at = ranges.reduce((sum, r, i) => sum + r.start * (own[i] ?? 0), 0);
  const strides = ranges.map((r, i) => r.step * (own[i] ?? 0));
  return [
    gatherWalk(
      x,
      ranges.map((r) => r.size),
      { at, strides },
    ),
  ];
};

/** Where position i of a padded axis of an operand reads, or -1 for the constant. */
export type PadSource = (i: number, size: number) => number;

/** By the modes of Pad. */
export const PAD_SOURCES: Readonly<Record<string, PadSource>> = {
  constant: (i, size) => (i < 0 || i >= size ? -1 : i),
  edge: (i, size) => Math.max(0, Math.min(size - 1, i)),
  wrap: (i, size) => ((i % size) + size) % size,
  reflect: (i, size) => {
    if (size === 1) return 0;
    const period = 2 * (size - 1);
    const at = ((i % period) + period) % period;
    return at < size ? at : period - at;
  },
};

/** Paddings at the beginning and end of every axis; negative ones crop. */
function paddings(call: KernelCall, rank: number): readonly (readonly [number, number])[] {
  const pads = listed(call, 1, "pads") ?? [];
  const given = maybe(call, 3);
  const axes = given ? ints(given).map((a) => axisOf(a, rank)) : null;
  const count = pads.length / 2;
  return Array.from({ length: rank }, (_, axis) => {
    const i = axes ? axes.indexOf(axis) : axis;
    return i < 0 ? [0, 0] : [pads[i] ?? 0, pads[i + count] ?? 0];
  });
}

/** Pads one axis: every position of the result takes a whole row of the input, or the constant. */
function padAxis(x: Tensor, axis: number, pads: readonly [number, number], how: Pad): Tensor {
  const [before, after] = pads;
  if (before === 0 && after === 0) return x;
  const size = x.shape[axis] ?? 1;
  const shape = x.shape.with(axis, size + before + after);
  const out = how.value
    ? filled(how.value, shape)
    : { elem: x.elem, shape, data: allocate(x.elem, sizeOf(shape)) };
  const row = sizeOf(shape.slice(axis + 1));
  const count = shape[axis] ?? 0;
  const [from, to] = [bitsOf(x.data), bitsOf(out.data)];
  for (let outer = 0; outer < sizeOf(shape.slice(0, axis)); outer++) {
    for (let i = 0; i < count; i++) {
      const source = how.source(i - before, size);
      if (source < 0) continue;
      const at = (outer * size + source) * row;
      to.set(from.subarray(at, at + row), (outer * count + i) * row);
    }
  }
  return out;
}

interface Pad {
  readonly source: PadSource;
  readonly value: Tensor | null;
}

const pad: Kernel = (call) => {
  const x = operand(call, 0);
  const source = PAD_SOURCES[text(call, "mode", "constant")];
  if (!source) throw new KernelFault(`Pad has no mode '${text(call, "mode")}'`);
  const attribute = num(call, "value", 0);
  const value =
    maybe(call, 2) ??
    (attribute === 0 ? null : { elem: x.elem, shape: [], data: Float32Array.of(attribute) });
  const pads = paddings(call, x.shape.length);
  return [pads.reduce((t, p, axis) => padAxis(t, axis, p, { source, value }), x)];
};

export const SLICE: KernelTable = { Slice: slice, Pad: pad };
