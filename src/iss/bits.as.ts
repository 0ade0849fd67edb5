/** Zbb. */

import * as op from "./opcodes.as";
import { imm, setX, x1, x2 } from "./operands.as";

/** Executes one; false where the instruction is another. */
export function bits(h: usize, ip: usize): bool {
  const a = x1(h, ip), b = x2(h, ip);
  let to: i32 = 0;
  switch (<i32>load<u16>(ip)) {
    case op.ANDN: { to = a & ~b; break; }
    case op.ORN: { to = a | ~b; break; }
    case op.XNOR: { to = ~(a ^ b); break; }
    case op.CLZ: { to = clz(a); break; }
    case op.CTZ: { to = ctz(a); break; }
    case op.CPOP: { to = popcnt(a); break; }
    case op.MAX: { to = max(a, b); break; }
    case op.MAXU: { to = <i32>max(<u32>a, <u32>b); break; }
    case op.MIN: { to = min(a, b); break; }
    case op.MINU: { to = <i32>min(<u32>a, <u32>b); break; }
    case op.SEXT_B: { to = <i32><i8>a; break; }
    case op.SEXT_H: { to = <i32><i16>a; break; }
    case op.ZEXT_H: { to = a & 0xffff; break; }
    case op.ROL: { to = rotl(a, b); break; }
    case op.ROR: { to = rotr(a, b); break; }
    case op.RORI: { to = rotr(a, imm(ip)); break; }
    case op.ORC_B: {
      const seen = (a | ((a & 0x7f7f7f7f) + 0x7f7f7f7f)) & 0x80808080;
      to = (<u32>seen >> 7) * 255; break;
    }
    case op.REV8: { to = bswap(a); break; }
    default: return false;
  }
  setX(h, ip, to);
  return true;
}
