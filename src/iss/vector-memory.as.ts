/** Loads and stores of vectors. Source: RISC-V "V" Vector Extension 1.0, section 7. */

import { noted } from "./shadow.as";
import * as at from "./state.as";
import { groupAt, isActive, readU, write } from "./vector-element.as";

export function accessMemory(h: usize, word: u32, base: u32, size: u32, place: usize, first: u32): i32 {
  const storing = (word & 0x7f) == 0x27;
  const mop = (word >> 26) & 3, lumop = (word >> 20) & 31, rs1 = (word >> 15) & 31, vd = (word >> 7) & 31;
  const width = (word >> 12) & 7;
  const named: u32 = width == 0 ? 0 : width - 4; // Binary logarithm of the bytes that the name says.
  const vtype = load<u32>(h, at.VTYPE);
  const indexed = (mop & 1) != 0;
  const start = load<u32>(h + (rs1 << 2));
  let count = load<u32>(h, at.VL);
  let log = named, masked = ((word >> 25) & 1) == 0;
  let fields: u32 = (word >> 29) + 1, apart: u32 = 0; // Groups of registers, and bytes from one to the next.
  if (mop == 0 && lumop == 8) {
    if (vd & (fields - 1)) return at.ILLEGAL;
    count = fields * at.VLENB; log = 0; fields = 1;
  } else {
    if (vtype >> 31) return at.ILLEGAL;
    const sew = (vtype >> 3) & 7;
    const lmul = <i32>(vtype << 29) >> 29;
    if (indexed) log = sew;
    const maskOnly = mop == 0 && lumop == 11;
    if (maskOnly) count = (count + 7) >> 3;
    const other = lmul + <i32>named - <i32>sew; // The size of the group that the name speaks of.
    if (!maskOnly && (other > 3 || other < -3 || misplaced(vd, indexed ? lmul : other))) return at.ILLEGAL;
    if (indexed && misplaced(lumop, other)) return at.ILLEGAL;
    if (masked && vd == 0 && !storing) return at.ILLEGAL;
    if (fields > 1) {
      const registers: u32 = 1 << max(0, indexed ? lmul : other);
      const overlaps = !storing && indexed && lumop < vd + fields * registers && vd < lumop + (1 << max(0, other));
      if (fields * registers > 8 || vd + fields * registers > 32 || overlaps) return at.ILLEGAL;
      apart = registers * at.VLENB;
    }
  }
  const group = groupAt(h, vd), indices = groupAt(h, lumop);
  const stride: u32 = mop == 2 ? load<u32>(h + (lumop << 2)) : fields << log;
  const from = storing ? first : base, room = base + size - from;
  const plain = mop == 0 && fields == 1 && !masked && load<u32>(h, at.VSTART) == 0;
  if (plain && count > 0 && room >= (count << log) && start - from <= room - (count << log)) {
    if (!noted(start, count << log, storing)) return unwritten(h, start, 0);
    if (storing) memory.copy(place + (start - base), group, count << log);
    else memory.copy(group, place + (start - base), count << log);
    return 0;
  }
  for (let i = load<u32>(h, at.VSTART); i < count; i++) {
    if (masked && !isActive(h, word, i)) continue;
    const a = start + (indexed ? readU(indices, i, named) : i * stride);
    for (let f: u32 = 0; f < fields; f++) {
      const field = a + (f << log), register = group + f * apart;
      if (field - from > room - (1 << log)) {
        if (mop == 0 && lumop == 16 && i > 0) { store<u32>(h, i, at.VL); store<u32>(h, 0, at.VSTART); return 0; }
        store<u32>(h, field, at.VALUE);
        store<u32>(h, i, at.VSTART);
        return storing ? at.STORE : at.LOAD;
      }
      if (!noted(field, 1 << log, storing)) return unwritten(h, field, i);
      const p = place + (field - base);
      if (storing) write(p, 0, log, readU(register, i, log));
      else write(register, i, log, readU(p, 0, log));
    }
  }
  store<u32>(h, 0, at.VSTART);
  return 0;
}

function unwritten(h: usize, a: u32, i: u32): i32 {
  store<u32>(h, a, at.VALUE);
  store<u32>(h, i, at.VSTART);
  return at.UNWRITTEN;
}

function misplaced(reg: u32, lmul: i32): bool { return lmul > 0 && (reg & ((1 << lmul) - 1)) != 0; }
