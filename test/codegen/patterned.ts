/** Operands for kernels that move elements. */

import fc from "fast-check";
import {
  bytesPer,
  type Elem,
  fromBytes,
  sizeOf,
  type Tensor,
  tensor,
} from "../../src/tensor/tensor.ts";
import { agrees, type Call } from "./run-kernel.ts";

/** Elements of different bits, as far as their width lets them; never NaN, which would be another thing to move. */
export function patterned(elem: Elem, shape: readonly number[]): Tensor {
  const bytes = new Uint8Array(sizeOf(shape) * bytesPer(elem));
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 37 + (i >> 8) * 11 + 1) & 0x3f;
  return fromBytes(elem, shape, bytes);
}

export const ints = (...values: number[]): Tensor => indices("i64", [values.length], values);

export const indices = (
  elem: "i64" | "i32",
  shape: readonly number[],
  values: readonly number[],
): Tensor =>
  elem === "i64"
    ? tensor(elem, shape, BigInt64Array.from(values, BigInt))
    : tensor(elem, shape, Int32Array.from(values));

/** Elements of each width. */
export const ELEMS = ["f32", "i64", "f16", "ui8"] as const;
export const elem = fc.constantFrom(...ELEMS);

export const dims = (rank: number, most = 5): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max: most }), { minLength: rank, maxLength: rank });

/** Random calls: the same bits as the kernels of src/tensor, on both kinds of cores. */
export function check(calls: fc.Arbitrary<Call>, numRuns = 12): void {
  fc.assert(
    fc.property(calls, (call) => agrees(call)),
    { numRuns, seed: 7 },
  );
}
