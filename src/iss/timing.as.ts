/**
 * What a core's time depends on besides the cost in a record: branches that are taken, the lengths of vectors, the vector
 * unit beside it. Accesses to memory are counted: how often cores meet at a bank is for the host to say. A program in
 * user mode has none of it.
 */

import * as op from "./opcodes.as";
import * as at from "./state.as";
import { granted } from "./translated.as";
import { held, occupy, vectorUnit, waitForAccesses, waitForAll } from "./vector-unit.as";

/** Cycles that a taken branch takes beyond another. */
export let penalty: i32 = 0;
let vectorBytes: u32 = 0;
let accesses: i32 = 0;

/** `bytes` is what the vector unit does in a cycle, 0: all at once; `queue` how much it holds, 0: it blocks the core. */
export function timing(taken: i32, bytes: u32, queue: u32): void {
  penalty = taken; vectorBytes = bytes;
  vectorUnit(queue, max<u32>(1, bytes));
}

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

/** The cycle in which so much of the budget is left. */
// @ts-ignore: decorator
@inline
function cycle(h: usize, left: i32): i64 { return load<i64>(h, at.RETIRED) + (granted - left); }

/** Cycles of a vector instruction beyond its cost, of which `left` is left. */
export function beats(h: usize, ip: usize, left: i32): i32 {
  if (vectorBytes == 0) return 0;
  const code: i32 = load<u16>(ip), word = load<u32>(ip, 12);
  if (code <= op.VSETVL) return 0;
  const vl = load<u32>(h, at.VL), log = (load<u32>(h, at.VTYPE) >> 3) & 7;
  const isAccess = (word & 0x7f) != 0x57;
  const isWhole = ((word >> 20) & 31) == 8 && ((word >> 26) & 3) == 0;
  const fields = isAccess && !isWhole ? (word >> 29) + 1 : 1;
  if (isAccess) accesses += vl * fields;
  if (held > 0) return occupy(h, ip, cycle(h, left), 0);
  // Accesses that are not to consecutive elements, or to structures, go one by one.
  if (isAccess && ((word >> 26) & 3 || fields > 1)) return max<i32>(0, vl * fields - 1);
  const bytes = vl << log;
  return bytes == 0 ? 0 : <i32>((bytes - 1) / vectorBytes);
}

/** The same of an access that takes `extra` cycles longer. */
// @ts-ignore: decorator
@inline
export function farBeats(h: usize, ip: usize, left: i32, extra: i32): i32 {
  return held > 0 && <i32>load<u16>(ip) > op.VSETVL ? occupy(h, ip, cycle(h, left), extra) : extra;
}

/** Cycles that a scalar access waits for the vector unit. */
// @ts-ignore: decorator
@inline
export function late(h: usize, left: i32, storing: bool): i32 {
  return load<u32>(h, at.PENDING) & (storing ? 3 : 1) ? order(h, left, storing) : 0;
}

export function order(h: usize, left: i32, storing: bool): i32 {
  return waitForAccesses(h, cycle(h, left), storing);
}

/** Cycles that the core waits until the vector unit is idle. */
export function drain(h: usize, left: i32): i32 { return held > 0 ? waitForAll(h, cycle(h, left)) : 0; }
