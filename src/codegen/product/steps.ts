/** Steps that no immediate holds, in registers that are set once. */

import type { Assembler } from "../assembler.ts";
import type { X } from "../register.ts";

/** The largest offset of a load, and the largest step of one instruction. */
export const REACH = 2047;

export class Steps {
  private readonly k: Assembler;
  private readonly registers = new Map<number, X>();

  /** Sets the registers here; this has to be outside of the loops that advance. */
  constructor(k: Assembler, steps: readonly number[]) {
    this.k = k;
    for (const n of new Set(steps)) if (n > REACH) this.registers.set(n, k.li(n));
  }

  /** pointer += by. */
  advance(pointer: X, by: number): void {
    if (by !== 0) this.k.addTo(pointer, pointer, this.registers.get(by) ?? by);
  }

  /** A new register: pointer + by. */
  beyond(pointer: X, by: number): X {
    return this.k.add(pointer, this.registers.get(by) ?? by);
  }

  /** A register that holds the number. */
  held(by: number): X {
    return this.registers.get(by) ?? this.k.li(by);
  }
}

/**
 * Takes `count` elements along the summed axis, `unroll` in each turn of a loop. `take` emits code for so many; where
 * they are taken `again`, it has to end as it began.
 */
export function turns(
  k: Assembler,
  count: number | X,
  unroll: number,
  take: (elements: number, again: boolean) => void,
): void {
  if (typeof count === "number") {
    k.repeat(Math.floor(count / unroll), () => take(unroll, true));
    if (count % unroll > 0) take(count % unroll, false);
    return;
  }
  k.repeat(k.div(count, unroll), () => take(unroll, true));
  if (unroll > 1) k.repeat(k.rem(count, unroll), () => take(1, true));
}
