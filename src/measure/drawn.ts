/** Values for operands that only a run knows: of ordinary size, and right as indices. */

import type { Block } from "../codegen/kernel.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { isFloat, sizeOf, type Tensor } from "../tensor/tensor.ts";

/** Floats from -1 to 1, different for each operand; integers 0, which is an index of every axis; masks of ones. */
export function drawn({ elem, shape, values }: Block, operand: number): Tensor {
  if (values) return fromNumbers(elem, shape, [...values]);
  const spread = (i: number): number => Math.sin(1 + i * 12.9898 + operand * 78.233);
  const one = elem === "i1" ? 1 : 0;
  const numbers = Array.from({ length: sizeOf(shape) }, (_, i) =>
    isFloat(elem) ? spread(i) : one,
  );
  return fromNumbers(elem, shape, numbers);
}
