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

export const copyWide = (k: Assembler, { low, high }: Wide): Wide => ({
  low: k.copy(low),
  high: k.copy(high),
});

export function assignWide(k: Assembler, to: Wide, from: Wide): void {
  k.move(to.low, from.low);
  k.move(to.high, from.high);
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
  shift(k, ["sll", "srl"], places, [low, high], [result.low, result.high]);
  return result;
}

/** Shifted to the right by 0 to 63 places, zeros behind it. */
export function shiftedRight(k: Assembler, { low, high }: Wide, places: X): Wide {
  const result = { low: k.newX(), high: k.copy(ZERO) };
  shift(k, ["srl", "sll"], places, [high, low], [result.high, result.low]);
  return result;
}

/** The word that bits leave, and the one that they get into. */
type Words = readonly [left: X, entered: X];

/** `to` is 0 where bits leave; with 32 places and more nothing else is there. `back` shifts the other way. */
function shift(
  k: Assembler,
  [by, back]: readonly ["sll", "srl"] | readonly ["srl", "sll"],
  places: X,
  from: Words,
  to: Words,
): void {
  k.when(
    "lt",
    places,
    k.li(32),
    () => {
      k.to(to[0], by, from[0], places);
      // By 32 less the places, in two steps: none at all would be 32 places, which are no shift.
      const across = k.x(back, k.x(`${back}i`, from[0], 1), k.x("xori", places, 31));
      k.to(to[1], "or", k.x(by, from[1], places), across);
    },
    () => k.to(to[1], by, from[0], places),
  );
}
