/**
 * Where the interpreter meets translated text (translate.ts). A branch counts in its record how often it has led
 * backwards, and so does `jal` for calls. At the threshold the host translates what is there, and puts in place of
 * the count the entry into the table of functions, with the highest bit set.
 */

import { control } from "./csr.as";
import { floating } from "./floating.as";
import * as op from "./opcodes.as";
import * as at from "./state.as";

const ENTRY: u32 = 0x80000000;

/** Never, until the host says otherwise. */
let threshold: u32 = ENTRY - 1;
export let granted: i32 = 0;

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

/** The same for what is executed so many times more. */
export function heatBy(ip: usize, times: u32): u32 {
  const count = load<u32>(ip, 12);
  if (count >= ENTRY) return count;
  if (count > threshold) return 0;
  const more = min<u32>(times, threshold - count);
  store<u32>(ip, count == threshold ? count + 1 : count + more, 12);
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

/** An operation on two singles whose result may not be the machine's own; its rounding mode is not a reserved one. */
export function floatingOfTwo(h: usize, ip: usize, a: f32, b: f32): f32 {
  const zero = a * b;
  // A product is 0 exactly where a factor is.
  if (<i32>load<u16>(ip) == op.FMUL_S && zero == 0 && (a == 0 || b == 0)) return zero;
  store<f32>(h + load<u8>(ip, 5), a, at.F);
  store<f32>(h + load<u8>(ip, 6), b, at.F);
  floating(h, ip);
  return load<f32>(h + load<u8>(ip, 4), at.F);
}

/** A fused multiply-add, in the same way. */
export function floatingOfThree(h: usize, ip: usize, a: f32, b: f32, c: f32): f32 {
  const sum = <f64>a * <f64>b + <f64>c;
  // The double is 0 only where the sum is.
  if (<i32>load<u16>(ip) == op.FMADD_S && sum == 0 && load<u32>(h, at.FAST) != 0) return <f32>sum;
  store<f32>(h + load<u8>(ip, 5), a, at.F);
  store<f32>(h + load<u8>(ip, 6), b, at.F);
  store<f32>(h + load<u8>(ip, 7), c, at.F);
  floating(h, ip);
  return load<f32>(h + load<u8>(ip, 4), at.F);
}
