/** ONNX's numbers for element types (TensorProto.DataType). */

import type { Elem } from "../../../tensor/tensor.ts";
import { impossible } from "./shape.ts";

const ELEM_OF: ReadonlyMap<number, Elem> = new Map([
  [1, "f32"],
  [2, "ui8"],
  [3, "i8"],
  [4, "ui16"],
  [5, "i16"],
  [6, "i32"],
  [7, "i64"],
  [9, "i1"],
  [10, "f16"],
  [11, "f64"],
  [12, "ui32"],
  [13, "ui64"],
  [16, "bf16"],
  [21, "ui4"],
  [22, "i4"],
]);

/** The element type that an ONNX number stands for. */
export const elemOfNumber = (dataType: number): Elem =>
  ELEM_OF.get(dataType) ?? impossible(`element type ${dataType} is not supported`);
