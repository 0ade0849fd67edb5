/**
 * 4-bit integers. In memory each has a byte of its own, so that kernels read them as they read others; files
 * hold two in a byte, the first one in the low bits (ONNX, onnx.proto, TensorProto).
 */

import { bytesPer, type Elem, type TensorData } from "./tensor.ts";

export const isPacked = (elem: Elem): boolean => elem === "i4" || elem === "ui4";

/** How many bytes elements take in an ONNX file. */
export const bytesInFile = (elem: Elem, count: number): number =>
  isPacked(elem) ? Math.ceil(count / 2) : count * bytesPer(elem);

/** The elements of a file's bytes: `fill` is given room for bytes from `offset` on. */
export function fillFromFile(
  elem: Elem,
  start: number,
  into: TensorData,
  fill: (offset: number, bytes: Uint8Array) => void,
): void {
  if (!isPacked(elem)) {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    fill(start * bytesPer(elem), bytes);
    return;
  }
  const first = start >> 1;
  const packed = new Uint8Array(bytesInFile(elem, start + into.length) - first);
  fill(first, packed);
  unpackNibbles(packed, start & 1, into);
}

/** Fills `into` with the codes of packed bytes, from the `skip`-th on. */
function unpackNibbles(bytes: Uint8Array, skip: number, into: TensorData): void {
  const codes = into as Int8Array;
  const shift = into instanceof Int8Array ? 28 : 0;
  for (let i = 0; i < codes.length; i++) {
    const at = i + skip;
    const code = ((bytes[at >> 1] as number) >> ((at & 1) << 2)) & 15;
    codes[i] = (code << shift) >> shift;
  }
}

/** Two codes in a byte; an odd one out is followed by zero. */
export function packNibbles(codes: TensorData): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(codes.length / 2));
  for (let i = 0; i < codes.length; i++) {
    bytes[i >> 1] = (bytes[i >> 1] as number) | ((Number(codes[i]) & 15) << ((i & 1) << 2));
  }
  return bytes;
}
