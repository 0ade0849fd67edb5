/** Values that are no finite numbers: how many there are, and whether there are any. */

import { toF32 } from "../tensor/convert.ts";
import { allocate, type Elem, isFloat, tensor } from "../tensor/tensor.ts";
import type { Read } from "./strips.ts";

export interface OddValues {
  readonly nan: number;
  readonly infinite: number;
}

/** Elements that are looked at at once. */
const PIECE = 1 << 18;

export interface Census extends OddValues {
  /** Nothing but zeros and negative infinity, as masks are made: they are meant. */
  readonly isMask: boolean;
}

/** Of so many elements. Doubles count as infinite where they are too large for single precision. */
export function countOdd(elem: Elem, elements: number, read: Read): Census {
  let [infinite, nan, others] = [0, 0, 0];
  for (let at = 0; at < elements; at += PIECE) {
    const size = Math.min(PIECE, elements - at);
    const piece = allocate(elem, size);
    read(at, piece);
    for (const v of toF32(tensor(elem, [size], piece))) {
      if (Number.isNaN(v)) nan += 1;
      else if (!Number.isFinite(v)) infinite += 1;
      if (v !== 0 && v !== Number.NEGATIVE_INFINITY) others += 1;
    }
  }
  return { nan, infinite, isMask: others === 0 };
}

/** `3 NaN and 1 infinite values`. */
export function showOdd({ nan, infinite }: OddValues): string {
  const counts = [
    ...(nan > 0 ? [`${nan} NaN`] : []),
    ...(infinite > 0 ? [`${infinite} infinite`] : []),
  ];
  return `${counts.join(" and ")} ${nan + infinite === 1 ? "value" : "values"}`;
}

/** The bits of an exponent that is all ones, which finite numbers do not have, in words of 16 or 32 bits. */
const EXPONENT: Readonly<Partial<Record<Elem, number>>> = {
  f16: 0x7c00,
  bf16: 0x7f80,
  f32: 0x7f800000,
  f64: 0x7ff00000,
};

/** Whether some of the elements are no finite numbers. `bytes` begins where a word of memory does. */
export function hasOdd(elem: Elem, bytes: Uint8Array): boolean {
  const mask = EXPONENT[elem];
  if (!isFloat(elem) || mask === undefined) return false;
  const isHalf = elem === "f16" || elem === "bf16";
  const words = isHalf
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1)
    : new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  // The exponent of a double is in the second of its words.
  const step = elem === "f64" ? 2 : 1;
  for (let i = step - 1; i < words.length; i += step) {
    if (((words[i] as number) & mask) === mask) return true;
  }
  return false;
}
