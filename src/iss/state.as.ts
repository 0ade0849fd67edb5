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

/**
 * The vector unit beside a core (vector-unit.as.ts), in cycles: for each register when it is computed and when it may be
 * written, when each unit is free, when each instruction that is held is done, then all, all accesses and all stores.
 */
// @ts-ignore: decorator
@inline
export const COMPUTED: usize = 1024;
// @ts-ignore: decorator
@inline
export const FREE: usize = 1280;
// @ts-ignore: decorator
@inline
export const UNITS: usize = 1536;
// @ts-ignore: decorator
@inline
export const DRAINED: usize = 1568;
// @ts-ignore: decorator
@inline
export const ACCESSED: usize = 1576;
// @ts-ignore: decorator
@inline
export const STORED: usize = 1584;
/** The place of the next instruction that is held. */
// @ts-ignore: decorator
@inline
export const SLOT: usize = 1592;
/** Bit 0: stores of vectors may not be done; bit 1: loads or stores. */
// @ts-ignore: decorator
@inline
export const PENDING: usize = 1596;
// @ts-ignore: decorator
@inline
export const HELD: usize = 1600;

/** What a vector instruction does, as vector-use.ts packs it. */
// @ts-ignore: decorator
@inline
export const READS_VD: u32 = 1 << 11;
// @ts-ignore: decorator
@inline
export const WRITES_VD: u32 = 1 << 12;
// @ts-ignore: decorator
@inline
export const SCALAR: u32 = 1 << 13;
// @ts-ignore: decorator
@inline
export const REDUCES: u32 = 1 << 14;
// @ts-ignore: decorator
@inline
export const SLOW: u32 = 1 << 15;
// @ts-ignore: decorator
@inline
export const WHOLE: u32 = 1 << 24;

/** Streams (streams.as.ts): whether they are enabled, a bit for each that is written, what a repetition has left. */
// @ts-ignore: decorator
@inline
export const SSR: usize = 2048;
// @ts-ignore: decorator
@inline
export const DIRECTIONS: usize = 2052;
// @ts-ignore: decorator
@inline
export const FREP_LEFT: usize = 2056;
// @ts-ignore: decorator
@inline
export const FREP_FROM: usize = 2060;
// @ts-ignore: decorator
@inline
export const FREP_TO: usize = 2064;
// @ts-ignore: decorator
@inline
export const FAULT: usize = 2068;
// @ts-ignore: decorator
@inline
export const TAKEN: usize = 2072;
// @ts-ignore: decorator
@inline
export const STREAMS: usize = 2112;
// @ts-ignore: decorator
@inline
export const STREAM_BYTES: usize = 128;
// @ts-ignore: decorator
@inline
export const STREAM_COUNT: u32 = 3;
/** Of each stream: its configuration, then where it is. */
// @ts-ignore: decorator
@inline
export const REPEAT: usize = 4;
// @ts-ignore: decorator
@inline
export const BOUNDS: usize = 8;
// @ts-ignore: decorator
@inline
export const STRIDES: usize = 24;
// @ts-ignore: decorator
@inline
export const PLACE: usize = 40;
// @ts-ignore: decorator
@inline
export const REP: usize = 44;
// @ts-ignore: decorator
@inline
export const COUNTERS: usize = 48;
// @ts-ignore: decorator
@inline
export const DIMS: usize = 64;
// @ts-ignore: decorator
@inline
export const FRESH: usize = 68;
// @ts-ignore: decorator
@inline
export const DELTA: usize = 72;

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

/** A stream that has no element to read or write, or is changed while it has; the value says which. */
// @ts-ignore: decorator
@inline
export const STREAM: i32 = 13;

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
