/**
 * What a core's time depends on besides the cost in a record: branches that are taken, the lengths of vectors. Accesses
 * to memory are counted: how often cores meet at a bank is for the host to say. A program in user mode has none of it.
 */

import * as op from "./opcodes.as";
import * as at from "./state.as";

/** Cycles that a taken branch takes beyond another. */
export let penalty: i32 = 0;
let vectorBytes: u32 = 0;
let accesses: i32 = 0;

/** `bytes` is what the vector unit does in a cycle; 0: all at once. */
export function timing(taken: i32, bytes: u32): void { penalty = taken; vectorBytes = bytes; }

/** Accesses since the last time. */
export function takeAccesses(): i32 {
  const all = accesses;
  accesses = 0;
  return all;
}

// @ts-ignore: decorator
@inline
export function access(): void { accesses++; }

/** Accesses of translated text. */
export function addAccesses(more: i32): void { accesses += more; }

/** Cycles of a vector instruction beyond its cost; accesses that are not to consecutive elements go one by one. */
export function beats(h: usize, ip: usize): i32 {
  if (vectorBytes == 0) return 0;
  const code: i32 = load<u16>(ip), word = load<u32>(ip, 12);
  if (code <= op.VSETVL) return 0;
  const vl = load<u32>(h, at.VL), log = (load<u32>(h, at.VTYPE) >> 3) & 7;
  if ((word & 0x7f) != 0x57) {
    accesses += vl;
    if ((word >> 26) & 3) return max<i32>(0, vl - 1);
  }
  const bytes = vl << log;
  return bytes == 0 ? 0 : <i32>((bytes - 1) / vectorBytes);
}
