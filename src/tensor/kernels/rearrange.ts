/** Moving elements between axes, and choosing slices by what they hold. */

import { allocate, sizeOf, stridesOf, type Tensor } from "../tensor.ts";
import {
  axisOf,
  flag,
  type Kernel,
  type KernelCall,
  KernelFault,
  type KernelTable,
  maybe,
  num,
  operand,
  text,
} from "./kernel.ts";
import { int64, ints, lanes, reshaped } from "./lanes.ts";
import { rowsOver } from "./reduce.ts";
import { bitsOf, copyStrided, transposed } from "./strided.ts";

/** Channels into blocks of pixels: with the mode's own order of the parts of the channel axis. */
const depthToSpace: Kernel = (call) => {
  const x = operand(call, 0);
  const [batch = 1, channels = 1, rows = 1, columns = 1] = x.shape;
  const size = num(call, "blocksize");
  const depth = channels / size ** 2;
  const byColumn = text(call, "mode", "DCR") === "CRD";
  const parts = byColumn ? [depth, size, size] : [size, size, depth];
  const perm = byColumn ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  const apart = transposed(reshaped(x, [batch, ...parts, rows, columns]), perm);
  return [reshaped(apart, [batch, depth, rows * size, columns * size])];
};

const spaceToDepth: Kernel = (call) => {
  const x = operand(call, 0);
  const [batch = 1, channels = 1, rows = 1, columns = 1] = x.shape;
  const size = num(call, "blocksize");
  const [high, wide] = [rows / size, columns / size];
  const apart = reshaped(x, [batch, channels, high, size, wide, size]);
  const joined = [batch, channels * size ** 2, high, wide];
  return [reshaped(transposed(apart, [0, 3, 5, 1, 2, 4]), joined)];
};

/** The first elements of each sequence backwards, as many as its length says; the others as they are. */
const reverseSequence: Kernel = (call) => {
  const x = operand(call, 0);
  const [time, batch] = [num(call, "time_axis", 0), num(call, "batch_axis", 1)];
  const data = x.data.slice();
  const strides = stridesOf(x.shape);
  ints(operand(call, 1)).forEach((length, b) => {
    if (length > (x.shape[time] ?? 0)) throw new KernelFault(`a sequence of length ${length}`);
    const shape = x.shape.with(batch, 1).with(time, length);
    const start = b * (strides[batch] ?? 0);
    const step = strides[time] ?? 0;
    const read = { at: start + Math.max(0, length - 1) * step, strides: strides.with(time, -step) };
    copyStrided(shape, x.data, read, data, { at: start, strides });
  });
  return [{ elem: x.elem, shape: x.shape, data }];
};

/** The slices of an axis (or, without one, the elements) at these positions, in this order. */
function taken(x: Tensor, axis: number | null, positions: readonly number[]): Tensor {
  const flat = axis === null ? reshaped(x, [x.data.length]) : x;
  const at = axis ?? 0;
  const shape = flat.shape.with(at, positions.length);
  const row = sizeOf(shape.slice(at + 1));
  const size = flat.shape[at] ?? 1;
  const data = allocate(x.elem, sizeOf(shape));
  const [from, to] = [bitsOf(x.data), bitsOf(data)];
  for (let outer = 0, write = 0; outer < sizeOf(shape.slice(0, at)); outer++) {
    for (const p of positions) {
      const read = (outer * size + p) * row;
      to.set(from.subarray(read, read + row), write);
      write += row;
    }
  }
  return { elem: x.elem, shape, data };
}

/** The axis that an attribute names, null where it names none. */
const optionalAxis = (call: KernelCall, rank: number): number | null =>
  call.attrs["axis"] === undefined ? null : axisOf(num(call, "axis"), rank);

const compress: Kernel = (call) => {
  const x = operand(call, 0);
  const axis = optionalAxis(call, x.shape.length);
  // A condition may be shorter than the axis, and ONNX Runtime passes over what is longer.
  const truths = lanes(operand(call, 1)).subarray(0, axis === null ? x.data.length : x.shape[axis]);
  const chosen = [...truths.entries()].flatMap(([i, v]) => (v === 0 ? [] : [i]));
  return [taken(x, axis, chosen)];
};

/** Slices side by side, each a run of `width` elements. */
interface Slices {
  readonly data: ArrayLike<number | bigint>;
  readonly width: number;
}

/** Lexicographic; NaN is larger than every number, and not equal to another NaN. */
function order({ data, width }: Slices, a: number, b: number): number {
  for (let i = 0; i < width; i++) {
    const [x, y] = [data[a * width + i] as number, data[b * width + i] as number];
    if (x < y || (Number.isNaN(y) && !Number.isNaN(x))) return -1;
    if (x > y || Number.isNaN(x)) return 1;
  }
  return 0;
}

/** Results: the different slices; where each occurs first; which one each slice is; how often each occurs. */
const unique: Kernel = (call) => {
  const x = operand(call, 0);
  const axis = optionalAxis(call, x.shape.length);
  const own = axis === null ? reshaped(x, [x.data.length]) : x;
  const rest = own.shape.map((_, i) => i).filter((i) => i !== (axis ?? 0));
  const { tensor, width, count } = rowsOver(own, rest);
  const wide = tensor.data instanceof BigInt64Array || tensor.data instanceof BigUint64Array;
  const slices = { data: wide ? tensor.data : lanes(tensor), width };
  const places = Array.from({ length: count }, (_, i) => i);
  places.sort((a, b) => order(slices, a, b) || a - b);
  const groups: number[][] = [];
  for (const p of places) {
    const group = groups.at(-1);
    if (group && order(slices, group[0] as number, p) === 0) group.push(p);
    else groups.push([p]);
  }
  if (!flag(call, "sorted", true)) groups.sort((a, b) => (a[0] as number) - (b[0] as number));
  const first = groups.map((g) => g[0] as number);
  const inverse = new Array<number>(count).fill(0);
  for (const [i, group] of groups.entries()) for (const p of group) inverse[p] = i;
  const counts = groups.map((g) => g.length);
  return [taken(x, axis, first), int64(first), int64(inverse), int64(counts)];
};

/** Where entry i of a sample lands that starts at `start`. */
function entry(start: number, i: number, size: number, circular: boolean): number {
  const place = circular ? (start + i) % size : start + i;
  if (place >= 0 && place < size) return place;
  throw new KernelFault(`entry ${place} of a cache of ${size}`);
}

/** The cache with new entries written along an axis, from each sample's own position on. */
const tensorScatter: Kernel = (call) => {
  const [past, update, given] = [operand(call, 0), operand(call, 1), maybe(call, 2)];
  const axis = axisOf(num(call, "axis", -2), past.shape.length);
  const [batch = 1] = past.shape;
  const [size = 1, added = 1] = [past.shape[axis], update.shape[axis]];
  const circular = text(call, "mode", "linear") === "circular";
  const starts = given ? ints(given) : new Array<number>(batch).fill(0);
  const data = past.data.slice();
  const [into, from] = [stridesOf(past.shape), stridesOf(update.shape)];
  const one = update.shape.with(0, 1).with(axis, 1);
  const at = (strides: readonly number[], b: number, i: number) => ({
    at: b * (strides[0] ?? 0) + i * (strides[axis] ?? 0),
    strides,
  });
  for (let k = 0; k < batch * added; k++) {
    const [b, i] = [Math.floor(k / added), k % added];
    const place = entry(starts[b] as number, i, size, circular);
    copyStrided(one, update.data, at(from, b, i), data, at(into, b, place));
  }
  return [{ elem: past.elem, shape: past.shape, data }];
};

export const REARRANGE: KernelTable = {
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  ReverseSequence: reverseSequence,
  Compress: compress,
  Unique: unique,
  TensorScatter: tensorScatter,
};
