/** Floating point on vectors: elements of 32 bits. Source: RISC-V "V" Vector Extension 1.0, section 13. */

import * as fp from "./float.as";
import * as at from "./state.as";
import { inverse, inverseRoot } from "./vector-estimate.as";
import { bitAt, groupAt, isActive, readS, readU, setBit, write } from "./vector-element.as";

const SIGN: u32 = 0x80000000;

function placed(reg: u32, lmul: i32): bool {
  return lmul <= 3 && (lmul <= 0 || (reg & ((1 << lmul) - 1)) == 0);
}

export function floatOperation(h: usize, ip: usize, word: u32): bool {
  const f6 = word >> 26, form = (word >> 12) & 7;
  const vtype = load<u32>(h, at.VTYPE), log = (vtype >> 3) & 7;
  const lmul = <i32>(vtype << 29) >> 29;
  const mode = (load<u32>(h, at.FCSR) >> 5) & 7;
  const rd = (word >> 7) & 31, rs2 = (word >> 20) & 31, rs1 = (word >> 15) & 31;
  if (mode > 4) return false;
  const vv = form == 1;
  const scalar = load<u32>(h + (rs1 << 2), at.F);
  const masked = ((word >> 25) & 1) == 0;
  if (f6 == 0x12) return convert(h, word, log, lmul, mode);
  if (log != 2) return false;
  if (f6 == 0x10) {
    if (vv) store<u32>(h + (rd << 2), load<u32>(groupAt(h, rs2)), at.F);
    else if (load<u32>(h, at.VL) > 0) store<u32>(groupAt(h, rd), scalar);
    return true;
  }
  const reduces = vv && f6 < 8 && (f6 & 1) != 0;
  const compares = f6 >= 0x18 && f6 <= 0x1f;
  if (!placed(rs2, lmul)) return false;
  if (reduces) return reduceFloat(h, word, mode);
  if (vv && f6 != 0x13 && !placed(rs1, lmul)) return false;
  if (!compares && (!placed(rd, lmul) || (masked && rd == 0))) return false;
  const vl = load<u32>(h, at.VL);
  const vd = groupAt(h, rd), vs2 = groupAt(h, rs2), vs1 = groupAt(h, rs1);
  const slides = f6 == 0x0e || f6 == 0x0f;
  let done = load<u32>(h, at.VSTART);
  if (!masked && load<u32>(h, at.FAST) != 0) done = quick(f6, vd, vs2, vv ? vs1 : 0, scalar, done, vl);
  for (let n = done; n < vl; n++) {
    const i = f6 == 0x0e ? vl - 1 - n : n;
    if (f6 == 0x17) {
      write(vd, i, 2, !masked || bitAt(h + at.V, i) ? scalar : readU(vs2, i, 2));
      continue;
    }
    if (!isActive(h, word, i)) continue;
    if (slides) {
      const edge = f6 == 0x0e ? i == 0 : i == vl - 1;
      write(vd, i, 2, edge ? scalar : readU(vs2, f6 == 0x0e ? i - 1 : i + 1, 2));
      continue;
    }
    const a = readU(vs2, i, 2), b = vv ? readU(vs1, i, 2) : scalar;
    if (compares) setBit(vd, i, compared(f6, a, b));
    else if (f6 == 0x13) write(vd, i, 2, one(rs1, a, mode));
    else write(vd, i, 2, f6 >= 0x28 ? fused(f6, a, b, readU(vd, i, 2), mode) : two(f6, a, b, mode));
  }
  return true;
}

/**
 * Sums, products, quotients and their fusions by the machine's own, while the inexact flag is up and rounding is to
 * nearest, as long as results can raise no other flag. Gives the first element that is not done.
 */
function quick(f6: u32, vd: usize, vs2: usize, vs1: usize, scalar: u32, from: u32, vl: u32): u32 {
  if (f6 >= 0x28 && f6 <= 0x2f) return quickFused(f6, vd, vs2, vs1, scalar, from, vl);
  const sums = f6 == 0x00 || f6 == 0x02 || f6 == 0x27;
  if (!sums && f6 != 0x20 && f6 != 0x21 && f6 != 0x24) return from;
  for (let i = from; i < vl; i++) {
    const a = load<f32>(vs2 + (<usize>i << 2));
    const b = vs1 ? load<f32>(vs1 + (<usize>i << 2)) : reinterpret<f32>(scalar);
    let r: f32 = 0;
    if (sums) {
      r = f6 == 0x00 ? a + b : f6 == 0x02 ? a - b : b - a;
      // Below the least normal number sums are exact.
      if ((reinterpret<u32>(r) & 0x7fffffff) >= 0x7f800000) return i;
    } else {
      r = f6 == 0x24 ? a * b : f6 == 0x20 ? a / b : b / a;
      if (!isPlain(r) && !(f6 == 0x24 && r == 0 && (a == 0 || b == 0))) return i;
    }
    store<f32>(vd + (<usize>i << 2), r);
  }
  return vl;
}

// @ts-ignore: decorator
@inline
function isPlain(r: f32): bool { return (reinterpret<u32>(r) & 0x7fffffff) - 0x00800001 < 0x7effffff; }

function quickFused(f6: u32, vd: usize, vs2: usize, vs1: usize, scalar: u32, from: u32, vl: u32): u32 {
  const negative = (f6 & 1) != 0;
  const minus = negative != ((f6 & 2) != 0);
  for (let i = from; i < vl; i++) {
    const a = <f64>load<f32>(vs2 + (<usize>i << 2)), d = <f64>load<f32>(vd + (<usize>i << 2));
    const b = vs1 ? <f64>load<f32>(vs1 + (<usize>i << 2)) : fp.value(scalar);
    const product = b * (f6 & 4 ? a : d), z = f6 & 4 ? d : a;
    const sum = (negative ? -product : product) + (minus ? -z : z);
    // Half way between two singles the double may have been rounded already. Doubles of such sums are 0 where these are.
    if ((<u32>reinterpret<u64>(sum) & 0x1fffffff) == 0x10000000) return i;
    const r = <f32>sum;
    if (!isPlain(r) && sum != 0) return i;
    store<f32>(vd + (<usize>i << 2), r);
  }
  return vl;
}

function one(kind: u32, a: u32, mode: u32): u32 {
  switch (kind) {
    case 0: return fp.sqrt(a, mode, false);
    case 4: return inverseRoot(a);
    case 5: return inverse(a, mode);
    default: return fp.classify(a, false);
  }
}

function two(f6: u32, a: u32, b: u32, mode: u32): u32 {
  switch (f6) {
    case 0x00: return fp.add(a, b, mode, false);
    case 0x02: return fp.add(a, fp.isNan(b) ? b : b ^ SIGN, mode, false);
    case 0x04: return fp.least(a, b, false);
    case 0x06: return fp.least(a, b, true);
    case 0x08: return (a & ~SIGN) | (b & SIGN);
    case 0x09: return (a & ~SIGN) | (~b & SIGN);
    case 0x0a: return a ^ (b & SIGN);
    case 0x20: return fp.div(a, b, mode, false);
    case 0x21: return fp.div(b, a, mode, false);
    case 0x24: return fp.mul(a, b, mode, false);
    default: return fp.add(b, fp.isNan(a) ? a : a ^ SIGN, mode, false);
  }
}

function compared(f6: u32, a: u32, b: u32): bool {
  switch (f6) {
    case 0x18: return fp.equal(a, b);
    case 0x19: return fp.less(a, b, true);
    case 0x1b: return fp.less(a, b, false);
    case 0x1c: return !fp.equal(a, b);
    case 0x1d: return fp.less(b, a, false);
    default: return fp.less(b, a, true);
  }
}

/** The lowest two bits say which signs are turned, the third whether the destination is added or multiplied. */
function fused(f6: u32, a: u32, b: u32, d: u32, mode: u32): u32 {
  const negative = f6 & 1; // vfnmadd, vfnmsub, vfnmacc, vfnmsac.
  const minus = (f6 >> 1) & 1;
  const x = f6 & 4 ? a : d, z = f6 & 4 ? d : a;
  return fp.fma(negative ? b ^ SIGN : b, x, negative != minus ? z ^ SIGN : z, mode, false);
}

function reduceFloat(h: usize, word: u32, mode: u32): bool {
  const f6 = word >> 26, vl = load<u32>(h, at.VL);
  if (vl == 0) return true;
  const vs2 = groupAt(h, (word >> 20) & 31);
  let sum = load<u32>(groupAt(h, (word >> 15) & 31));
  for (let i: u32 = 0; i < vl; i++) {
    if (!isActive(h, word, i)) continue;
    const a = readU(vs2, i, 2);
    sum = f6 == 5 ? fp.least(sum, a, false) : f6 == 7 ? fp.least(sum, a, true) : fp.add(sum, a, mode, false);
  }
  store<u32>(groupAt(h, (word >> 7) & 31), sum);
  return true;
}

function convert(h: usize, word: u32, log: u32, lmul: i32, frm: u32): bool {
  const kind = (word >> 15) & 31, vl = load<u32>(h, at.VL);
  const rd = (word >> 7) & 31, rs2 = (word >> 20) & 31;
  const wider: bool = (kind & 0x18) == 8, narrower: bool = kind >= 16;
  if (wider || narrower ? log != 1 || lmul == 3 : log != 2) return false;
  if (((word >> 25) & 1) == 0 && rd == 0) return false;
  if (!placed(rd, wider ? lmul + 1 : lmul) || !placed(rs2, narrower ? lmul + 1 : lmul)) return false;
  const vd = groupAt(h, rd), vs2 = groupAt(h, rs2);
  const mode = (kind & 6) == 6 ? fp.RTZ : frm;
  const signed: bool = (kind & 1) != 0;
  for (let i = load<u32>(h, at.VSTART); i < vl; i++) {
    if (!isActive(h, word, i)) continue;
    if ((kind & 6) == 2) {
      const from = log;
      const x = signed ? <f64>readS(vs2, i, from) : <f64>readU(vs2, i, from);
      write(vd, i, 2, fp.fromInt(x, mode, false));
    } else {
      const a = readU(vs2, i, 2);
      const bits = narrower ? 16 : 32;
      write(vd, i, narrower ? 1 : 2, signed ? fp.toInt(a, mode, bits) : fp.toUint(a, mode, bits));
    }
  }
  return true;
}
