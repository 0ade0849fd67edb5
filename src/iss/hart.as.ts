/**
 * The interpreter. Instructions are decoded once, by the host from the instruction table, into records of 16 bytes,
 * one for each half word of the program:
 *
 *   0 u16 opcode   2 u8 bytes to the next record   3 u8 cost   4 u8 rd   5 u8 rs1   6 u8 rs2   7 u8 rs3   8 i32 imm
 *   12 u32 word
 *
 * Registers are byte offsets into their file; x0 as a destination is a 33rd register that nobody reads.
 * Where no immediate is needed, `imm` is the rounding mode. Branches and `jal` have their heat in place of the word.
 */

import * as op from "./opcodes.as";
import { atomic } from "./atomic.as";
import { bits } from "./bits.as";
import { control } from "./csr.as";
import { floating } from "./floating.as";
import { cost, f1, f2, f3, fused, imm, next, plain, setF, setX, x1, x2 } from "./operands.as";
import { elsewhere, extra } from "./regions.as";
import * as at from "./state.as";
import { access, beats, drain, farBeats, late, penalty } from "./timing.as";
import { configuration, configure as configureStream, limitOf, repeated, repeatFrom, startCycles, streaming, streamMemory } from "./streams.as";
import { enter, grant, heat, heatBy } from "./translated.as";
import { vector } from "./vector.as";

export { controlWithin, floatingOfThree, floatingOfTwo, translateAt } from "./translated.as";
export { floating } from "./floating.as";
export { addRegion } from "./regions.as";
export { shadow } from "./shadow.as";
export { addAccesses, beats, drain, order, takeAccesses, timing } from "./timing.as";
export { unitUses } from "./vector-unit.as";
export { advance, startStream } from "./streams.as";

/** First byte that the host may use. */
export function heapBase(): usize { return __heap_base; }

let textBase: u32 = 0, textSize: u32 = 0, records: usize = 0;
let ramBase: u32 = 0, ramSize: u32 = 0, ramAt: usize = 0, writeBase: u32 = 0;

/** The program's text and its records, the memory with its place here, and from where it may be written. */
export function configure(
  base: u32, size: u32, decoded: usize, ram: u32, bytes: u32, place: usize, writable: u32,
): void {
  textBase = base; textSize = size; records = decoded;
  ramBase = ram; ramSize = bytes; ramAt = place; writeBase = writable;
  streamMemory(ram, bytes, place, writable);
}

/** A vector instruction for translated text: 0, or the cause of a stop, which the interpreter then finds again. */
export function vectorWithin(h: usize, ip: usize): i32 {
  return vector(h, ip, ramBase, ramSize, ramAt, writeBase);
}

// @ts-ignore: decorator
@inline
function taken(ip: usize, yes: bool): usize { return yes ? ip + (imm(ip) << 3) : next(ip); }
// @ts-ignore: decorator
@inline
function pcOf(ip: usize): u32 { return textBase + <u32>(<i32>(ip - records) >> 3); }
// @ts-ignore: decorator
@inline
function address(h: usize, ip: usize): u32 { access(); return x1(h, ip) + imm(ip); }

/**
 * Executes instructions until their costs reach `budget` and gives why it stopped (the causes of state.as.ts); the
 * place is in the hart's pc, what is wrong in its value.
 */
export function run(h: usize, budget: i32): i32 {
  const base = ramBase, size = ramSize, place = ramAt;
  const first = writeBase, writable = ramBase + ramSize - writeBase, writeAt = ramAt + (writeBase - ramBase);
  const text = records, end = textSize << 3;
  const pc = load<u32>(h, at.PC);
  let ip = text + (<usize>(pc - textBase) << 3);
  let left = budget;
  // While streams are enabled or instructions repeated, each is looked at before it is executed.
  let limit = limitOf(h);
  let cause: i32 = at.BUDGET;
  let wrong: u32 = 0;
  grant(budget);
  if (pc - textBase >= textSize || pc & 1) return at.FETCH;
  while (true) {
    if (left <= limit) {
      ip = text + (<usize>(repeated(h, pcOf(ip)) - textBase) << 3);
      if (left <= 0) break;
      const done = streaming(h, ip);
      limit = limitOf(h);
      if (done >= 0) {
        left -= cost(ip);
        if (done == 0) { ip = next(ip); continue; }
        cause = done; wrong = load<u32>(h, at.VALUE); break;
      }
    }
    left -= cost(ip);
    const code: i32 = load<u16>(ip);
    switch (code) {
      case op.LUI: { setX(h, ip, imm(ip) << 12); ip = next(ip); continue; }
      case op.AUIPC: { setX(h, ip, pcOf(ip) + (imm(ip) << 12)); ip = next(ip); continue; }
      case op.JAL: {
        const to = ip + (imm(ip) << 3);
        if (to - text >= end) { wrong = pcOf(to); cause = at.FETCH; break; }
        const entry = to <= ip || load<u8>(ip, 4) != at.SINK ? heat(ip) : 0;
        if (entry == at.TRANSLATE) { wrong = <u32>ip; cause = at.HOT; break; }
        setX(h, ip, pcOf(next(ip)));
        ip = to;
        if (entry != 0) { left = enter(h, entry, left); ip = text + (<usize>(load<u32>(h, at.PC) - textBase) << 3); limit = limitOf(h); }
        continue;
      }
      case op.JALR: {
        const to = <u32>((x1(h, ip) + imm(ip)) & ~1);
        if (to - textBase >= textSize) { wrong = to; cause = at.FETCH; break; }
        setX(h, ip, pcOf(next(ip)));
        ip = text + (<usize>(to - textBase) << 3); continue;
      }
      case op.BEQ: case op.BNE: case op.BLT: case op.BGE: case op.BLTU: case op.BGEU: {
        const a = x1(h, ip), b = x2(h, ip);
        let yes = false;
        switch (code) {
          case op.BEQ: { yes = a == b; break; }
          case op.BNE: { yes = a != b; break; }
          case op.BLT: { yes = a < b; break; }
          case op.BGE: { yes = a >= b; break; }
          case op.BLTU: { yes = <u32>a < <u32>b; break; }
          default: { yes = <u32>a >= <u32>b; }
        }
        const to = taken(ip, yes);
        if (to - text >= end) { wrong = pcOf(to); cause = at.FETCH; break; }
        const entry = to <= ip ? heat(ip) : 0;
        if (entry == at.TRANSLATE) { wrong = <u32>ip; cause = at.HOT; break; }
        ip = to;
        if (yes) left -= penalty;
        if (entry != 0) { left = enter(h, entry, left); ip = text + (<usize>(load<u32>(h, at.PC) - textBase) << 3); limit = limitOf(h); }
        continue;
      }
      case op.LB: {
        const a = address(h, ip);
        left -= late(h, left, false);
        if (a - base >= size) { wrong = a; cause = at.LOAD; break; }
        setX(h, ip, load<i8>(place + (a - base))); ip = next(ip); continue;
      }
      case op.LBU: {
        const a = address(h, ip);
        left -= late(h, left, false);
        if (a - base >= size) { wrong = a; cause = at.LOAD; break; }
        setX(h, ip, load<u8>(place + (a - base))); ip = next(ip); continue;
      }
      case op.LH: {
        const a = address(h, ip);
        left -= late(h, left, false);
        if (a - base >= size - 1) { wrong = a; cause = at.LOAD; break; }
        setX(h, ip, load<i16>(place + (a - base))); ip = next(ip); continue;
      }
      case op.LHU: {
        const a = address(h, ip);
        left -= late(h, left, false);
        if (a - base >= size - 1) { wrong = a; cause = at.LOAD; break; }
        setX(h, ip, load<u16>(place + (a - base))); ip = next(ip); continue;
      }
      case op.LW: {
        const a = address(h, ip);
        left -= late(h, left, false);
        if (a - base >= size - 3) { wrong = a; cause = at.LOAD; break; }
        setX(h, ip, load<i32>(place + (a - base))); ip = next(ip); continue;
      }
      case op.FLW: {
        const a = address(h, ip);
        left -= late(h, left, false);
        if (a - base >= size - 3) { wrong = a; cause = at.LOAD; break; }
        setF(h, ip, load<u32>(place + (a - base))); ip = next(ip); continue;
      }
      case op.FLH: {
        const a = address(h, ip);
        left -= late(h, left, false);
        if (a - base >= size - 1) { wrong = a; cause = at.LOAD; break; }
        setF(h, ip, load<u16>(place + (a - base)) | 0xffff0000); ip = next(ip); continue;
      }
      case op.SB: {
        const a = address(h, ip);
        left -= late(h, left, true);
        if (a - first >= writable) { wrong = a; cause = at.STORE; break; }
        store<u8>(writeAt + (a - first), x2(h, ip)); ip = next(ip); continue;
      }
      case op.SH: {
        const a = address(h, ip);
        left -= late(h, left, true);
        if (a - first >= writable - 1) { wrong = a; cause = at.STORE; break; }
        store<u16>(writeAt + (a - first), x2(h, ip)); ip = next(ip); continue;
      }
      case op.SW: {
        const a = address(h, ip);
        left -= late(h, left, true);
        if (a - first >= writable - 3) { wrong = a; cause = at.STORE; break; }
        store<i32>(writeAt + (a - first), x2(h, ip)); ip = next(ip); continue;
      }
      case op.FSW: {
        const a = address(h, ip);
        left -= late(h, left, true);
        if (a - first >= writable - 3) { wrong = a; cause = at.STORE; break; }
        store<u32>(writeAt + (a - first), f2(h, ip)); ip = next(ip); continue;
      }
      case op.FSH: {
        const a = address(h, ip);
        left -= late(h, left, true);
        if (a - first >= writable - 1) { wrong = a; cause = at.STORE; break; }
        store<u16>(writeAt + (a - first), f2(h, ip)); ip = next(ip); continue;
      }
      case op.ADDI: { setX(h, ip, x1(h, ip) + imm(ip)); ip = next(ip); continue; }
      case op.SLTI: { setX(h, ip, <i32>(x1(h, ip) < imm(ip))); ip = next(ip); continue; }
      case op.SLTIU: { setX(h, ip, <i32>(<u32>x1(h, ip) < <u32>imm(ip))); ip = next(ip); continue; }
      case op.XORI: { setX(h, ip, x1(h, ip) ^ imm(ip)); ip = next(ip); continue; }
      case op.ORI: { setX(h, ip, x1(h, ip) | imm(ip)); ip = next(ip); continue; }
      case op.ANDI: { setX(h, ip, x1(h, ip) & imm(ip)); ip = next(ip); continue; }
      case op.SLLI: { setX(h, ip, x1(h, ip) << imm(ip)); ip = next(ip); continue; }
      case op.SRLI: { setX(h, ip, <u32>x1(h, ip) >> imm(ip)); ip = next(ip); continue; }
      case op.SRAI: { setX(h, ip, x1(h, ip) >> imm(ip)); ip = next(ip); continue; }
      case op.ADD: { setX(h, ip, x1(h, ip) + x2(h, ip)); ip = next(ip); continue; }
      case op.SUB: { setX(h, ip, x1(h, ip) - x2(h, ip)); ip = next(ip); continue; }
      case op.SLL: { setX(h, ip, x1(h, ip) << x2(h, ip)); ip = next(ip); continue; }
      case op.SLT: { setX(h, ip, <i32>(x1(h, ip) < x2(h, ip))); ip = next(ip); continue; }
      case op.SLTU: { setX(h, ip, <i32>(<u32>x1(h, ip) < <u32>x2(h, ip))); ip = next(ip); continue; }
      case op.XOR: { setX(h, ip, x1(h, ip) ^ x2(h, ip)); ip = next(ip); continue; }
      case op.SRL: { setX(h, ip, <u32>x1(h, ip) >> x2(h, ip)); ip = next(ip); continue; }
      case op.SRA: { setX(h, ip, x1(h, ip) >> x2(h, ip)); ip = next(ip); continue; }
      case op.OR: { setX(h, ip, x1(h, ip) | x2(h, ip)); ip = next(ip); continue; }
      case op.AND: { setX(h, ip, x1(h, ip) & x2(h, ip)); ip = next(ip); continue; }
      case op.FENCE: { left -= drain(h, left); ip = next(ip); continue; }
      case op.MUL: { setX(h, ip, x1(h, ip) * x2(h, ip)); ip = next(ip); continue; }
      case op.MULH: { setX(h, ip, <i32>((<i64>x1(h, ip) * <i64>x2(h, ip)) >> 32)); ip = next(ip); continue; }
      case op.MULHSU: { setX(h, ip, <i32>((<i64>x1(h, ip) * <i64>load<u32>(h + load<u8>(ip, 6))) >> 32)); ip = next(ip); continue; }
      case op.MULHU: { setX(h, ip, <i32>((<u64>load<u32>(h + load<u8>(ip, 5)) * <u64>load<u32>(h + load<u8>(ip, 6))) >> 32)); ip = next(ip); continue; }
      case op.DIV: {
        const a = x1(h, ip), b = x2(h, ip);
        setX(h, ip, b == 0 ? -1 : b == -1 ? -a : a / b); ip = next(ip); continue;
      }
      case op.DIVU: {
        const a = x1(h, ip), b = x2(h, ip);
        setX(h, ip, b == 0 ? -1 : <i32>(<u32>a / <u32>b)); ip = next(ip); continue;
      }
      case op.REM: {
        const a = x1(h, ip), b = x2(h, ip);
        setX(h, ip, b == 0 ? a : b == -1 ? 0 : a % b); ip = next(ip); continue;
      }
      case op.REMU: {
        const a = x1(h, ip), b = x2(h, ip);
        setX(h, ip, b == 0 ? a : <i32>(<u32>a % <u32>b)); ip = next(ip); continue;
      }
      case op.SH1ADD: { setX(h, ip, (x1(h, ip) << 1) + x2(h, ip)); ip = next(ip); continue; }
      case op.SH2ADD: { setX(h, ip, (x1(h, ip) << 2) + x2(h, ip)); ip = next(ip); continue; }
      case op.SH3ADD: { setX(h, ip, (x1(h, ip) << 3) + x2(h, ip)); ip = next(ip); continue; }
      case op.FADD_S: {
        const r = reinterpret<f32>(f1(h, ip)) + reinterpret<f32>(f2(h, ip));
        if (!plain(h, ip, r)) { if (!floating(h, ip)) { cause = at.ILLEGAL; break; } }
        else setF(h, ip, reinterpret<u32>(r));
        ip = next(ip); continue;
      }
      case op.FSUB_S: {
        const r = reinterpret<f32>(f1(h, ip)) - reinterpret<f32>(f2(h, ip));
        if (!plain(h, ip, r)) { if (!floating(h, ip)) { cause = at.ILLEGAL; break; } }
        else setF(h, ip, reinterpret<u32>(r));
        ip = next(ip); continue;
      }
      case op.FMUL_S: {
        const r = reinterpret<f32>(f1(h, ip)) * reinterpret<f32>(f2(h, ip));
        if (!plain(h, ip, r)) { if (!floating(h, ip)) { cause = at.ILLEGAL; break; } }
        else setF(h, ip, reinterpret<u32>(r));
        ip = next(ip); continue;
      }
      case op.FMADD_S: {
        const r = fused(f1(h, ip), f2(h, ip), f3(h, ip));
        if (!plain(h, ip, r)) { if (!floating(h, ip)) { cause = at.ILLEGAL; break; } }
        else setF(h, ip, reinterpret<u32>(r));
        ip = next(ip); continue;
      }
      case op.ECALL: { left -= drain(h, left); ip = next(ip); cause = at.ECALL; break; }
      case op.EBREAK: { cause = at.EBREAK; break; }
      case op.FENCE_I: { left -= drain(h, left); ip = next(ip); cause = at.FENCE_I; break; }
      case op.CSRRW: case op.CSRRS: case op.CSRRC: case op.CSRRWI: case op.CSRRSI: case op.CSRRCI: {
        if (!control(h, ip, budget - left - cost(ip))) { cause = at.ILLEGAL; break; }
        limit = limitOf(h);
        ip = next(ip); continue;
      }
      case op.SCFGRI: { setX(h, ip, configuration(h, imm(ip))); ip = next(ip); continue; }
      case op.SCFGWI: {
        cause = configureStream(h, imm(ip), x1(h, ip));
        if (cause != 0) { wrong = load<u32>(h, at.VALUE); break; }
        left -= startCycles;
        ip = next(ip); continue;
      }
      case op.FREP_O: {
        const times = <u32>x1(h, ip);
        const entry = heatBy(ip, times);
        if (entry == at.TRANSLATE) { wrong = <u32>ip; cause = at.HOT; break; }
        repeatFrom(h, pcOf(ip), times, imm(ip));
        ip = next(ip);
        if (entry != 0) { left = enter(h, entry, left); ip = text + (<usize>(load<u32>(h, at.PC) - textBase) << 3); }
        limit = limitOf(h);
        continue;
      }
      case op.LR_W: case op.SC_W: case op.AMOSWAP_W: case op.AMOADD_W: case op.AMOXOR_W: case op.AMOAND_W:
      case op.AMOOR_W: case op.AMOMIN_W: case op.AMOMAX_W: case op.AMOMINU_W: case op.AMOMAXU_W: {
        const a = <u32>x1(h, ip);
        if (a & 3) { wrong = a; cause = at.MISALIGNED; break; }
        left -= late(h, left, true);
        if (code == op.LR_W) {
          if (a - base >= size - 3) { wrong = a; cause = at.LOAD; break; }
          store<u32>(h, a | 1, at.RESERVED);
          setX(h, ip, load<i32>(place + (a - base))); ip = next(ip); continue;
        }
        if (a - first >= writable - 3) { wrong = a; cause = at.STORE; break; }
        atomic(h, ip, a, writeAt + (a - first));
        ip = next(ip); continue;
      }
      case 0: { cause = at.DECODE; break; }
      case at.NONE: { cause = at.ILLEGAL; break; }
      case op.AIMC_INIT: case op.AIMC_QUEUE: case op.AIMC_PROCESS: case op.AIMC_DEQUEUE:
      case op.DMA_START: case op.DMA_WAIT: case op.EVENT_WAIT: case op.EVENT_SIGNAL: case op.BARRIER: {
        left -= drain(h, left); cause = at.SERVICE; break;
      }
      default: {
        if (code >= op.VSETVLI && code < op.AIMC_INIT) {
          cause = vector(h, ip, base, size, place, first);
          if (cause != 0) { wrong = load<u32>(h, at.VALUE); break; }
          left -= beats(h, ip, left);
          ip = next(ip); continue;
        }
        if (!bits(h, ip) && !floating(h, ip)) { cause = at.ILLEGAL; break; }
        ip = next(ip); continue;
      }
    }
    if ((cause == at.LOAD || cause == at.STORE) && code < op.SCFGRI) {
      cause = elsewhere(h, ip, wrong, cause);
      if (cause == 0) { left -= farBeats(h, ip, left, extra); ip = next(ip); continue; }
      if (code >= op.VSETVLI) wrong = load<u32>(h, at.VALUE);
    }
    break;
  }
  if (cause != at.BUDGET && cause != at.ECALL && cause != at.FENCE_I) left += cost(ip); // It has not been executed.
  store<u32>(h, pcOf(ip), at.PC);
  store<u32>(h, wrong, at.VALUE);
  store<u64>(h, load<u64>(h, at.RETIRED) + (budget - left), at.RETIRED);
  return cause;
}
