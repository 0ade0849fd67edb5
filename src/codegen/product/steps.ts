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
 * `body`, which takes `unroll` elements along the summed axis, so many times; fewer where only `depth` elements count and
 * those are fewer.
 */
export function turns(
  k: Assembler,
  most: number,
  unroll: number,
  depth: X | undefined,
  body: () => void,
): void {
  if (!depth || most === 0) {
    k.repeat(most, body);
    return;
  }
  const wanted = k.div(k.add(depth, unroll - 1), unroll);
  k.repeat(k.min(wanted, k.li(most)), body);
}
