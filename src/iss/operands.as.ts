/** The operands in a record; hart.as.ts says what is in one. */

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
