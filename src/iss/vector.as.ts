/**
 * Zve32f, element by element. Registers and what to do are read from the word, after the instruction table has said
 * that it is an instruction. Tails and masked elements are left as they are, which "agnostic" allows too.
 * Source: RISC-V "V" Vector Extension 1.0.
 */

import { setFcsr } from "./csr.as";
import * as fp from "./float.as";
import * as op from "./opcodes.as";
import * as at from "./state.as";
import { accessMemory } from "./vector-memory.as";
import { floatOperation } from "./vector-float.as";
import { arithmetic, wideArithmetic, compare, reduce } from "./vector-integer.as";
import { groupAt, isActive, setBit, bitAt, readS, readU, write } from "./vector-element.as";

/** Executes one; 0, or the cause of a stop. The memory is that of hart.as.ts. */
export function vector(h: usize, ip: usize, base: u32, size: u32, place: usize, first: u32): i32 {
  const word = load<u32>(ip, 12);
  if ((word & 0x7f) != 0x57) return accessMemory(h, word, base, size, place, first);
  const form = (word >> 12) & 7;
  if (form == 7) return configure(h, ip, word);
  const vtype = load<u32>(h, at.VTYPE);
  if (vtype >> 31) return at.ILLEGAL;
  fp.setFlags(0);
  const done = form == 1 || form == 5 ? floatOperation(h, ip, word) : integerOperation(h, ip, word, form);
  if (!done) return at.ILLEGAL;
  setFcsr(h, load<u32>(h, at.FCSR) | fp.flags);
  store<u32>(h, 0, at.VSTART);
  return 0;
}

function configure(h: usize, ip: usize, word: u32): i32 {
  const code = <i32>load<u16>(ip);
  const rs1 = (word >> 15) & 31, rd = (word >> 7) & 31;
  let vtype: u32 = (word >> 20) & (code == op.VSETVLI ? 0x7ff : 0x3ff);
  if (code == op.VSETVL) vtype = load<u32>(h + load<u8>(ip, 6));
  const log = (vtype >> 3) & 7;
  const lmul = <i32>(vtype << 29) >> 29;
  // A fraction of a register must still hold an element of the largest width for each of this one.
  const bad = vtype >> 8 != 0 || log > 2 || lmul == -4 || (lmul < 0 && <i32>log > 2 + lmul);
  const most: u32 = bad ? 0 : lmul < 0 ? (at.VLENB >> log) >> -lmul : (at.VLENB >> log) << lmul;
  let vl: u32 = load<u32>(h + load<u8>(ip, 5));
  if (code == op.VSETIVLI) vl = rs1;
  else if (rs1 == 0) vl = rd == 0 ? load<u32>(h, at.VL) : 0xffffffff;
  vl = min(vl, most);
  store<u32>(h, bad ? 0x80000000 : vtype, at.VTYPE);
  store<u32>(h, vl, at.VL);
  store<u32>(h, 0, at.VSTART);
  store<u32>(h + load<u8>(ip, 4), vl);
  return 0;
}

/** Whether a register number may begin a group of 2 ** lmul. */
function begins(reg: u32, lmul: i32): bool {
  return lmul <= 3 && (lmul <= 0 || (reg & ((1 << lmul) - 1)) == 0);
}

function integerOperation(h: usize, ip: usize, word: u32, form: u32): bool {
  const f6 = word >> 26;
  const opm = form == 2 || form == 6;
  if (opm && f6 == 0x10) return scalar(h, ip, word, form);
  if (opm && f6 == 0x14) return maskUnary(h, word);
  if (opm && f6 >= 0x18 && f6 <= 0x1f) return maskLogic(h, word);
  if (!opm && f6 == 0x27 && form == 3) return moveWhole(h, word);
  const vtype = load<u32>(h, at.VTYPE);
  const log = (vtype >> 3) & 7;
  const lmul = <i32>(vtype << 29) >> 29;
  const vd = (word >> 7) & 31, vs2 = (word >> 20) & 31, vs1 = (word >> 15) & 31;
  const masked = ((word >> 25) & 1) == 0;
  const vv = form == 0 || form == 2;
  if (opm ? f6 < 8 : vv && (f6 == 0x30 || f6 == 0x31)) {
    return begins(vs2, lmul) && (opm || log < 2) && reduce(h, word, opm, log);
  }
  const wide = opm && f6 >= 0x30;
  const narrow = !opm && f6 >= 0x2c && f6 <= 0x2f;
  const compares = !opm && (f6 == 0x11 || f6 == 0x13 || (f6 >= 0x18 && f6 <= 0x1f));
  if (masked && vd == 0 && !compares) return false;
  if ((wide || narrow) && (log > 1 || lmul == 3)) return false;
  const wideSource = narrow || (wide && f6 >= 0x34 && f6 <= 0x37);
  const extending = opm && f6 == 0x12;
  if (!extending && !begins(vs2, wideSource ? lmul + 1 : lmul)) return false;
  if (!compares && !begins(vd, wide ? lmul + 1 : lmul)) return false;
  const half = form == 0 && f6 == 0x0e; // vrgatherei16: indices of 16 bits.
  if (vv && !extending && !half && f6 != 0x17 && !begins(vs1, lmul)) return false;
  if (extending) return extend(h, word, log, lmul);
  let b: i32 = form == 3 ? <i32>(vs1 << 27) >> 27 : load<i32>(h + load<u8>(ip, 5));
  if (permutes(opm, f6, form)) return permute(h, word, form, log, lmul, b);
  if (compares) return compare(h, word, vv, log, b, form == 3);
  if (wide || narrow) return wideArithmetic(h, word, vv, log, b, opm, form == 3);
  return arithmetic(h, word, vv, log, b, opm, form == 3);
}

function permutes(opm: bool, f6: u32, form: u32): bool {
  if (opm) return f6 == 0x0e || f6 == 0x0f || f6 == 0x17;
  return f6 == 0x0c || f6 == 0x0e || (f6 == 0x0f && form != 0);
}

/** vmv.x.s, vmv.s.x, vcpop.m, vfirst.m. */
function scalar(h: usize, ip: usize, word: u32, form: u32): bool {
  const log = (load<u32>(h, at.VTYPE) >> 3) & 7;
  const vl = load<u32>(h, at.VL);
  const vs2 = groupAt(h, (word >> 20) & 31), vs1 = (word >> 15) & 31;
  if (form == 6) {
    if (vl > 0) write(groupAt(h, (word >> 7) & 31), 0, log, load<u32>(h + load<u8>(ip, 5)));
    return true;
  }
  let result: i32 = vs1 == 17 ? -1 : 0;
  if (vs1 == 0) result = readS(vs2, 0, log);
  else {
    for (let i: u32 = 0; i < vl; i++) {
      if (!isActive(h, word, i) || !bitAt(vs2, i)) continue;
      if (vs1 == 17) { result = i; break; }
      result++;
    }
  }
  store<i32>(h + load<u8>(ip, 4), result);
  return true;
}

/** vmsbf, vmsof, vmsif, viota, vid. */
function maskUnary(h: usize, word: u32): bool {
  const vtype = load<u32>(h, at.VTYPE);
  const log = (vtype >> 3) & 7;
  const vl = load<u32>(h, at.VL);
  const kind = (word >> 15) & 31, rd = (word >> 7) & 31;
  const vd = groupAt(h, rd), vs2 = groupAt(h, (word >> 20) & 31);
  if (((word >> 25) & 1) == 0 && rd == 0) return false;
  if (kind >= 16 && !begins(rd, <i32>(vtype << 29) >> 29)) return false;
  let count: u32 = 0;
  for (let i: u32 = 0; i < vl; i++) {
    if (!isActive(h, word, i)) continue;
    if (kind == 17) { write(vd, i, log, i); continue; }
    const one = bitAt(vs2, i);
    if (kind == 16) write(vd, i, log, count);
    else setBit(vd, i, kind == 1 ? count == 0 && !one : kind == 2 ? count == 0 && one : count == 0);
    count += <u32>one;
  }
  return true;
}

function maskLogic(h: usize, word: u32): bool {
  const vl = load<u32>(h, at.VL);
  const vd = groupAt(h, (word >> 7) & 31), vs2 = groupAt(h, (word >> 20) & 31), vs1 = groupAt(h, (word >> 15) & 31);
  const kind = (word >> 26) & 7;
  for (let i: u32 = 0; i < vl; i++) {
    const a = bitAt(vs2, i), b = bitAt(vs1, i);
    let to = false;
    switch (kind) {
      case 0: { to = a && !b; break; }
      case 1: { to = a && b; break; }
      case 2: { to = a || b; break; }
      case 3: { to = a != b; break; }
      case 4: { to = a || !b; break; }
      case 5: { to = !(a && b); break; }
      case 6: { to = !(a || b); break; }
      default: { to = a == b; }
    }
    setBit(vd, i, to);
  }
  return true;
}

function moveWhole(h: usize, word: u32): bool {
  const count = ((word >> 15) & 31) + 1;
  const vd = (word >> 7) & 31, vs2 = (word >> 20) & 31;
  if ((vd | vs2) & (count - 1)) return false;
  memory.copy(groupAt(h, vd), groupAt(h, vs2), count * at.VLENB);
  return true;
}

function extend(h: usize, word: u32, log: u32, lmul: i32): bool {
  const kind = (word >> 15) & 31;
  const by: u32 = kind < 6 ? 2 : 1;
  // The source's group is as much smaller as its elements are.
  const source = (word >> 20) & 31, sourceLmul = lmul - <i32>by;
  if (log < by || sourceLmul < -3 || !begins(source, sourceLmul)) return false;
  const vd = groupAt(h, (word >> 7) & 31), vs2 = groupAt(h, source);
  const vl = load<u32>(h, at.VL);
  for (let i: u32 = vl; i-- > 0; ) { // From the end, because the source may be the last part of the destination's group.
    if (isActive(h, word, i)) write(vd, i, log, kind & 1 ? readS(vs2, i, log - by) : readU(vs2, i, log - by));
  }
  return true;
}

/** Gathers, slides and vcompress. */
function permute(h: usize, word: u32, form: u32, log: u32, lmul: i32, b: i32): bool {
  const f6 = word >> 26;
  const vl = load<u32>(h, at.VL);
  const most: u32 = lmul < 0 ? (at.VLENB >> log) >> -lmul : (at.VLENB >> log) << lmul;
  const vd = groupAt(h, (word >> 7) & 31), vs2 = groupAt(h, (word >> 20) & 31), vs1 = groupAt(h, (word >> 15) & 31);
  if (form == 2) {
    let to: u32 = 0;
    for (let i: u32 = 0; i < vl; i++) if (bitAt(vs1, i)) write(vd, to++, log, readU(vs2, i, log));
    return true;
  }
  const shift: u32 = form == 3 ? (word >> 15) & 31 : b;
  const up = f6 == 0x0e && form != 0;
  // Upwards from the end and downwards from the start, so that a group may slide within itself.
  for (let n: u32 = 0; n < vl; n++) {
    const i = up ? vl - 1 - n : n;
    if (!isActive(h, word, i)) continue;
    if (form == 6) {
      const edge = up ? i == 0 : i == vl - 1;
      write(vd, i, log, edge ? b : readU(vs2, up ? i - 1 : i + 1, log));
    } else if (up) {
      if (i >= shift) write(vd, i, log, readU(vs2, i - shift, log));
    } else {
      let from: u64 = <u64>shift;
      if (f6 == 0x0f) from += i;
      else if (form == 0) from = readU(vs1, i, f6 == 0x0e ? 1 : log);
      write(vd, i, log, from < most ? readU(vs2, <u32>from, log) : 0);
    }
  }
  return true;
}
