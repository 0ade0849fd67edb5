/** Integers of 64 bits as two registers. */

import type { Assembler } from "./assembler.ts";
import { type X, ZERO } from "./register.ts";

export interface Wide {
  readonly low: X;
  readonly high: X;
}

const WORD = 4;

export const loadWide = (k: Assembler, offset: number, address: X): Wide => ({
  low: k.x("lw", offset, address),
  high: k.x("lw", offset + WORD, address),
});

export function storeWide(k: Assembler, { low, high }: Wide, offset: number, address: X): void {
  k.emit("sw", low, offset, address);
  k.emit("sw", high, offset + WORD, address);
}

/** A 32-bit integer with its sign. */
export const widened = (k: Assembler, low: X): Wide => ({ low, high: k.x("srai", low, 31) });

export function addWide(k: Assembler, a: Wide, b: Wide): Wide {
  const low = k.x("add", a.low, b.low);
  const carry = k.x("sltu", low, a.low);
  return { low, high: k.x("add", k.x("add", a.high, b.high), carry) };
}

export function subWide(k: Assembler, a: Wide, b: Wide): Wide {
  const borrow = k.x("sltu", a.low, b.low);
  return {
    low: k.x("sub", a.low, b.low),
    high: k.x("sub", k.x("sub", a.high, b.high), borrow),
  };
}

/** The low 64 bits of the product. */
export function mulWide(k: Assembler, a: Wide, b: Wide): Wide {
  const crossed = k.x("add", k.x("mul", a.high, b.low), k.x("mul", a.low, b.high));
  return {
    low: k.x("mul", a.low, b.low),
    high: k.x("add", k.x("mulhu", a.low, b.low), crossed),
  };
}

/** 1 where a < b, otherwise 0. */
export function lessWide(k: Assembler, a: Wide, b: Wide, signed = true): X {
  const compare = signed ? "slt" : "sltu";
  const below = k.x("sltu", a.low, b.low);
  const same = k.x("sltiu", k.x("xor", a.high, b.high), 1);
  return k.x("or", k.x(compare, a.high, b.high), k.x("and", same, below));
}

/** 1 where they are equal, otherwise 0. */
export function equalWide(k: Assembler, a: Wide, b: Wide): X {
  const differ = k.x("or", k.x("xor", a.low, b.low), k.x("xor", a.high, b.high));
  return k.x("sltiu", differ, 1);
}

/** Shifted to the left by 0 to 63 places. */
export function shiftedLeft(k: Assembler, { low, high }: Wide, places: X): Wide {
  const result = { low: k.copy(ZERO), high: k.newX() };
  k.when(
    "lt",
    places,
    k.li(32),
    () => {
      k.to(result.low, "sll", low, places);
      const across = k.x("srl", k.x("srli", low, 1), k.x("xori", places, 31));
      k.to(result.high, "or", k.x("sll", high, places), across);
    },
    () => k.to(result.high, "sll", low, places),
  );
  return result;
}

/** Shifted to the right by 0 to 63 places, zeros behind it. */
export function shiftedRight(k: Assembler, { low, high }: Wide, places: X): Wide {
  const result = { low: k.newX(), high: k.copy(ZERO) };
  k.when(
    "lt",
    places,
    k.li(32),
    () => {
      k.to(result.high, "srl", high, places);
      const across = k.x("sll", k.x("slli", high, 1), k.x("xori", places, 31));
      k.to(result.low, "or", k.x("srl", low, places), across);
    },
    () => k.to(result.low, "srl", high, places),
  );
  return result;
}
