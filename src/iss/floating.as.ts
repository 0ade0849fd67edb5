/** The instructions of F and Zfh, in full. */

import { setFcsr } from "./csr.as";
import * as fp from "./float.as";
import * as op from "./opcodes.as";
import * as at from "./state.as";

let halves: bool = false;

/** An operand as the bits of an f32. A half that is not boxed is a NaN. */
function operand(h: usize, ip: usize, which: usize): u32 {
  const bits = load<u32>(h + load<u8>(ip + which), at.F);
  if (!halves) return bits;
  return fp.widen(bits >= 0xffff0000 ? bits & 0xffff : 0x7e00);
}

/** The bits of an operand in its own format. */
function own(h: usize, ip: usize, which: usize): u32 {
  const bits = load<u32>(h + load<u8>(ip + which), at.F);
  if (!halves) return bits;
  return bits >= 0xffff0000 ? bits & 0xffff : 0x7e00;
}

function setF(h: usize, ip: usize, to: u32): bool {
  store<u32>(h + load<u8>(ip, 4), halves ? to | 0xffff0000 : to, at.F);
  return keep(h);
}

function setX(h: usize, ip: usize, to: u32): bool {
  store<u32>(h + load<u8>(ip, 4), to);
  return keep(h);
}

/** Adds the flags that were raised. */
function keep(h: usize): bool {
  setFcsr(h, load<u32>(h, at.FCSR) | fp.flags);
  return true;
}

// @ts-ignore: decorator
@inline
function both(code: i32, single: i32, half: i32): bool { return code == single || code == half; }

/** Executes one; false where it is none, or the rounding mode is reserved. */
export function floating(h: usize, ip: usize): bool {
  const code = <i32>load<u16>(ip);
  let mode = load<u32>(ip, 8);
  if (mode == 7) mode = (load<u32>(h, at.FCSR) >> 5) & 7;
  fp.setFlags(0);
  halves = code >= op.FMADD_H && code <= op.FCVT_H_WU;
  if (mode > 4) return false;
  return arithmetic(h, ip, code, mode) || selecting(h, ip, code) || converting(h, ip, code, mode);
}

function arithmetic(h: usize, ip: usize, code: i32, mode: u32): bool {
  const sign: u32 = 0x80000000;
  const a = operand(h, ip, 5), b = operand(h, ip, 6), c = operand(h, ip, 7);
  if (both(code, op.FADD_S, op.FADD_H)) return setF(h, ip, fp.add(a, b, mode, halves));
  if (both(code, op.FSUB_S, op.FSUB_H)) return setF(h, ip, fp.add(a, fp.isNan(b) ? b : b ^ sign, mode, halves));
  if (both(code, op.FMUL_S, op.FMUL_H)) return setF(h, ip, fp.mul(a, b, mode, halves));
  if (both(code, op.FDIV_S, op.FDIV_H)) return setF(h, ip, fp.div(a, b, mode, halves));
  if (both(code, op.FSQRT_S, op.FSQRT_H)) return setF(h, ip, fp.sqrt(a, mode, halves));
  if (both(code, op.FMADD_S, op.FMADD_H)) return setF(h, ip, fp.fma(a, b, c, mode, halves));
  if (both(code, op.FMSUB_S, op.FMSUB_H)) return setF(h, ip, fp.fma(a, b, c ^ sign, mode, halves));
  if (both(code, op.FNMSUB_S, op.FNMSUB_H)) return setF(h, ip, fp.fma(a ^ sign, b, c, mode, halves));
  if (both(code, op.FNMADD_S, op.FNMADD_H)) return setF(h, ip, fp.fma(a ^ sign, b, c ^ sign, mode, halves));
  return false;
}

function selecting(h: usize, ip: usize, code: i32): bool {
  const a = operand(h, ip, 5), b = operand(h, ip, 6);
  const p = own(h, ip, 5), q = own(h, ip, 6);
  const sign: u32 = halves ? 0x8000 : 0x80000000;
  if (both(code, op.FSGNJ_S, op.FSGNJ_H)) return setF(h, ip, (p & ~sign) | (q & sign));
  if (both(code, op.FSGNJN_S, op.FSGNJN_H)) return setF(h, ip, (p & ~sign) | (~q & sign));
  if (both(code, op.FSGNJX_S, op.FSGNJX_H)) return setF(h, ip, p ^ (q & sign));
  if (both(code, op.FMIN_S, op.FMIN_H)) return setF(h, ip, narrow(fp.least(a, b, false)));
  if (both(code, op.FMAX_S, op.FMAX_H)) return setF(h, ip, narrow(fp.least(a, b, true)));
  if (both(code, op.FEQ_S, op.FEQ_H)) return setX(h, ip, fp.equal(a, b));
  if (both(code, op.FLT_S, op.FLT_H)) return setX(h, ip, fp.less(a, b, false));
  if (both(code, op.FLE_S, op.FLE_H)) return setX(h, ip, fp.less(a, b, true));
  if (both(code, op.FCLASS_S, op.FCLASS_H)) return setX(h, ip, fp.classify(a, halves));
  return false;
}

/** Bits of an f32 that a half has too, in the format of the instruction. */
function narrow(bits: u32): u32 {
  if (!halves) return bits;
  return fp.isNan(bits) ? 0x7e00 : fp.round16(fp.value(bits), fp.RNE);
}

function converting(h: usize, ip: usize, code: i32, mode: u32): bool {
  const a = operand(h, ip, 5);
  const x = load<i32>(h + load<u8>(ip, 5));
  if (both(code, op.FCVT_W_S, op.FCVT_W_H)) return setX(h, ip, fp.toInt(a, mode, 32));
  if (both(code, op.FCVT_WU_S, op.FCVT_WU_H)) return setX(h, ip, fp.toUint(a, mode, 32));
  if (both(code, op.FCVT_S_W, op.FCVT_H_W)) return setF(h, ip, fp.fromInt(<f64>x, mode, halves));
  if (both(code, op.FCVT_S_WU, op.FCVT_H_WU)) return setF(h, ip, fp.fromInt(<f64><u32>x, mode, halves));
  const raw = load<u32>(h + load<u8>(ip, 5), at.F);
  if (code == op.FMV_X_W) return setX(h, ip, raw);
  if (code == op.FMV_W_X) return setF(h, ip, x);
  if (code == op.FMV_X_H) return setX(h, ip, <i32><i16>raw);
  if (code == op.FMV_H_X) return setF(h, ip, x | 0xffff0000);
  if (code == op.FCVT_H_S) return setF(h, ip, fp.convert(a, mode, true) | 0xffff0000);
  if (code != op.FCVT_S_H) return false;
  return setF(h, ip, fp.convert(fp.widen(raw >= 0xffff0000 ? raw & 0xffff : 0x7e00), mode, false));
}
