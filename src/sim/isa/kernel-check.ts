/** How far the blocks of a step in machine code are from those of its kernel. */

import { toF32 } from "../../tensor/convert.ts";
import { type Elem, type Tensor, toBytes } from "../../tensor/tensor.ts";

export interface KernelCheck {
  /** Blocks that were compared, and those with the same bits. */
  readonly blocks: number;
  readonly same: number;
  /** Largest deviation, relative to the largest magnitude of its block. */
  readonly worst: number;
  /**
   * Of blocks that are further off than LARGE: how far the kernel goes when its operands change in their last place,
   * and at least what one rounding of the result changes. What rounding does to an operation is of this size, whatever
   * order it computes in.
   */
  readonly rounding: number;
}

/** A deviation that needs an explanation. */
export const LARGE = 1e-5;

/** What one rounding of a result may change, relative to its largest magnitude: half a unit in the last place. */
export const roundingOf = (elem: Elem): number =>
  elem === "f16" ? 2 ** -11 : elem === "bf16" ? 2 ** -8 : elem === "f32" ? 2 ** -24 : 0;

const isHalf = (elem: Elem): boolean => elem === "f16" || elem === "bf16";

/** A half with its last bit turned; zeros, infinities and NaN stay. */
function nudgedHalf(bits: number, largest: number): number {
  const magnitude = bits & 0x7fff;
  return magnitude === 0 || magnitude > largest ? bits : bits ^ 1;
}

/** Every value a little larger or smaller, by one or two units in the last place. */
export function nudged(operand: Tensor): Tensor {
  const { elem, data } = operand;
  if (data instanceof Uint16Array && isHalf(elem)) {
    const largest = elem === "f16" ? 0x7bff : 0x7f7f;
    return { ...operand, data: data.map((bits) => nudgedHalf(bits, largest)) };
  }
  if (!(data instanceof Float32Array)) return operand;
  const sign = (i: number): number => (Math.imul(i, 0x9e3779b1) < 0 ? -1 : 1);
  return { ...operand, data: data.map((v, i) => v * (1 + sign(i) * 2 ** -23)) };
}

/** 0 for the same bits, else the largest difference relative to the largest finite value; infinite where one is NaN. */
export function deviation(found: Tensor, expected: Tensor): number {
  if (Buffer.compare(toBytes(found), toBytes(expected)) === 0) return 0;
  const [a, b] = [toF32(found), toF32(expected)];
  let [worst, most] = [0, 0];
  for (const [i, v] of b.entries()) {
    const u = a[i] ?? Number.NaN;
    if (Number.isFinite(v)) most = Math.max(most, Math.abs(v));
    if (u === v || (Number.isNaN(u) && Number.isNaN(v))) continue;
    const off = Math.abs(u - v);
    worst = Math.max(worst, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
  }
  return worst === 0 ? 0 : worst / most;
}
