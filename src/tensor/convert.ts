/** Between a tensor's storage and JavaScript numbers. */

import { Float16Array } from "@petamoriken/float16";
import { isPacked } from "./nibbles.ts";
import type { Elem, Tensor, TensorData } from "./tensor.ts";
import { allocate } from "./tensor.ts";

const halfView = (bits: Uint16Array): Float16Array =>
  new Float16Array(bits.buffer as ArrayBuffer, bits.byteOffset, bits.length);

/** What each half float is, by its bits. */
let halves: Float32Array | undefined;

/** Looked up: the view converts its elements one by one, two hundred times as slowly. */
function fromHalves(bits: Uint16Array): Float32Array {
  halves ??= Float32Array.from(halfView(Uint16Array.from({ length: 2 ** 16 }, (_, i) => i)));
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = halves[bits[i] as number] as number;
  return out;
}

function fromBfloat(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] ?? 0) << 16;
  return new Float32Array(words.buffer);
}

/** Round to nearest even, as ONNX's Cast does; NaN stays NaN. */
function toBfloat(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(words, (w) => {
    if ((w & 0x7fffffff) > 0x7f800000) return (w >>> 16) | 0x40;
    return (w + 0x7fff + ((w >>> 16) & 1)) >>> 16;
  });
}

/** The values as float32; shares memory when they are float32 already. */
export function toF32(t: Tensor): Float32Array {
  if (t.data instanceof Float32Array) return t.data;
  if (t.elem === "f16") return fromHalves(t.data as Uint16Array);
  if (t.elem === "bf16") return fromBfloat(t.data as Uint16Array);
  if (t.data instanceof BigInt64Array || t.data instanceof BigUint64Array) {
    return Float32Array.from(t.data as Iterable<bigint>, Number);
  }
  return Float32Array.from(t.data);
}

/** The values as doubles, exact for every element type but 64-bit integers beyond 2^53. */
export function toNumbers(t: Tensor): number[] {
  if (t.elem === "f16" || t.elem === "bf16") return Array.from(toF32(t));
  if (t.data instanceof BigInt64Array || t.data instanceof BigUint64Array) {
    return Array.from(t.data as Iterable<bigint>, Number);
  }
  return Array.from(t.data);
}

/** Storage of an element type filled from doubles; floats round to nearest even, integers truncate and wrap. */
export function fromNumbers(
  elem: Elem,
  shape: readonly number[],
  values: ArrayLike<number>,
): Tensor {
  if (elem === "bf16") return { elem, shape, data: toBfloat(Float32Array.from(values)) };
  if (elem === "f16") {
    const half = Float16Array.from(values);
    return { elem, shape, data: new Uint16Array(half.buffer) };
  }
  const data = allocate(elem, values.length);
  fill(elem, data, values);
  return { elem, shape, data };
}

function fill(elem: Elem, data: TensorData, values: ArrayLike<number>): void {
  if (isPacked(elem)) {
    const shift = elem === "i4" ? 28 : 0;
    for (let i = 0; i < values.length; i++) data[i] = (((values[i] ?? 0) & 15) << shift) >> shift;
  } else if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < values.length; i++) data[i] = BigInt(Math.trunc(values[i] ?? 0));
  } else {
    for (let i = 0; i < values.length; i++) data[i] = values[i] ?? 0;
  }
}
