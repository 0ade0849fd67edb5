/** Positions on an axis that indices in memory mean. */

import { bytesPer, type Elem } from "../tensor/tensor.ts";
import { KernelGap, type PhaseAssembler } from "./kernel.ts";
import type { X } from "./register.ts";

/** Reads the index at an address and an offset in bytes; one that is outside goes to a label, or traps. */
export type Position = (address: X, offset: number, outside?: string) => X;

/**
 * Positions on an axis of this size; negative indices count from its end. An index that is outside of the axis traps:
 * no result would be right.
 */
export function positions(k: PhaseAssembler, elem: Elem, size: number): Position {
  if (elem !== "i64" && elem !== "i32") throw new KernelGap(`indices of type ${elem}`);
  const most = k.li(size);
  return (address, offset, outside) => {
    const [bad, good] = [outside ?? k.newLabel(), k.newLabel()];
    const index = k.x("lw", offset, address);
    const sign = k.x("srai", index, 31);
    if (elem === "i64") {
      // The high word of an index that 32 bits hold is its sign.
      k.branch("ne", k.x("lw", offset + bytesPer("i32"), address), sign, bad);
    }
    const position = k.x("add", index, k.x("and", sign, most));
    if (outside !== undefined) k.branch("geu", position, most, bad);
    else {
      k.branch("ltu", position, most, good);
      k.label(bad);
      k.emit("ebreak");
      k.label(good);
    }
    return position;
  };
}
