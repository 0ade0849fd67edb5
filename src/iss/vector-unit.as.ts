/**
 * A vector unit beside its core: the core hands an instruction over in one cycle and goes on. Loads and stores, slides
 * and gathers, and all else are three units that each take their instructions in order, one register after the other,
 * all at the same time. An instruction begins a register when what it reads of it has been computed (chaining) and who
 * reads or writes it before has been there. The core waits where the unit holds as many instructions as it can, for a
 * result in a scalar register, and with scalar accesses for vectors that are stored (with stores for those that are
 * loaded, too). The times are kept in the hart; what instructions read and write the host says (vector-use.ts).
 */

import * as op from "./opcodes.as";
import * as at from "./state.as";

/** For each opcode a word, as vector-use.ts packs it. */
const MOST_OPCODES = 1024;
const USES = memory.data(MOST_OPCODES * 4);
const MEMORY: u32 = 2;

/** How many instructions the unit holds; 0: there is none beside the core. */
export let held: u32 = 0;
let perCycle: u32 = 16;
/** Cycles for a register. */
let pace: i64 = 1;

export function unitUses(): usize { return USES; }

export function vectorUnit(instructions: u32, bytes: u32): void {
  held = instructions; perCycle = bytes;
  pace = max<i64>(1, at.VLENB / bytes);
}

/** Registers of an operand: none, as many as the elements fill, one, and of twice, half and a quarter the width. */
// @ts-ignore: decorator
@inline
function bytesOf(kind: u32, bytes: u32): u32 {
  if (kind == 1) return bytes;
  if (kind == 3) return bytes << 1;
  if (kind == 4) return bytes >> 1;
  if (kind == 5) return bytes >> 2;
  return kind == 2 ? 1 : 0;
}

// @ts-ignore: decorator
@inline
function registers(bytes: u32): u32 { return (bytes + at.VLENB - 1) / at.VLENB; }

/** The first cycle from `start` on in which all registers of a source come in time. */
function afterResults(h: usize, start: i64, first: u32, count: u32, each: i64): i64 {
  let from = start;
  for (let g: u32 = 0; g < count; g++) {
    from = max(from, load<i64>(h + (((first + g) & 31) << 3), at.COMPUTED) - <i64>(g + 1) * each + 1);
  }
  return from;
}

/** The same for a destination: others have read and written its registers before. */
function afterOthers(h: usize, start: i64, first: u32, count: u32, each: i64, latency: i64): i64 {
  let from = start;
  for (let g: u32 = 0; g < count; g++) {
    const r = h + (((first + g) & 31) << 3);
    from = max(from, load<i64>(r, at.FREE) - <i64>g * each);
    from = max(from, load<i64>(r, at.COMPUTED) + 2 - latency - <i64>(g + 1) * each);
  }
  return from;
}

function markRead(h: usize, start: i64, first: u32, count: u32, each: i64): void {
  for (let g: u32 = 0; g < count; g++) {
    const r = h + (((first + g) & 31) << 3);
    store<i64>(r, max(load<i64>(r, at.FREE), start + <i64>(g + 1) * each), at.FREE);
  }
}

/** `now` is when the instruction has been issued, `extra` what its access takes longer; cycles that the core waits. */
export function occupy(h: usize, ip: usize, now: i64, extra: i32): i32 {
  const use = load<u32>(USES + (<usize>load<u16>(ip) << 2)), word = load<u32>(ip, 12);
  const unit = use & 3, vl = load<u32>(h, at.VL);
  if (unit == 0) return 0;
  const sew = (load<u32>(h, at.VTYPE) >> 3) & 7;
  const vd = (word >> 7) & 31, vs1 = (word >> 15) & 31, vs2 = (word >> 20) & 31;
  let bytes = vl << sew, all: u32 = 0, beats: i64 = 0, each = pace;
  let kindD = (use >> 2) & 7, kind1 = (use >> 5) & 7, kind2 = (use >> 8) & 7;
  if (unit == MEMORY) {
    const mop = (word >> 26) & 3, fields = (word >> 29) + 1, named = ((word >> 12) & 7) == 0 ? 0 : ((word >> 12) & 7) - 4;
    if (mop == 0 && vs2 == 8) all = fields * at.VLENB;
    else if (mop == 0 && vs2 == 11) all = (vl + 7) >> 3;
    else all = fields * (vl << (mop & 1 ? sew : named));
    bytes = vl << named; // Of the indices.
    // Elements that lie apart, and fields of structures, go one by one.
    if (mop != 0 || (fields > 1 && vs2 != 8)) { beats = fields * vl; each = max<i64>(1, at.VLENB >> (mop & 1 ? sew : named)); }
  } else {
    if (use & at.WHOLE) bytes = (vs1 + 1) * at.VLENB;
    all = max(bytesOf(kindD, bytes), max(bytesOf(kind1, bytes), bytesOf(kind2, bytes)));
  }
  let latency = <i64>((use >> 16) & 0xff);
  if (beats == 0) beats = (all + perCycle - 1) / perCycle;
  if (use & at.SLOW) { beats *= latency; each *= latency; }
  const slot = h + (load<u32>(h, at.SLOT) << 3);
  let until = max(now, load<i64>(slot, at.HELD));
  if (bytes == 0 && all == 0) return <i32>(until - now);
  // What is summed up is halved until one element is left.
  if (use & at.REDUCES) beats += latency * (32 - clz<i32>(<i32>(perCycle >> sew) - 1));

  const isOne1 = kind1 == 2, isOne2 = kind2 == 2;
  const n1 = kind1 == 0 ? 0 : isOne1 ? 1 : registers(bytesOf(kind1, bytes));
  const n2 = kind2 == 0 ? 0 : isOne2 ? 1 : registers(bytesOf(kind2, bytes));
  const nD: u32 = kindD == 0 ? 0 : kindD == 2 ? 1 : registers(unit == MEMORY ? all : bytesOf(kindD, bytes));
  const free = h + (unit << 3);
  let start = max(until, load<i64>(free, at.UNITS));
  start = afterResults(h, start, vs1, n1, isOne1 ? 1 : each);
  start = afterResults(h, start, vs2, n2, isOne2 ? 1 : each);
  if (use & at.READS_VD) start = afterResults(h, start, vd, nD, each);
  const masked = ((word >> 25) & 1) == 0;
  if (masked) start = afterResults(h, start, 0, 1, 1);
  const writes = (use & at.WRITES_VD) != 0;
  if (writes) start = afterOthers(h, start, vd, nD, each, latency);

  const end = start + beats + extra, done = end + latency - 1;
  markRead(h, start, vs1, n1, each);
  markRead(h, start, vs2, n2, each);
  if (masked) markRead(h, end - 1, 0, 1, 1);
  if (writes) {
    for (let g: u32 = 0; g < nD; g++) {
      const last = kindD == 2 ? done : min(done, start + latency + <i64>(g + 1) * each - 1 + extra);
      store<i64>(h + (((vd + g) & 31) << 3), last, at.COMPUTED);
    }
  } else markRead(h, start, vd, nD, each);
  store<i64>(free, end, at.UNITS);
  store<i64>(slot, done, at.HELD);
  const next = load<u32>(h, at.SLOT) + 1;
  store<u32>(h, next < held ? next : 0, at.SLOT);
  store<i64>(h, max(load<i64>(h, at.DRAINED), done), at.DRAINED);
  if (unit == MEMORY) {
    const stores = !writes;
    store<i64>(h, max(load<i64>(h, at.ACCESSED), done), at.ACCESSED);
    if (stores) store<i64>(h, max(load<i64>(h, at.STORED), done), at.STORED);
    store<u32>(h, load<u32>(h, at.PENDING) | (stores ? 3 : 2), at.PENDING);
  }
  if (use & at.SCALAR) until = max(until, done);
  return <i32>(until - now);
}

/** Cycles that a scalar load or store waits for what vectors still access. */
export function waitForAccesses(h: usize, now: i64, storing: bool): i32 {
  const pending = load<u32>(h, at.PENDING);
  store<u32>(h, storing ? 0 : pending & ~1, at.PENDING);
  const until = storing ? load<i64>(h, at.ACCESSED) : load<i64>(h, at.STORED);
  return <i32>max<i64>(0, until - now);
}

/** Cycles until the unit is idle. */
export function waitForAll(h: usize, now: i64): i32 {
  return <i32>max<i64>(0, load<i64>(h, at.DRAINED) - now);
}
