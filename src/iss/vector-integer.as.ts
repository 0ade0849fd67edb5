/** Integer and fixed-point operations on vectors. Source: RISC-V "V" Vector Extension 1.0, sections 11, 12 and 14. */

import * as at from "./state.as";
import { bitAt, groupAt, isActive, readS, readU, setBit, write } from "./vector-element.as";

let rounding: u32 = 0;
let saturated: bool = false;

/** v >> d after the rounding mode of vxrm. */
function rounded(v: i64, d: i64): i64 {
  if (d == 0) return v;
  const bit = (v >> (d - 1)) & 1, rest = v & ((<i64>1 << (d - 1)) - 1), odd = (v >> d) & 1;
  let up: i64 = 0;
  if (rounding == 0) up = bit;
  else if (rounding == 1) up = bit & <i64>(rest != 0 || odd != 0);
  else if (rounding == 3) up = <i64>(odd == 0 && (rest != 0 || bit != 0));
  return (v >> d) + up;
}

function clipped(v: i64, low: i64, high: i64): i64 {
  if (v >= low && v <= high) return v;
  saturated = true;
  return v < low ? low : high;
}

function begin(h: usize): void { rounding = (load<u32>(h, at.VCSR) >> 1) & 3; saturated = false; }

function end(h: usize): bool {
  if (saturated) store<u32>(h, load<u32>(h, at.VCSR) | 1, at.VCSR);
  return true;
}

/** b as an element: cut to its width, with and without sign. */
function signedOf(b: i32, log: u32): i64 { return log == 2 ? b : log == 1 ? <i32><i16>b : <i32><i8>b; }
function unsignedOf(b: i32, log: u32): i64 { return <i64>(<u64>b & ((<u64>1 << (8 << log)) - 1)); }

/** Operations whose result is as wide as their operands. */
export function arithmetic(h: usize, word: u32, vv: bool, log: u32, b: i32, opm: bool, immediate: bool): bool {
  const f6 = word >> 26, vl = load<u32>(h, at.VL);
  const vd = groupAt(h, (word >> 7) & 31), vs2 = groupAt(h, (word >> 20) & 31), vs1 = groupAt(h, (word >> 15) & 31);
  const carries = !opm && (f6 == 0x10 || f6 == 0x12 || f6 == 0x17);
  if (immediate && f6 >= 0x25) b &= 31; // Shifts by an unsigned immediate.
  begin(h);
  for (let i = load<u32>(h, at.VSTART); i < vl; i++) {
    if (!carries && !isActive(h, word, i)) continue;
    const a = <i64>readS(vs2, i, log), au = <i64><u64>readU(vs2, i, log);
    const c = vv ? <i64>readS(vs1, i, log) : signedOf(b, log);
    const cu = vv ? <i64><u64>readU(vs1, i, log) : unsignedOf(b, log);
    if (opm) {
      write(vd, i, log, <u32>multiplied(f6, a, au, c, cu, <i64>readS(vd, i, log), log));
    } else if (carries) {
      const one = bitAt(h + at.V, i);
      const chosen = <bool>((word >> 25) & 1) || one;
      write(vd, i, log, <u32>(f6 == 0x17 ? (chosen ? c : a) : f6 == 0x10 ? a + c + <i64>one : a - c - <i64>one));
    } else write(vd, i, log, <u32>added(f6, a, au, c, cu, log));
  }
  return end(h);
}

function added(f6: u32, a: i64, au: i64, c: i64, cu: i64, log: u32): i64 {
  const bits: i64 = 8 << log;
  const most: i64 = (<i64>1 << (bits - 1)) - 1, all: i64 = (<i64>1 << bits) - 1;
  const shift = cu & (bits - 1);
  switch (f6) {
    case 0x00: return a + c;
    case 0x02: return a - c;
    case 0x03: return c - a;
    case 0x04: return min(au, cu);
    case 0x05: return min(a, c);
    case 0x06: return max(au, cu);
    case 0x07: return max(a, c);
    case 0x09: return a & c;
    case 0x0a: return a | c;
    case 0x0b: return a ^ c;
    case 0x20: return clipped(au + cu, 0, all);
    case 0x21: return clipped(a + c, -most - 1, most);
    case 0x22: return clipped(au - cu, 0, all);
    case 0x23: return clipped(a - c, -most - 1, most);
    case 0x25: return a << shift;
    case 0x27: return clipped(rounded(a * c, bits - 1), -most - 1, most);
    case 0x28: return au >> shift;
    case 0x29: return a >> shift;
    case 0x2a: return rounded(au, shift);
    default: return rounded(a, shift);
  }
}

function multiplied(f6: u32, a: i64, au: i64, c: i64, cu: i64, d: i64, log: u32): i64 {
  const bits: i64 = 8 << log;
  switch (f6) {
    case 0x08: return rounded(au + cu, 1);
    case 0x09: return rounded(a + c, 1);
    case 0x0a: return rounded(au - cu, 1);
    case 0x0b: return rounded(a - c, 1);
    case 0x20: return cu == 0 ? -1 : <i64>(<u64>au / <u64>cu);
    case 0x21: return c == 0 ? -1 : a / c;
    case 0x22: return cu == 0 ? au : <i64>(<u64>au % <u64>cu);
    case 0x23: return c == 0 ? a : a % c;
    case 0x24: return <i64>((<u64>au * <u64>cu) >> bits);
    case 0x25: return a * c;
    case 0x26: return (a * cu) >> bits;
    case 0x27: return (a * c) >> bits;
    case 0x29: return d * c + a;
    case 0x2b: return -(d * c) + a;
    case 0x2d: return c * a + d;
    default: return -(c * a) + d;
  }
}

/** Operations of which the result or the first operand is twice as wide. */
export function wideArithmetic(
  h: usize, word: u32, vv: bool, log: u32, b: i32, opm: bool, immediate: bool,
): bool {
  const f6 = word >> 26, vl = load<u32>(h, at.VL);
  const vd = groupAt(h, (word >> 7) & 31), vs2 = groupAt(h, (word >> 20) & 31), vs1 = groupAt(h, (word >> 15) & 31);
  const first = !opm || (f6 >= 0x34 && f6 <= 0x37) ? log + 1 : log;
  if (immediate) b &= 31;
  begin(h);
  for (let i = load<u32>(h, at.VSTART); i < vl; i++) {
    if (!isActive(h, word, i)) continue;
    const a = <i64>readS(vs2, i, first), au = <i64><u64>readU(vs2, i, first);
    const c = vv ? <i64>readS(vs1, i, log) : signedOf(b, log);
    const cu = vv ? <i64><u64>readU(vs1, i, log) : unsignedOf(b, log);
    if (opm) write(vd, i, log + 1, <u32>widened(f6, a, au, c, cu, <i64>readS(vd, i, log + 1)));
    else write(vd, i, log, <u32>narrowed(f6, a, au, (vv ? cu : <i64><u64><u32>b) & ((16 << log) - 1), log));
  }
  return end(h);
}

function widened(f6: u32, a: i64, au: i64, c: i64, cu: i64, d: i64): i64 {
  switch (f6) {
    case 0x30: case 0x34: return au + cu;
    case 0x31: case 0x35: return a + c;
    case 0x32: case 0x36: return au - cu;
    case 0x33: case 0x37: return a - c;
    case 0x38: return au * cu;
    case 0x3a: return a * cu;
    case 0x3b: return a * c;
    case 0x3c: return d + au * cu;
    case 0x3d: return d + a * c;
    case 0x3e: return d + a * cu; // The scalar has no sign, the vector has one.
    default: return d + au * c;
  }
}

function narrowed(f6: u32, a: i64, au: i64, shift: i64, log: u32): i64 {
  const bits: i64 = 8 << log;
  const most: i64 = (<i64>1 << (bits - 1)) - 1;
  switch (f6) {
    case 0x2c: return au >> shift;
    case 0x2d: return a >> shift;
    case 0x2e: return clipped(rounded(au, shift), 0, (<i64>1 << bits) - 1);
    default: return clipped(rounded(a, shift), -most - 1, most);
  }
}

/** Comparisons, carries and borrows: the result is a mask. */
export function compare(h: usize, word: u32, vv: bool, log: u32, b: i32, immediate: bool): bool {
  const f6 = word >> 26, vl = load<u32>(h, at.VL);
  const vd = groupAt(h, (word >> 7) & 31), vs2 = groupAt(h, (word >> 20) & 31), vs1 = groupAt(h, (word >> 15) & 31);
  const carries = f6 < 0x18;
  const unmasked = <bool>((word >> 25) & 1);
  for (let i = load<u32>(h, at.VSTART); i < vl; i++) {
    const own = bitAt(h + at.V, i);
    if (!carries && !unmasked && !own) continue;
    const a = <i64>readS(vs2, i, log), au = <i64><u64>readU(vs2, i, log);
    const c = vv ? <i64>readS(vs1, i, log) : signedOf(b, log);
    const cu = vv ? <i64><u64>readU(vs1, i, log) : unsignedOf(b, log);
    const carry = <i64>(!unmasked && own);
    let to = false;
    switch (f6) {
      case 0x11: { to = (au + cu + carry) >> (8 << log) != 0; break; }
      case 0x13: { to = au - cu - carry < 0; break; }
      case 0x18: { to = a == c; break; }
      case 0x19: { to = a != c; break; }
      case 0x1a: { to = au < cu; break; }
      case 0x1b: { to = a < c; break; }
      case 0x1c: { to = au <= cu; break; }
      case 0x1d: { to = a <= c; break; }
      case 0x1e: { to = au > cu; break; }
      default: { to = a > c; }
    }
    setBit(vd, i, to);
  }
  return true;
}

export function reduce(h: usize, word: u32, opm: bool, log: u32): bool {
  const f6 = word >> 26, vl = load<u32>(h, at.VL);
  if (vl == 0) return true;
  const vd = groupAt(h, (word >> 7) & 31), vs2 = groupAt(h, (word >> 20) & 31), vs1 = groupAt(h, (word >> 15) & 31);
  const to = opm ? log : log + 1;
  let sum = <i64>readS(vs1, 0, to), sumU = <i64><u64>readU(vs1, 0, to);
  for (let i: u32 = 0; i < vl; i++) {
    if (!isActive(h, word, i)) continue;
    const a = <i64>readS(vs2, i, log), au = <i64><u64>readU(vs2, i, log);
    if (!opm) { sum += f6 == 0x30 ? au : a; continue; }
    switch (f6) {
      case 0: { sum += a; break; }
      case 1: { sum &= a; break; }
      case 2: { sum |= a; break; }
      case 3: { sum ^= a; break; }
      case 4: { sumU = min(sumU, au); break; }
      case 5: { sum = min(sum, a); break; }
      case 6: { sumU = max(sumU, au); break; }
      default: { sum = max(sum, a); }
    }
  }
  write(vd, 0, to, <u32>(opm && (f6 == 4 || f6 == 6) ? sumU : sum));
  return true;
}
