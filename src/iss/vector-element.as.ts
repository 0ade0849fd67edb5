/** Elements of vector registers and bits of masks. `log` is the binary logarithm of an element's bytes. */

import * as at from "./state.as";

// @ts-ignore: decorator
@inline
export function groupAt(h: usize, reg: u32): usize { return h + at.V + <usize>reg * at.VLENB; }

// @ts-ignore: decorator
@inline
export function bitAt(p: usize, i: u32): bool { return <bool>((load<u8>(p + (i >> 3)) >> <u8>(i & 7)) & 1); }

export function setBit(p: usize, i: u32, to: bool): void {
  const bit: u32 = 1 << (i & 7);
  const old = <u32>load<u8>(p + (i >> 3));
  store<u8>(p + (i >> 3), to ? old | bit : old & ~bit);
}

// @ts-ignore: decorator
@inline
export function isActive(h: usize, word: u32, i: u32): bool {
  return <bool>((word >> 25) & 1) || bitAt(h + at.V, i);
}

export function readU(p: usize, i: u32, log: u32): u32 {
  if (log == 2) return load<u32>(p + (<usize>i << 2));
  return log == 1 ? <u32>load<u16>(p + (<usize>i << 1)) : <u32>load<u8>(p + i);
}

export function readS(p: usize, i: u32, log: u32): i32 {
  if (log == 2) return load<i32>(p + (<usize>i << 2));
  return log == 1 ? <i32>load<i16>(p + (<usize>i << 1)) : <i32>load<i8>(p + i);
}

export function write(p: usize, i: u32, log: u32, value: u32): void {
  if (log == 2) store<u32>(p + (<usize>i << 2), value);
  else if (log == 1) store<u16>(p + (<usize>i << 1), value);
  else store<u8>(p + i, value);
}
