/** Tensors from shapes, ranges and constants. */

import { fromNumbers } from "../convert.ts";
import { allocate, sizeOf, stridesOf, type Tensor, zeros } from "../tensor.ts";
import {
  elemAttr,
  type Kernel,
  KernelFault,
  type KernelTable,
  num,
  operand,
  tensorAttr,
} from "./kernel.ts";
import { bigLanes, int64, ints, isBig, lanes, scalar } from "./lanes.ts";
import { shapeOr } from "./movement.ts";
import { bitsOf } from "./strided.ts";

const shape: Kernel = (call) => {
  const sizes = operand(call, 0).shape;
  const rank = sizes.length;
  return [int64(sizes.slice(num(call, "start", 0), num(call, "end", rank)))];
};

/** A tensor of one value, repeated bit by bit. */
export function filled(value: Tensor, sizes: readonly number[]): Tensor {
  const data = allocate(value.elem, sizeOf(sizes));
  bitsOf(data).fill(bitsOf(value.data)[0] as number);
  return { elem: value.elem, shape: sizes, data };
}

const constantOfShape: Kernel = (call) => {
  const value = tensorAttr(call, "value") ?? zeros("f32", [1]);
  return [
    filled(
      value,
      shapeOr(call, () => ints(operand(call, 0))),
    ),
  ];
};

/** Ones on a diagonal of a matrix of the operand's shape. */
const eyeLike: Kernel = (call) => {
  const x = operand(call, 0);
  const [rows = 0, cols = 0] = x.shape;
  const k = num(call, "k", 0);
  const at = Array.from({ length: rows * cols }, (_, i) => (i % cols) - Math.floor(i / cols));
  const ones = at.map((d) => (d === k ? 1 : 0));
  return [fromNumbers(elemAttr(call, "dtype", x.elem), x.shape, ones)];
};

const range: Kernel = (call) => {
  const [start, limit, delta] = [operand(call, 0), operand(call, 1), operand(call, 2)];
  if (isBig(start.elem)) {
    const [from = 0n] = bigLanes(start);
    const [step = 1n] = bigLanes(delta);
    const count = Math.max(0, Math.ceil((scalar(limit) - Number(from)) / Number(step)));
    const data = BigInt64Array.from({ length: count }, (_, i) => from + BigInt(i) * step);
    return [{ elem: start.elem, shape: [count], data }];
  }
  const [from, step] = [scalar(start), scalar(delta)];
  const count = Math.max(0, Math.ceil((scalar(limit) - from) / step));
  return [
    fromNumbers(
      start.elem,
      [count],
      Array.from({ length: count }, (_, i) => from + i * step),
    ),
  ];
};

/** A scalar counts as a vector of one, as in ONNX Runtime; ONNX's text would have its indices without a row. */
const nonZero: Kernel = (call) => {
  const x = operand(call, 0);
  const sizes = x.shape.length === 0 ? [1] : x.shape;
  const strides = stridesOf(sizes);
  const found: number[] = [];
  lanes(x).forEach((v, i) => {
    if (v !== 0) found.push(i);
  });
  const rows = strides.map((s, a) => found.map((i) => Math.floor(i / s) % (sizes[a] ?? 1)));
  return [int64(rows.flat(), [strides.length, found.length])];
};

const constant: Kernel = (call) => {
  const value = tensorAttr(call, "value");
  if (!value) throw new KernelFault("a constant without a value");
  return [value];
};

export const CREATION: KernelTable = {
  Shape: shape,
  Size: (call) => [int64([operand(call, 0).data.length], [])],
  ConstantOfShape: constantOfShape,
  EyeLike: eyeLike,
  Range: range,
  NonZero: nonZero,
  Constant: constant,
};
