/**
 * Where the interpreter meets translated text (translate.ts). A branch counts in its record how often it has led
 * backwards, and so does `jal` for calls. At the threshold the host translates what is there, and puts in place of
 * the count the entry into the table of functions, with the highest bit set.
 */

import { control } from "./csr.as";
import * as at from "./state.as";

const ENTRY: u32 = 0x80000000;

/** Never, until the host says otherwise. */
let threshold: u32 = ENTRY - 1;
let granted: i32 = 0;

export function translateAt(count: u32): void { threshold = count; }

/** The budget of the interpreter's present run. */
// @ts-ignore: decorator
@inline
export function grant(budget: i32): void { granted = budget; }

/** What a branch leads to: 0 text, TRANSLATE what is to be translated first, or an entry. */
// @ts-ignore: decorator
@inline
export function heat(ip: usize): u32 {
  const count = load<u32>(ip, 12);
  if (count >= ENTRY) return count;
  if (count > threshold) return 0;
  store<u32>(ip, count + 1, 12);
  return count == threshold ? at.TRANSLATE : 0;
}

/** Runs translated text and gives what is left of the budget; where to go on is in the hart's pc. */
// @ts-ignore: decorator
@inline
export function enter(h: usize, entry: u32, left: i32): i32 {
  return call_indirect<i32>(entry & (ENTRY - 1), h, left);
}

/** An instruction of Zicsr within translated text; `left` is what is left of the budget before it. */
export function controlWithin(h: usize, ip: usize, left: i32): bool { return control(h, ip, granted - left); }
