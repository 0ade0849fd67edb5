/** Memory of a cluster beyond the range that the interpreter has at hand: what that refuses is looked for here. */

import * as op from "./opcodes.as";
import { atomic } from "./atomic.as";
import { f2, setF, setX, x2 } from "./operands.as";
import { noted } from "./shadow.as";
import * as at from "./state.as";
import { vector } from "./vector.as";

const MOST = 4;
const BASE = memory.data(MOST * 4), SIZE = memory.data(MOST * 4), PLACE = memory.data(MOST * 4);
const WRITABLE = memory.data(MOST * 4), CYCLES = memory.data(MOST * 4);
let count = 0;
/** Cycles that the last access took beyond those of a near one. */
export let extra: i32 = 0;

/** Adds a region; an access there takes so many more cycles. */
export function addRegion(base: u32, size: u32, place: usize, writable: bool, cycles: i32): void {
  const i = count++ << 2;
  store<u32>(BASE + i, base); store<u32>(SIZE + i, size); store<u32>(PLACE + i, <u32>place);
  store<u32>(WRITABLE + i, writable); store<i32>(CYCLES + i, cycles);
}

/** The region that holds so many bytes, as an offset in the tables; -1 where there is none. */
function regionOf(a: u32, bytes: u32, storing: bool): i32 {
  for (let i = 0; i < count << 2; i += 4) {
    const size = load<u32>(SIZE + i), from = a - load<u32>(BASE + i);
    if (size < bytes || from > size - bytes) continue;
    return storing && load<u32>(WRITABLE + i) == 0 ? -1 : i;
  }
  return -1;
}

/** Cycles that an access takes in the region that was found last, beyond those of a near one. */
export let regionCycles: i32 = 0;

/** Where so many bytes of a region are; 0 where none has them. */
export function placeOf(a: u32, bytes: u32, storing: bool): usize {
  const region = regionOf(a, bytes, storing);
  if (region < 0) return 0;
  regionCycles = load<i32>(CYCLES + region);
  return <usize>load<u32>(PLACE + region) + (a - load<u32>(BASE + region));
}

function bytesOf(code: i32): u32 {
  if (code == op.LB || code == op.LBU || code == op.SB) return 1;
  return code == op.LH || code == op.LHU || code == op.FLH || code == op.SH || code == op.FSH ? 2 : 4;
}

/** Executes an instruction that accesses memory, at an address that is not near; 0, or why it cannot be. */
export function elsewhere(h: usize, ip: usize, a: u32, cause: i32): i32 {
  const code: i32 = load<u16>(ip);
  if (count == 0) return cause;
  if (code >= op.VSETVLI) return vectorElsewhere(h, ip, cause);
  const bytes = bytesOf(code), storing = cause == at.STORE;
  const region = regionOf(a, bytes, storing);
  if (region < 0) return cause;
  extra = load<i32>(CYCLES + region);
  const place: usize = load<u32>(PLACE + region) + (a - load<u32>(BASE + region));
  if (!storing && !noted(a, bytes, false)) return at.UNWRITTEN;
  switch (code) {
    case op.LB: { setX(h, ip, load<i8>(place)); return 0; }
    case op.LBU: { setX(h, ip, load<u8>(place)); return 0; }
    case op.LH: { setX(h, ip, load<i16>(place)); return 0; }
    case op.LHU: { setX(h, ip, load<u16>(place)); return 0; }
    case op.LW: { setX(h, ip, load<i32>(place)); return 0; }
    case op.FLW: { setF(h, ip, load<u32>(place)); return 0; }
    case op.FLH: { setF(h, ip, load<u16>(place) | 0xffff0000); return 0; }
    case op.LR_W: { store<u32>(h, a | 1, at.RESERVED); setX(h, ip, load<i32>(place)); return 0; }
    case op.SB: { store<u8>(place, x2(h, ip)); break; }
    case op.SH: { store<u16>(place, x2(h, ip)); break; }
    case op.SW: { store<i32>(place, x2(h, ip)); break; }
    case op.FSW: { store<u32>(place, f2(h, ip)); break; }
    case op.FSH: { store<u16>(place, f2(h, ip)); break; }
    default: {
      if (code != op.SC_W && !noted(a, bytes, false)) return at.UNWRITTEN;
      atomic(h, ip, a, place);
    }
  }
  noted(a, bytes, true);
  return 0;
}

/** An access of a vector goes on, element by element, in the region of the address that stopped it. */
function vectorElsewhere(h: usize, ip: usize, first: i32): i32 {
  let cause = first;
  while (cause == at.LOAD || cause == at.STORE) {
    const region = regionOf(load<u32>(h, at.VALUE), 1, cause == at.STORE);
    if (region < 0) return cause;
    extra = load<i32>(CYCLES + region);
    const base = load<u32>(BASE + region);
    const before = load<u32>(h, at.VALUE);
    cause = vector(h, ip, base, load<u32>(SIZE + region), load<u32>(PLACE + region), base);
    // An element that lies across the end of a region.
    if ((cause == at.LOAD || cause == at.STORE) && load<u32>(h, at.VALUE) == before) return cause;
  }
  return cause;
}
