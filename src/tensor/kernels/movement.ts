/** Moving elements without changing them. */

import { type Elem, sizeOf, stridesOf, type Tensor, zeros } from "../tensor.ts";
import {
  axisOf,
  flag,
  type Kernel,
  type KernelCall,
  KernelFault,
  type KernelTable,
  maybe,
  num,
  nums,
  operand,
} from "./kernel.ts";
import { ints, isBig, reshaped, scalar } from "./lanes.ts";
import { bitsOf, broadcastShape, copyStrided, expanded, transposed } from "./strided.ts";

/** The shape that the caller knows, or what the operands say. */
export const shapeOr = (call: KernelCall, otherwise: () => readonly number[]): readonly number[] =>
  call.outShapes?.[0] ?? otherwise();

/** Reshape's rules: 0 copies the input's size (unless allowzero), one -1 takes what is left. */
function resolve(
  from: readonly number[],
  wanted: readonly number[],
  zeroIsZero: boolean,
): number[] {
  const shape = wanted.map((d, i) => (d === 0 && !zeroIsZero ? (from[i] ?? 0) : d));
  const rest = shape.indexOf(-1);
  if (rest < 0) return shape;
  const known = shape.reduce((a, d) => (d === -1 ? a : a * d), 1);
  return shape.with(rest, known === 0 ? 0 : sizeOf(from) / known);
}

const reshape: Kernel = (call) => {
  const x = operand(call, 0);
  const wanted = () => ints(operand(call, 1));
  return [
    reshaped(
      x,
      shapeOr(call, () => resolve(x.shape, wanted(), flag(call, "allowzero"))),
    ),
  ];
};

const flatten: Kernel = (call) => {
  const x = operand(call, 0);
  const axis = axisOf(num(call, "axis", 1), x.shape.length);
  const rows = sizeOf(x.shape.slice(0, axis));
  return [
    reshaped(
      x,
      shapeOr(call, () => [rows, sizeOf(x.shape.slice(axis))]),
    ),
  ];
};

/** Axes from the second operand (opset 13 and later) or the attribute of older files. */
const axesOf = (call: KernelCall): readonly number[] | null => {
  const axes = maybe(call, 1);
  return axes ? ints(axes) : nums(call, "axes");
};

const squeeze: Kernel = (call) => {
  const x = operand(call, 0);
  const rank = x.shape.length;
  const axes = axesOf(call)?.map((a) => axisOf(a, rank));
  // In a block an axis may be 1 that is longer in the whole value, so the caller's shape comes first.
  const kept = () => x.shape.filter((d, i) => (axes ? !axes.includes(i) : d !== 1));
  return [reshaped(x, shapeOr(call, kept))];
};

const unsqueeze: Kernel = (call) => {
  const x = operand(call, 0);
  const axes = axesOf(call) ?? [];
  const rank = x.shape.length + axes.length;
  const added = new Set(axes.map((a) => axisOf(a, rank)));
  const sizes = x.shape.values();
  const next = (_: unknown, i: number) => (added.has(i) ? 1 : (sizes.next().value ?? 1));
  return [reshaped(x, Array.from({ length: rank }, next))];
};

const transpose: Kernel = (call) => {
  const x = operand(call, 0);
  return [transposed(x, nums(call, "perm") ?? x.shape.map((_, i) => i).reverse())];
};

const expand: Kernel = (call) => {
  const x = operand(call, 0);
  return [
    expanded(
      x,
      shapeOr(call, () => broadcastShape(x.shape, ints(operand(call, 1)))),
    ),
  ];
};

/** Copies `t` into `out` so that its first element lands at `start` on the axis. */
function place(t: Tensor, out: Tensor, axis: number, start: number): void {
  const strides = stridesOf(out.shape);
  const read = { at: 0, strides: stridesOf(t.shape) };
  copyStrided(t.shape, t.data, read, out.data, { at: start * (strides[axis] ?? 1), strides });
}

export function concat(parts: readonly Tensor[], axisAttr: number): Tensor {
  const [first] = parts;
  if (!first) throw new KernelFault("nothing to concatenate");
  const axis = axisOf(axisAttr, first.shape.length);
  const size = parts.reduce((n, t) => n + (t.shape[axis] ?? 0), 0);
  const out = zeros(first.elem, first.shape.with(axis, size));
  let start = 0;
  for (const t of parts) {
    place(t, out, axis, start);
    start += t.shape[axis] ?? 0;
  }
  return out;
}

/** The elements of an axis from `start`, `size` of them. */
export function part(t: Tensor, axis: number, start: number, size: number): Tensor {
  const strides = stridesOf(t.shape);
  const shape = t.shape.with(axis, size);
  const out = zeros(t.elem, shape);
  const read = { at: start * (strides[axis] ?? 1), strides };
  copyStrided(shape, t.data, read, out.data, { at: 0, strides: stridesOf(shape) });
  return out;
}

function splitSizes(call: KernelCall, total: number): readonly number[] {
  const given = maybe(call, 1);
  if (given) return ints(given);
  const listed = nums(call, "split");
  if (listed) return listed;
  const count = num(call, "num_outputs", call.outShapes?.length ?? 2);
  const size = Math.ceil(total / count);
  // Where the parts are not equal, the last one is the smaller.
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(size, total - i * size)));
}

const split: Kernel = (call) => {
  const x = operand(call, 0);
  const axis = axisOf(num(call, "axis", 0), x.shape.length);
  let start = 0;
  return splitSizes(call, x.shape[axis] ?? 0).map((size) => {
    start += size;
    return part(x, axis, start - size, size);
  });
};

/** x so many times along an axis: what is there is doubled until it is enough. */
function repeated(x: Tensor, axis: number, times: number): Tensor {
  const run = sizeOf(x.shape.slice(axis));
  const out = zeros(x.elem, x.shape.with(axis, (x.shape[axis] ?? 0) * times));
  // Elements are only moved, whatever their type is.
  const [from, to] = [x.data as Float32Array, out.data as Float32Array];
  for (let at = 0, row = 0; at < from.length; at += run, row += run * times) {
    to.set(from.subarray(at, at + run), row);
    for (let done = run; done < run * times; done *= 2) {
      to.copyWithin(row + done, row, row + Math.min(done, run * times - done));
    }
  }
  return out;
}

const tile: Kernel = (call) => {
  let x = operand(call, 0);
  ints(operand(call, 1)).forEach((times, axis) => {
    if (times === 0) x = zeros(x.elem, x.shape.with(axis, 0));
    else if (times > 1) x = repeated(x, axis, times);
  });
  return [x];
};

const trilu: Kernel = (call) => {
  const x = operand(call, 0);
  const upper = flag(call, "upper", true);
  const k = call.inputs[1] ? scalar(operand(call, 1)) : 0;
  const [rows = 1, cols = 1] = x.shape.slice(-2);
  const data = x.data.slice();
  const bits = bitsOf(data);
  for (let at = 0; at < data.length; at += rows * cols) {
    for (let r = 0; r < rows; r++) {
      // The diagonal of row r is at column r + k; it belongs to both halves.
      const from = at + r * cols;
      const cut = Math.max(0, Math.min(cols, upper ? r + k : r + k + 1));
      (upper ? bits.subarray(from, from + cut) : bits.subarray(from + cut, from + cols)).fill(
        zeroOf(x.elem),
      );
    }
  }
  return [{ elem: x.elem, shape: x.shape, data }];
};

/** A zero that the storage of the element type takes. */
const zeroOf = (elem: Elem): number => (isBig(elem) || elem === "f64" ? 0n : 0) as number;

const identity: Kernel = (call) => [operand(call, 0)];

/** Nothing is dropped outside of training: the mask keeps everything. */
const dropout: Kernel = (call) => {
  const x = operand(call, 0);
  const mask = new Uint8Array(x.data.length).fill(1);
  return [x, { elem: "i1", shape: x.shape, data: mask }];
};

export const MOVEMENT: KernelTable = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Concat: (call) => [
    concat(
      call.inputs.filter((t) => t !== null),
      num(call, "axis"),
    ),
  ],
  Split: split,
  Tile: tile,
  Trilu: trilu,
  Identity: identity,
  Dropout: dropout,
  "nn.cache_append": (call) => [
    concat(
      call.inputs.filter((t) => t !== null),
      num(call, "axis"),
    ),
  ],
};
