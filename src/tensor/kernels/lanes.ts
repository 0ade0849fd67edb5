/**
 * Tensors as arrays that arithmetic can read: halves widened to float32, everything else as stored.
 * 64-bit integers stay bigints, so that shape and index arithmetic is exact.
 */

import { fromNumbers, toF32 } from "../convert.ts";
import { allocate, type Elem, float32s, sizeOf, type Tensor, type TensorData } from "../tensor.ts";
import { KernelFault } from "./kernel.ts";

/** Any array of JavaScript numbers. */
export type Lanes = Exclude<TensorData, BigInt64Array | BigUint64Array>;
export type BigLanes = BigInt64Array | BigUint64Array;

export const isBig = (elem: Elem): boolean => elem === "i64" || elem === "ui64";
export const isHalf = (elem: Elem): boolean => elem === "f16" || elem === "bf16";

/** The values as numbers, sharing memory where they are stored so; 64-bit integers become doubles. */
export function lanes(t: Tensor): Lanes {
  if (isHalf(t.elem)) return toF32(t);
  if (t.data instanceof BigInt64Array || t.data instanceof BigUint64Array) {
    return Float64Array.from(t.data as Iterable<bigint>, Number);
  }
  return t.data;
}

/** The values of a 64-bit integer tensor, or of any integer tensor widened to one. */
export function bigLanes(t: Tensor): BigLanes {
  if (t.data instanceof BigInt64Array || t.data instanceof BigUint64Array) return t.data;
  return BigInt64Array.from(t.data as Iterable<number>, (v) => BigInt(Math.trunc(v)));
}

/** An array to compute results of an element type in: float32 for halves, doubles for 64-bit integers. */
export function workspace(elem: Elem, length: number): Lanes {
  if (isHalf(elem)) return float32s(length);
  return isBig(elem) ? new Float64Array(length) : (allocate(elem, length) as Lanes);
}

/** The tensor that holds computed values: rounds halves, shares memory where nothing changes. */
export function seal(elem: Elem, shape: readonly number[], values: Lanes): Tensor {
  if (isHalf(elem) || isBig(elem)) return fromNumbers(elem, shape, values);
  return { elem, shape, data: values };
}

/** A small integer operand (axes, shapes, repeats) as numbers. */
export const ints = (t: Tensor): number[] => Array.from(lanes(t));

/** A one-element operand as a number. */
export function scalar(t: Tensor): number {
  const v = lanes(t)[0];
  if (v === undefined) throw new KernelFault("a scalar operand is empty");
  return v;
}

/** The same values under another shape. */
export function reshaped(t: Tensor, shape: readonly number[]): Tensor {
  if (sizeOf(shape) !== t.data.length) {
    throw new KernelFault(`${t.data.length} elements do not fill the shape [${shape.join(", ")}]`);
  }
  return { elem: t.elem, shape, data: t.data };
}

/** A tensor of int64 from numbers. */
export const int64 = (values: readonly number[], shape: readonly number[] = [values.length]) =>
  ({ elem: "i64", shape, data: BigInt64Array.from(values, BigInt) }) as const satisfies Tensor;

/** Math.max and Math.min take no bigints. */
export function bigMax(x: bigint, y: bigint): bigint {
  if (x > y) return x;
  return y;
}

export function bigMin(x: bigint, y: bigint): bigint {
  if (x < y) return x;
  return y;
}
