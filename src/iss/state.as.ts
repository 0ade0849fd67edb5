/** Where a hart's state is, in bytes from its beginning, and why it stops. */

// @ts-ignore: decorator
@inline
export const F: usize = 256;
// @ts-ignore: decorator
@inline
export const PC: usize = 384;
// @ts-ignore: decorator
@inline
export const VALUE: usize = 388;
// @ts-ignore: decorator
@inline
export const RETIRED: usize = 392; // Instructions, or cycles of a core whose instructions have costs.
// @ts-ignore: decorator
@inline
export const FCSR: usize = 400;
/** PLAIN_SPAN while rounding is to nearest and the inexact flag is up, else 0: most results are then the machine's own. */
// @ts-ignore: decorator
@inline
export const FAST: usize = 404;
/** Normal singles but for the least are, as magnitudes in bits, so many from 0x00800001 on. */
// @ts-ignore: decorator
@inline
export const PLAIN_SPAN: u32 = 0x7effffff;
/** The reserved address with its lowest bit set, or 0. */
// @ts-ignore: decorator
@inline
export const RESERVED: usize = 408;
// @ts-ignore: decorator
@inline
export const HARTID: usize = 412;

// @ts-ignore: decorator
@inline
export const VL: usize = 416;
// @ts-ignore: decorator
@inline
export const VTYPE: usize = 420;
// @ts-ignore: decorator
@inline
export const VSTART: usize = 424;
/** vxsat in bit 0, vxrm in the two above. */
// @ts-ignore: decorator
@inline
export const VCSR: usize = 428;
/** The vector registers, of VLENB bytes each. */
// @ts-ignore: decorator
@inline
export const V: usize = 512;
// @ts-ignore: decorator
@inline
export const VLENB: u32 = 16;

// @ts-ignore: decorator
@inline
export const BUDGET: i32 = 0;
// @ts-ignore: decorator
@inline
export const DECODE: i32 = 1;
// @ts-ignore: decorator
@inline
export const ECALL: i32 = 2;
// @ts-ignore: decorator
@inline
export const EBREAK: i32 = 3;
// @ts-ignore: decorator
@inline
export const ILLEGAL: i32 = 4;
// @ts-ignore: decorator
@inline
export const LOAD: i32 = 5;
// @ts-ignore: decorator
@inline
export const STORE: i32 = 6;
// @ts-ignore: decorator
@inline
export const FETCH: i32 = 7;
// @ts-ignore: decorator
@inline
export const MISALIGNED: i32 = 8;
// @ts-ignore: decorator
@inline
export const FENCE_I: i32 = 9;
// @ts-ignore: decorator
@inline
export const SERVICE: i32 = 10;
/** A branch that has been taken so often that what it leads to is worth a translation; its record is the value. */
// @ts-ignore: decorator
@inline
export const HOT: i32 = 11;

/** A read of what nobody has written, where that is noted (shadow.as.ts). */
// @ts-ignore: decorator
@inline
export const UNWRITTEN: i32 = 12;

/** The opcode of what is no instruction. */
// @ts-ignore: decorator
@inline
export const NONE: i32 = 1;

/** What stands for x0 as a destination. */
// @ts-ignore: decorator
@inline
export const SINK: u32 = 128;
/** In place of an entry: the branch has become hot. */
// @ts-ignore: decorator
@inline
export const TRANSLATE: u32 = 0xffffffff;
