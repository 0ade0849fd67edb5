/** Reading at computed positions. */

import { allocate, sizeOf, stridesOf, type Tensor } from "../tensor.ts";
import { axisOf, type Kernel, KernelFault, type KernelTable, num, operand } from "./kernel.ts";
import { lanes } from "./lanes.ts";
import { bitsOf } from "./strided.ts";

/** A position counted from the front; throws where the index is outside the axis. */
function position(index: number, size: number): number {
  const at = index < 0 ? index + size : index;
  if (at < 0 || at >= size) throw new KernelFault(`index ${index} is outside an axis of ${size}`);
  return at;
}

/** Whole slices of `axis`, one for each index. */
export function take(x: Tensor, indices: Tensor, axisAttr: number): Tensor {
  const axis = axisOf(axisAttr, x.shape.length);
  const size = x.shape[axis] ?? 1;
  const row = sizeOf(x.shape.slice(axis + 1));
  const outer = sizeOf(x.shape.slice(0, axis));
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const data = allocate(x.elem, sizeOf(shape));
  const [from, to] = [bitsOf(x.data), bitsOf(data)];
  const rows = Array.from(lanes(indices), (i) => position(i, size));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const r of rows) {
      const source = (o * size + r) * row;
      to.set(from.subarray(source, source + row), at);
      at += row;
    }
  }
  return { elem: x.elem, shape, data };
}

/**
 * Calls `visit` with the offset into `shape` that each index of an index tensor means: the index
 * replaces the position on `axis`, the other positions are the index tensor's own.
 */
export function eachElementIndex(
  indices: Tensor,
  shape: readonly number[],
  axis: number,
  visit: (at: number, i: number) => void,
): void {
  const [own, other] = [stridesOf(indices.shape), stridesOf(shape)];
  const values = lanes(indices);
  for (let i = 0; i < values.length; i++) {
    let at = position(values[i] as number, shape[axis] ?? 1) * (other[axis] ?? 1);
    for (let d = 0; d < own.length; d++) {
      const where = Math.floor(i / (own[d] ?? 1)) % (indices.shape[d] ?? 1);
      if (d !== axis) at += where * (other[d] ?? 1);
    }
    visit(at, i);
  }
}

const gatherElements: Kernel = (call) => {
  const [x, indices] = [operand(call, 0), operand(call, 1)];
  const data = allocate(x.elem, indices.data.length);
  const [from, to] = [bitsOf(x.data), bitsOf(data)];
  const axis = axisOf(num(call, "axis", 0), x.shape.length);
  eachElementIndex(indices, x.shape, axis, (at, i) => {
    to[i] = from[at] as number;
  });
  return [{ elem: x.elem, shape: indices.shape, data }];
};

/** Offsets into `shape` of index tuples (the last axis of `indices`), the first `batch` axes shared. */
export function tupleOffsets(indices: Tensor, shape: readonly number[], batch: number): number[] {
  const length = indices.shape.at(-1) ?? 0;
  const values = lanes(indices);
  const strides = stridesOf(shape);
  const count = sizeOf(indices.shape.slice(0, -1));
  const perBatch = count / sizeOf(shape.slice(0, batch));
  const batchStep = sizeOf(shape.slice(batch));
  return Array.from({ length: count }, (_, i) => {
    let at = Math.floor(i / perBatch) * batchStep;
    for (let d = 0; d < length; d++) {
      const size = shape[batch + d] ?? 1;
      at += position(values[i * length + d] as number, size) * (strides[batch + d] ?? 1);
    }
    return at;
  });
}

const gatherND: Kernel = (call) => {
  const [x, indices] = [operand(call, 0), operand(call, 1)];
  const batch = num(call, "batch_dims", 0);
  const tail = x.shape.slice(batch + (indices.shape.at(-1) ?? 0));
  const row = sizeOf(tail);
  const shape = [...indices.shape.slice(0, -1), ...tail];
  const data = allocate(x.elem, sizeOf(shape));
  const [from, to] = [bitsOf(x.data), bitsOf(data)];
  tupleOffsets(indices, x.shape, batch).forEach((at, i) => {
    to.set(from.subarray(at, at + row), i * row);
  });
  return [{ elem: x.elem, shape, data }];
};

export const GATHER: KernelTable = {
  Gather: (call) => [take(operand(call, 0), operand(call, 1), num(call, "axis", 0))],
  GatherElements: gatherElements,
  GatherND: gatherND,
  "nn.embedding": (call) => [take(operand(call, 0), operand(call, 1), 0)],
};
