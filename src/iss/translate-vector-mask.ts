/** Masks: one bit for each element. */

import { take } from "../riscv/fields.ts";
import { STATE } from "./interpreter.ts";
import type { Frame } from "./translate-frame.ts";
import type { Step } from "./translate-region.ts";
import { TYPE } from "./wasm-emit.ts";

/** Puts lanes of 32 bits, each all ones or all zeros, into bits of vd; the bits behind them stay. */
export function storeMask(
  frame: Frame,
  { word }: Step,
  { registers }: { readonly registers: number },
  push: (g: number) => void,
): void {
  const { code } = frame;
  const at = STATE.v + take("vd", word) * 16;
  const bits = frame.temporary(TYPE.i32);
  const last = registers >> 1;
  if (registers % 2 === 0) code.i32(0);
  else {
    code
      .get(frame.hart)
      .memory("i32.load8_u", at + last)
      .i32(0xf0)
      .op("i32.and");
    code.i32(8 * last).op("i32.shl");
  }
  for (let g = 0; g < registers; g++) {
    push(g);
    code
      .op("i32x4.bitmask")
      .i32(g * 4)
      .op("i32.shl", "i32.or");
  }
  code.set(bits);
  for (let byte = 0; byte * 2 < registers; byte++) {
    code
      .get(frame.hart)
      .get(bits)
      .i32(byte * 8)
      .op("i32.shr_u");
    code.memory("i32.store8", at + byte);
  }
}
