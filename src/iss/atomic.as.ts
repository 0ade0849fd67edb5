/** A, but for lr.w: an atomic operation on the aligned word at a guest address and its place here. */

import * as op from "./opcodes.as";
import { setX, x2 } from "./operands.as";
import * as at from "./state.as";

export function atomic(h: usize, ip: usize, a: u32, place: usize): void {
  const old = load<i32>(place), operand = x2(h, ip);
  const code: i32 = load<u16>(ip);
  if (code == op.SC_W) {
    const kept = load<u32>(h, at.RESERVED) == (a | 1);
    store<u32>(h, 0, at.RESERVED);
    if (kept) store<i32>(place, operand);
    setX(h, ip, kept ? 0 : 1);
    return;
  }
  let to = operand;
  if (code == op.AMOADD_W) to = old + operand;
  else if (code == op.AMOXOR_W) to = old ^ operand;
  else if (code == op.AMOAND_W) to = old & operand;
  else if (code == op.AMOOR_W) to = old | operand;
  else if (code == op.AMOMIN_W) to = min(old, operand);
  else if (code == op.AMOMAX_W) to = max(old, operand);
  else if (code == op.AMOMINU_W) to = <i32>min(<u32>old, <u32>operand);
  else if (code == op.AMOMAXU_W) to = <i32>max(<u32>old, <u32>operand);
  store<i32>(place, to);
  setX(h, ip, old);
}
