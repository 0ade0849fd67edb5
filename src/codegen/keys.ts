/** Elements as integers of the same order, to choose the largest or smallest. */

import { bytesPer, type Elem, isFloat } from "../tensor/tensor.ts";
import { isNone } from "./double.ts";
import { orderOf } from "./double-convert.ts";
import type { PhaseAssembler } from "./kernel.ts";
import { type X, ZERO } from "./register.ts";
import { isSigned, isWide, loadOf } from "./scalars.ts";
import { lessWide, loadWide, type Wide } from "./wide.ts";

/** A key is of two registers where the element has 64 bits. NaN is larger than every number; both zeros are equal. */
export interface Keys<T> {
  load(address: X): T;
  /** 1 where a < b, otherwise 0. */
  less(a: T, b: T): X;
  /** A new key that no other is larger than. */
  most(): T;
  move(to: T, from: T): void;
}

/** Keys of which the largest is the largest element or, turned, the smallest; as numbers with a sign. */
export function withKeys(
  k: PhaseAssembler,
  elem: Elem,
  largest: boolean,
  use: <T>(keys: Keys<T>) => void,
): void {
  if (elem === "f64") use(doubleKeys(k, largest));
  else if (isWide(elem)) use(wideKeys(k, elem, largest));
  else use(wordKeys(k, isFloat(elem) ? floatKey(k, elem) : wholeKey(k, elem), largest));
}

function wordKeys(k: PhaseAssembler, key: (address: X) => X, largest: boolean): Keys<X> {
  return {
    load: (address) => (largest ? key(address) : k.x("xori", key(address), -1)),
    less: (a, b) => k.x("slt", a, b),
    most: () => k.li(0x7fffffff),
    move: (to, from) => void k.move(to, from),
  };
}

/** Integers of at most 32 bits; without sign, the top bit is turned. */
function wholeKey(k: PhaseAssembler, elem: Elem): (address: X) => X {
  const load = loadOf(elem);
  if (isSigned(elem) || bytesPer(elem) < 4) return (address) => k.x(load, 0, address);
  const top = k.li(-(2 ** 31));
  return (address) => k.x("xor", k.x(load, 0, address), top);
}

/** The bits of a float, of those that are negative all but the sign turned. */
function floatKey(k: PhaseAssembler, elem: Elem): (address: X) => X {
  const infinity = k.li(elem === "f16" ? 0x7c000000 : 0x7f800000);
  return (address) => {
    const word = elem === "f32" ? k.x("lw", 0, address) : k.x("slli", k.x("lhu", 0, address), 16);
    const magnitude = k.x("srli", k.x("slli", word, 1), 1);
    const key = k.copy(magnitude);
    k.when("lt", word, ZERO, () => k.to(key, "sub", ZERO, magnitude));
    k.when("ltu", infinity, magnitude, () => k.set(key, 0x7fffffff));
    return key;
  };
}

function doubleKeys(k: PhaseAssembler, largest: boolean): Keys<Wide> {
  return keysOfTwo(k, largest, (address) => {
    const value = loadWide(k, 0, address);
    const key = orderOf(k, value);
    k.when("ne", isNone(k, value), ZERO, () => {
      k.set(key.low, -1);
      k.set(key.high, 0x7fffffff);
    });
    return key;
  });
}

function wideKeys(k: PhaseAssembler, elem: Elem, largest: boolean): Keys<Wide> {
  const turned = k.li(elem === "ui64" ? -(2 ** 31) : 0);
  return keysOfTwo(k, largest, (address) => {
    const { low, high } = loadWide(k, 0, address);
    return { low, high: k.x("xor", high, turned) };
  });
}

function keysOfTwo(k: PhaseAssembler, largest: boolean, keyAt: (address: X) => Wide): Keys<Wide> {
  const flip = (a: X): X => (largest ? a : k.x("xori", a, -1));
  return {
    load: (address) => {
      const { low, high } = keyAt(address);
      return { low: flip(low), high: flip(high) };
    },
    less: (a, b) => lessWide(k, a, b),
    most: () => ({ low: k.li(-1), high: k.li(0x7fffffff) }),
    move: (to, from) => {
      k.move(to.low, from.low);
      k.move(to.high, from.high);
    },
  };
}
