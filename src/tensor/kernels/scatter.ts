/** Writing at computed positions, replacing or combining. */

import type { Elem, Tensor, TensorData } from "../tensor.ts";
import { isFloat, sizeOf } from "../tensor.ts";
import { eachElementIndex, tupleOffsets } from "./gather.ts";
import {
  axisOf,
  type Kernel,
  KernelFault,
  type KernelTable,
  num,
  operand,
  text,
} from "./kernel.ts";
import { isBig, isHalf, type Lanes, lanes, seal } from "./lanes.ts";

type Combine = (old: number, update: number) => number;

// Used on bigints too, whose operators are spelled the same.
const COMBINE: Readonly<Record<string, Combine>> = {
  none: (_, u) => u,
  add: (o, u) => o + u,
  mul: (o, u) => o * u,
  max: (o, u) => (o > u || Number.isNaN(o) ? o : u),
  min: (o, u) => (o < u || Number.isNaN(o) ? o : u),
};

/** A copy of a tensor's values to write into; halves as float32. */
const writable = (t: Tensor): Float64Array =>
  (isHalf(t.elem) ? lanes(t) : t.data).slice() as Float64Array;
const readable = (t: Tensor): Float64Array => (isHalf(t.elem) ? lanes(t) : t.data) as Float64Array;

function sealed(elem: Elem, shape: readonly number[], data: TensorData): Tensor {
  return isBig(elem) ? { elem, shape, data } : seal(elem, shape, data as Lanes);
}

/** A sum of truths is whether one of them holds; doubles would lose the low bits of products of integers. */
function combineOf(reduction: string, elem: Elem): Combine {
  if (reduction === "mul" && !isFloat(elem) && !isBig(elem)) return Math.imul;
  const combine = COMBINE[elem === "i1" && reduction === "add" ? "max" : reduction];
  if (!combine) throw new KernelFault(`scatter has no reduction '${reduction}'`);
  return combine;
}

const scatterElements: Kernel = (call) => {
  const [x, indices] = [operand(call, 0), operand(call, 1)];
  const updates = readable(operand(call, 2));
  const combine = combineOf(text(call, "reduction", "none"), x.elem);
  const out = writable(x);
  eachElementIndex(indices, x.shape, axisOf(num(call, "axis", 0), x.shape.length), (at, i) => {
    out[at] = combine(out[at] as number, updates[i] as number);
  });
  return [sealed(x.elem, x.shape, out)];
};

const scatterND: Kernel = (call) => {
  const [x, indices] = [operand(call, 0), operand(call, 1)];
  const updates = readable(operand(call, 2));
  const combine = combineOf(text(call, "reduction", "none"), x.elem);
  const row = sizeOf(x.shape.slice(indices.shape.at(-1) ?? 0));
  const out = writable(x);
  tupleOffsets(indices, x.shape, 0).forEach((at, i) => {
    for (let j = 0; j < row; j++) {
      out[at + j] = combine(out[at + j] as number, updates[i * row + j] as number);
    }
  });
  return [sealed(x.elem, x.shape, out)];
};

export const SCATTER: KernelTable = {
  ScatterElements: scatterElements,
  ScatterND: scatterND,
};
