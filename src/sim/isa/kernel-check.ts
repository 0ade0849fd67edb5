/** How far the blocks of a step in machine code are from those of its kernel. */

import { toF32 } from "../../tensor/convert.ts";
import { type Tensor, toBytes } from "../../tensor/tensor.ts";

export interface KernelCheck {
  /** Blocks that were compared, and those with the same bits. */
  readonly blocks: number;
  readonly same: number;
  /** Largest deviation, relative to the largest magnitude of its block. */
  readonly worst: number;
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
