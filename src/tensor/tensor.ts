/** Dense tensors: element types, shapes, and values as the typed array of that element type. */

import { idleStorage } from "./storage.ts";

/**
 * Element types, spelled as MLIR does. The set is closed: adding one is a design decision.
 * `i1` is ONNX's bool, one byte an element; so are `i4` and `ui4` in memory (nibbles.ts).
 */
export type Elem =
  | "f32"
  | "f64"
  | "f16"
  | "bf16"
  | "i64"
  | "i32"
  | "i16"
  | "i8"
  | "i4"
  | "ui64"
  | "ui32"
  | "ui16"
  | "ui8"
  | "ui4"
  | "i1";

/** A dimension that only the values of an earlier result decide (as behind NonZero) is null. */
export type Dim = number | null;

export interface TensorType {
  readonly elem: Elem;
  readonly shape: readonly Dim[];
}

export type TensorData =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** Values in row-major order. f16 and bf16 hold their raw bits in a Uint16Array. */
export interface Tensor {
  readonly elem: Elem;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

const ARRAYS = {
  f32: Float32Array,
  f64: Float64Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i64: BigInt64Array,
  i32: Int32Array,
  i16: Int16Array,
  i8: Int8Array,
  i4: Int8Array,
  ui64: BigUint64Array,
  ui32: Uint32Array,
  ui16: Uint16Array,
  ui8: Uint8Array,
  ui4: Uint8Array,
  i1: Uint8Array,
} as const;

export const ELEMS = Object.keys(ARRAYS) as readonly Elem[];

export const bytesPer = (elem: Elem): number => ARRAYS[elem].BYTES_PER_ELEMENT;

export const isFloat = (elem: Elem): boolean => /^b?f/.test(elem);

/** Number of elements; 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** True when every dimension is known. */
export const isStatic = (
  type: TensorType,
): type is TensorType & { readonly shape: readonly number[] } =>
  type.shape.every((d) => d !== null);

/** A tensor that memory cannot hold was asked for. */
export class TensorFault extends Error {}

/** Bytes of the largest tensor: 2^31 numbers of 32 bits. */
const MOST_BYTES = 2 ** 33;

/** Zero-filled storage for `length` elements. Throws a TensorFault where there cannot be so many. */
export function allocate(elem: Elem, length: number): TensorData {
  const isSize = Number.isSafeInteger(length) && length >= 0;
  if (!isSize || length * bytesPer(elem) > MOST_BYTES) tooLarge(elem, length);
  try {
    const storage = idleStorage(length * bytesPer(elem));
    return storage ? new ARRAYS[elem](storage) : new ARRAYS[elem](length);
  } catch (e) {
    if (e instanceof RangeError) return tooLarge(elem, length);
    throw e;
  }
}

/** As `allocate`, of f32. */
export const float32s = (length: number): Float32Array => allocate("f32", length) as Float32Array;

function tooLarge(elem: Elem, length: number): never {
  throw new TensorFault(`no memory holds ${length} elements of ${elem}`);
}

export const zeros = (elem: Elem, shape: readonly number[]): Tensor => ({
  elem,
  shape,
  data: allocate(elem, sizeOf(shape)),
});

export const tensor = (elem: Elem, shape: readonly number[], data: TensorData): Tensor => ({
  elem,
  shape,
  data,
});

/** Copies little-endian bytes into aligned storage of the element type. */
export function fromBytes(elem: Elem, shape: readonly number[], bytes: Uint8Array): Tensor {
  const data = allocate(elem, sizeOf(shape));
  new Uint8Array(data.buffer).set(bytes);
  return { elem, shape, data };
}

/** The tensor's little-endian bytes, sharing its memory. */
export const toBytes = (t: Tensor): Uint8Array =>
  new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i] ?? 1;
  }
  return strides;
}

/** `2x3xf32`, `?x4xi64`, `f32` for a scalar. */
export const showType = (t: TensorType): string =>
  [...t.shape.map((d) => (d === null ? "?" : String(d))), t.elem].join("x");
