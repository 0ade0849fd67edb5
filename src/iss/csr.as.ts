/** Control and status registers of user mode. Source: The RISC-V Instruction Set Manual, volume I, chapter "Zicsr". */

import * as op from "./opcodes.as";
import { imm, setX, x1 } from "./operands.as";
import * as at from "./state.as";

/** The value, or -1 where there is no such register. `done` is what this run has executed so far. */
function csrRead(h: usize, number: u32, done: i32): i64 {
  const fcsr = load<u32>(h, at.FCSR);
  const retired = load<u64>(h, at.RETIRED) + done;
  switch (number) {
    case 0x001: return fcsr & 31;
    case 0x002: return (fcsr >> 5) & 7;
    case 0x003: return fcsr;
    case 0x008: return load<u32>(h, at.VSTART);
    case 0x009: return load<u32>(h, at.VCSR) & 1;
    case 0x00a: return load<u32>(h, at.VCSR) >> 1;
    case 0x00f: return load<u32>(h, at.VCSR);
    case 0x7c0: return load<u32>(h, at.SSR);
    case 0xc20: return load<u32>(h, at.VL);
    case 0xc21: return load<u32>(h, at.VTYPE);
    case 0xc22: return at.VLENB;
    case 0xc00: case 0xc01: case 0xc02: return <u32>retired;
    case 0xc80: case 0xc81: case 0xc82: return <u32>(retired >> 32);
    case 0xf14: return load<u32>(h, at.HARTID);
    default: return -1;
  }
}

/** False where there is no such register or it may only be read. */
function csrWrite(h: usize, number: u32, to: u32): bool {
  const fcsr = load<u32>(h, at.FCSR);
  switch (number) {
    case 0x001: { setFcsr(h, (fcsr & 0xe0) | (to & 31)); return true; }
    case 0x002: { setFcsr(h, (fcsr & 31) | ((to & 7) << 5)); return true; }
    case 0x003: { setFcsr(h, to & 0xff); return true; }
    case 0x008: { store<u32>(h, to & (at.VLENB * 8 - 1), at.VSTART); return true; }
    case 0x009: { store<u32>(h, (load<u32>(h, at.VCSR) & 6) | (to & 1), at.VCSR); return true; }
    case 0x00a: { store<u32>(h, (load<u32>(h, at.VCSR) & 1) | ((to & 3) << 1), at.VCSR); return true; }
    case 0x00f: { store<u32>(h, to & 7, at.VCSR); return true; }
    case 0x7c0: { store<u32>(h, to & 1, at.SSR); return true; }
    default: return false;
  }
}

export function setFcsr(h: usize, to: u32): void {
  store<u32>(h, to, at.FCSR);
  store<u32>(h, (to & 0xe1) == 1 ? at.PLAIN_SPAN : 0, at.FAST);
}

/** Reads and writes a control and status register; false where there is none or it may not be written. */
export function control(h: usize, ip: usize, done: i32): bool {
  const code: i32 = load<u16>(ip);
  const number = <u32>imm(ip);
  // The operand's register, or the five bits that stand in its place.
  const field = (load<u32>(ip, 12) >> 15) & 31;
  const immediate = code == op.CSRRWI || code == op.CSRRSI || code == op.CSRRCI;
  const operand: u32 = immediate ? field : x1(h, ip);
  const old = csrRead(h, number, done);
  if (old < 0) return false;
  const was = <u32>old;
  if (code == op.CSRRW || code == op.CSRRWI) {
    if (!csrWrite(h, number, operand)) return false;
  } else if (field != 0) {
    const to = code == op.CSRRS || code == op.CSRRSI ? was | operand : was & ~operand;
    if (!csrWrite(h, number, to)) return false;
  }
  setX(h, ip, was);
  return true;
}
