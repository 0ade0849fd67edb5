/** Between ONNX's data type codes (TensorProto.DataType) and element types. */

import type { Elem } from "../tensor/tensor.ts";

const CODES: Readonly<Record<Elem, number>> = {
  f32: 1,
  ui8: 2,
  i8: 3,
  ui16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  i1: 9,
  f16: 10,
  f64: 11,
  ui32: 12,
  ui64: 13,
  bf16: 16,
  ui4: 21,
  i4: 22,
};

const ELEM_OF = new Map(Object.entries(CODES).map(([elem, code]) => [code, elem as Elem]));

/** Names of the codes that have no element type here, for messages. */
const OTHERS: Readonly<Record<number, string>> = {
  0: "UNDEFINED",
  8: "STRING",
  14: "COMPLEX64",
  15: "COMPLEX128",
  17: "FLOAT8E4M3FN",
  18: "FLOAT8E4M3FNUZ",
  19: "FLOAT8E5M2",
  20: "FLOAT8E5M2FNUZ",
  23: "FLOAT4E2M1",
};

export const codeOf = (elem: Elem): number => CODES[elem];

/** undefined for the types that have no counterpart here (strings, complex, 8- and 4-bit floats). */
export const elemOf = (code: number | null | undefined): Elem | undefined => ELEM_OF.get(code ?? 0);

export const nameOfCode = (code: number | null | undefined): string =>
  OTHERS[code ?? 0] ?? `data type ${code}`;
