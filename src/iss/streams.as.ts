/**
 * Streams in registers and repeated floating point: what src/riscv/isa/stream.ts encodes and docs/streams.md says. A
 * stream is configured by words: 0 what it is doing, 1 how often an element is read again, 2 to 5 bounds, 6 to 9 strides,
 * 24 to 27 and 28 to 31 the address where it starts to be read or written, in one dimension to four. Its place goes on
 * before an access, so that where all counters are 0 either nothing is left or the first element is still to come.
 */

import * as op from "./opcodes.as";
import { floating } from "./floating.as";
import { f1, f2, f3, fused, imm, plain, setF, setX, x1 } from "./operands.as";
import { placeOf, regionCycles } from "./regions.as";
import { noted } from "./shadow.as";
import * as at from "./state.as";
import { addAccesses } from "./timing.as";

let ramBase: u32 = 0, ramSize: u32 = 0, ramAt: usize = 0, writeBase: u32 = 0;
/** Cycles that the last start of a stream takes, because what it accesses is far away. */
export let startCycles: i32 = 0;
let farCycles: i32 = 0;
/** Translated text does not start what is far away. */
let nearOnly = false;

export function streamMemory(ram: u32, bytes: u32, place: usize, writable: u32): void {
  ramBase = ram; ramSize = bytes; ramAt = place; writeBase = writable;
}

/** What an instruction means to streams, in place of its word: ft0 to ft2 that it reads, those that it writes. */
const READS: u32 = 7, WRITES: u32 = 0x38, REPEATABLE: u32 = 0x40, MEMORY: u32 = 0x80;
/** Kinds of faults, of which the value is four times the kind and the stream. */
const NO_MORE: u32 = 0, NO_ROOM: u32 = 4, BUSY: u32 = 8, NOT_REPEATABLE: u32 = 12, NOT_MOVED: u32 = 16;

const FIRST_START: u32 = 24, ALL: u32 = 31, DIMENSIONS = 4;

// @ts-ignore: decorator
@inline
function stream(h: usize, s: u32): usize { return h + at.STREAMS + <usize>s * at.STREAM_BYTES; }
// @ts-ignore: decorator
@inline
function bound(a: usize, d: i32): u32 { return load<u32>(a + (d << 2), at.BOUNDS); }
// @ts-ignore: decorator
@inline
function writes(h: usize, s: u32): bool { return ((load<u32>(h, at.DIRECTIONS) >> s) & 1) != 0; }

/** How `left <= limit` is to be read while each instruction is looked at: always so. */
export function limitOf(h: usize): i32 {
  return (load<u32>(h, at.SSR) | load<u32>(h, at.FREP_LEFT)) != 0 ? 0x7fffffff : 0;
}

function faulty(h: usize, kind: u32): i32 {
  store<u32>(h, kind, at.VALUE);
  return at.STREAM;
}

function hasMore(a: usize): bool {
  let left = load<u32>(a, at.FRESH) | load<u32>(a, at.REP);
  for (let d = 0; d < DIMENSIONS; d++) left |= load<u32>(a + (d << 2), at.COUNTERS);
  return left != 0;
}

/** The word of a configuration. */
export function configuration(h: usize, config: u32): u32 {
  const s = config & 31, word = config >> 5, a = stream(h, s);
  if (s >= at.STREAM_COUNT) return 0;
  if (word > 0 && word < 10) return load<u32>(a + (word << 2));
  const doing = <u32>!hasMore(a) << 31 | <u32>writes(h, s) << 30;
  return word == 0 ? doing | (max<u32>(load<u32>(a, at.DIMS), 1) - 1) << 28 : 0;
}

/** Sets a word of a configuration, which may start the stream; 0, or why not. */
export function configure(h: usize, config: u32, to: u32): i32 {
  const s = config & 31, word = config >> 5;
  startCycles = 0;
  if (s == ALL) {
    let cycles = 0;
    for (let i: u32 = 0; i < at.STREAM_COUNT; i++) {
      const cause = configure(h, config & ~31 | i, to);
      if (cause != 0) return cause;
      cycles += startCycles;
    }
    startCycles = cycles;
    return 0;
  }
  if (s >= at.STREAM_COUNT || word == 0 || word > 9 && word < FIRST_START || word > ALL) return at.ILLEGAL;
  const a = stream(h, s);
  if (hasMore(a)) return faulty(h, BUSY + s);
  if (word < FIRST_START) { store<u32>(a + (word << 2), to); return 0; }
  return start(h, s, <i32>(word & 3) + 1, word >= FIRST_START + <u32>DIMENSIONS, to);
}

/** Starts a stream, all of whose elements have to lie in one memory. */
function start(h: usize, s: u32, dims: i32, writing: bool, base: u32): i32 {
  const a = stream(h, s);
  let low: f64 = base, high: f64 = base, span: f64 = 0, count: f64 = 1, steps = base;
  for (let d = 0; d < dims; d++) {
    const b = <f64>bound(a, d), stride = load<i32>(a + (d << 2), at.STRIDES);
    if (b == 0) continue;
    // Strides count from the last element of the dimensions within.
    const by = b * (<f64>stride + span);
    span += by; count *= b + 1; steps |= stride;
    if (by < 0) low += by; else high += by;
  }
  if (steps & 3) { store<u32>(h, base, at.VALUE); return at.MISALIGNED; }
  const cause = writing ? at.STORE : at.LOAD;
  if (low < 0 || high > <f64>0xfffffffc) { store<u32>(h, base, at.VALUE); return cause; }
  const first = <u32>low, bytes = <u32>high - first + 4;
  const place = within(first, bytes, writing);
  if (place == 0) {
    store<u32>(h, within(first, 4, writing) == 0 ? first : <u32>high, at.VALUE);
    return cause;
  }
  if (nearOnly && farCycles != 0) return cause;
  startCycles = <i32>min<f64>(count * <f64>farCycles, 1e9);
  addAccesses(<i32>min<f64>(count, 1e9));
  store<usize>(a, place - first, at.DELTA);
  store<u32>(a, <u32>place + (base - first), at.PLACE);
  store<u32>(a, dims, at.DIMS);
  store<u32>(a, 1, at.FRESH);
  const bit: u32 = 1 << s, all = load<u32>(h, at.DIRECTIONS);
  store<u32>(h, writing ? all | bit : all & ~bit, at.DIRECTIONS);
  return 0;
}

/** Where so many bytes are in this memory; 0 where they may not be accessed. */
function within(a: u32, bytes: u32, writing: bool): usize {
  const base = writing ? writeBase : ramBase, size = ramSize - (base - ramBase);
  farCycles = 0;
  if (bytes <= size && a - base <= size - bytes) return ramAt + (a - ramBase);
  const place = placeOf(a, bytes, writing);
  if (place != 0) farCycles = regionCycles;
  return place;
}

/** The place of the next element, to be read or written; 0 where there is none. */
export function advance(h: usize, s: u32, writing: bool): usize {
  const a = stream(h, s);
  if (writes(h, s) != writing) return noElement(h, s, writing);
  const again = load<u32>(a, at.REP);
  if (again != 0) { store<u32>(a, again - 1, at.REP); return load<u32>(a, at.PLACE); }
  const left = load<u32>(a, at.COUNTERS);
  if (left == 0) return further(h, s, writing);
  store<u32>(a, left - 1, at.COUNTERS);
  if (!writing) store<u32>(a, load<u32>(a, at.REPEAT), at.REP);
  const place = load<u32>(a, at.PLACE) + load<u32>(a, at.STRIDES);
  store<u32>(a, place, at.PLACE);
  return place;
}

/** The same where the innermost dimension ends, or is still to begin. */
function further(h: usize, s: u32, writing: bool): usize {
  const a = stream(h, s);
  let d = 0;
  const dims = <i32>load<u32>(a, at.DIMS);
  if (load<u32>(a, at.FRESH) != 0) { store<u32>(a, 0, at.FRESH); d = dims; }
  else {
    while (d < dims && load<u32>(a + (d << 2), at.COUNTERS) == 0) d++;
    if (d == dims) return noElement(h, s, writing);
    store<u32>(a + (d << 2), load<u32>(a + (d << 2), at.COUNTERS) - 1, at.COUNTERS);
    store<u32>(a, load<u32>(a, at.PLACE) + load<u32>(a + (d << 2), at.STRIDES), at.PLACE);
  }
  for (let e = 0; e < d; e++) store<u32>(a + (e << 2), bound(a, e), at.COUNTERS);
  if (!writing) store<u32>(a, load<u32>(a, at.REPEAT), at.REP);
  return load<u32>(a, at.PLACE);
}

/** Translated text may have gone on in another stream by then: the fault is kept for the interpreter. */
function noElement(h: usize, s: u32, writing: bool): usize {
  store<u32>(h, (writing ? NO_ROOM : NO_MORE) + s + 1, at.FAULT);
  return 0;
}

/** An instruction that configures a stream, for translated text; false where the interpreter has to. */
export function startStream(h: usize, ip: usize): bool {
  const config = <u32>imm(ip);
  if (<i32>load<u16>(ip) == op.SCFGRI) { setX(h, ip, configuration(h, config)); return true; }
  nearOnly = true;
  const cause = configure(h, config, x1(h, ip));
  nearOnly = false;
  return cause == 0;
}

/** Begins a repetition. */
export function repeatFrom(h: usize, pc: u32, times: u32, body: u32): void {
  store<u32>(h, times, at.FREP_LEFT);
  store<u32>(h, pc + 4, at.FREP_FROM);
  store<u32>(h, pc + 4 + ((body + 1) << 2), at.FREP_TO);
}

/** The address at which a repetition goes on. */
// @ts-ignore: decorator
@inline
export function repeated(h: usize, pc: u32): u32 {
  const left = load<u32>(h, at.FREP_LEFT);
  if (left == 0 || pc != load<u32>(h, at.FREP_TO)) return pc;
  store<u32>(h, left - 1, at.FREP_LEFT);
  return load<u32>(h, at.FREP_FROM);
}

/** Executes an instruction if it has to do with streams: 0, else why it stops, or -1 where it has not. */
export function streaming(h: usize, ip: usize): i32 {
  const code = <i32>load<u16>(ip);
  if (code == 0 || code == at.NONE) return -1;
  const means = code >= op.FLW && code <= op.FCVT_H_S ? load<u32>(ip, 12) : 0;
  if (load<u32>(h, at.FREP_LEFT) != 0 && !(means & REPEATABLE)) return faulty(h, NOT_REPEATABLE);
  if (load<u32>(h, at.SSR) == 0 || (means & (READS | WRITES)) == 0) return -1;
  if (means & MEMORY) return faulty(h, NOT_MOVED);
  for (let s: u32 = 0; s < at.STREAM_COUNT; s++) {
    if ((means >> s & 1) == 0) continue;
    const cause = pop(h, s);
    if (cause != 0) return cause;
  }
  if (code == op.FMADD_S && (means & WRITES) == 0) {
    const a = operand(h, load<u8>(ip, 5), means), b = operand(h, load<u8>(ip, 6), means);
    const r = fused(a, b, operand(h, load<u8>(ip, 7), means));
    if (plain(h, ip, r)) { setF(h, ip, reinterpret<u32>(r)); return 0; }
  }
  const all = (means | means >> 3) & READS;
  exchange(h, all);
  let cause: i32 = compute(h, ip, code) ? 0 : at.ILLEGAL;
  if (cause == 0 && (means & WRITES) != 0) cause = push(h, load<u8>(ip, 4) >> 2);
  exchange(h, all);
  return cause;
}

/** Has elements in the place of registers that stand for streams, and back. */
function exchange(h: usize, all: u32): void {
  for (let s: u32 = 0; s < at.STREAM_COUNT; s++) {
    if ((all >> s & 1) == 0) continue;
    const a = h + (s << 2), kept = load<u32>(a, at.F);
    store<u32>(a, load<u32>(a, at.TAKEN), at.F);
    store<u32>(a, kept, at.TAKEN);
  }
}

/** What a register of floats holds, or the element that stands for it. */
// @ts-ignore: decorator
@inline
function operand(h: usize, register: u32, means: u32): u32 {
  const s = register >> 2;
  const isTaken = s < at.STREAM_COUNT && (means >> s & 1) != 0;
  return isTaken ? load<u32>(h + register, at.TAKEN) : load<u32>(h + register, at.F);
}

function compute(h: usize, ip: usize, code: i32): bool {
  let r: f32 = NaN;
  if (code == op.FMADD_S) r = fused(f1(h, ip), f2(h, ip), f3(h, ip));
  else if (code == op.FADD_S) r = reinterpret<f32>(f1(h, ip)) + reinterpret<f32>(f2(h, ip));
  else if (code == op.FMUL_S) r = reinterpret<f32>(f1(h, ip)) * reinterpret<f32>(f2(h, ip));
  if (!plain(h, ip, r)) return floating(h, ip);
  setF(h, ip, reinterpret<u32>(r));
  return true;
}

/** Takes an element. */
function pop(h: usize, s: u32): i32 {
  const place = load<u32>(h, at.FAULT) != 0 ? 0 : advance(h, s, false);
  if (place == 0) return faulty(h, load<u32>(h, at.FAULT) - 1);
  const a = <u32>place - load<u32>(stream(h, s), at.DELTA);
  if (!noted(a, 4, false)) { store<u32>(h, a, at.VALUE); return at.UNWRITTEN; }
  store<u32>(h + (s << 2), load<u32>(place), at.TAKEN);
  return 0;
}

/** Writes a register to an element. */
function push(h: usize, s: u32): i32 {
  const place = load<u32>(h, at.FAULT) != 0 ? 0 : advance(h, s, true);
  if (place == 0) return faulty(h, load<u32>(h, at.FAULT) - 1);
  store<u32>(place, load<u32>(h + (s << 2), at.F));
  noted(<u32>place - load<u32>(stream(h, s), at.DELTA), 4, true);
  return 0;
}
