/** The operands in a record; hart.as.ts says what is in one. */

import * as fp from "./float.as";
import * as at from "./state.as";

// @ts-ignore: decorator
@inline
export function x1(h: usize, ip: usize): i32 { return load<i32>(h + load<u8>(ip, 5)); }
// @ts-ignore: decorator
@inline
export function x2(h: usize, ip: usize): i32 { return load<i32>(h + load<u8>(ip, 6)); }
// @ts-ignore: decorator
@inline
export function imm(ip: usize): i32 { return load<i32>(ip, 8); }
// @ts-ignore: decorator
@inline
export function setX(h: usize, ip: usize, to: i32): void { store<i32>(h + load<u8>(ip, 4), to); }
// @ts-ignore: decorator
@inline
export function f1(h: usize, ip: usize): u32 { return load<u32>(h + load<u8>(ip, 5), at.F); }
// @ts-ignore: decorator
@inline
export function f2(h: usize, ip: usize): u32 { return load<u32>(h + load<u8>(ip, 6), at.F); }
// @ts-ignore: decorator
@inline
export function f3(h: usize, ip: usize): u32 { return load<u32>(h + load<u8>(ip, 7), at.F); }
// @ts-ignore: decorator
@inline
export function setF(h: usize, ip: usize, to: u32): void { store<u32>(h + load<u8>(ip, 4), to, at.F); }
// @ts-ignore: decorator
@inline
export function next(ip: usize): usize { return ip + load<u8>(ip, 2); }
// @ts-ignore: decorator
@inline
export function cost(ip: usize): i32 { return load<u8>(ip, 3); }

/** Whether the native result is the answer: rounded to nearest, the inexact flag already up, above the least normal number. */
// @ts-ignore: decorator
@inline
export function plain(h: usize, ip: usize, result: f32): bool {
  const size = reinterpret<u32>(result) & 0x7fffffff;
  return load<u32>(h, at.FAST) != 0 && (imm(ip) == 7 || imm(ip) == 0) && size - 0x00800001 < 0x7effffff;
}

/** A product and a sum, rounded once, where that can be seen from the double; NaN where it cannot. */
// @ts-ignore: decorator
@inline
export function fused(a: u32, b: u32, c: u32): f32 {
  const sum = fp.value(a) * fp.value(b) + fp.value(c);
  return (<u32>reinterpret<u64>(sum) & 0x1fffffff) == 0x10000000 ? NaN : <f32>sum;
}
