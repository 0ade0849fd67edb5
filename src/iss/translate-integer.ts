/** Instructions on whole numbers, as WebAssembly. */

import { take } from "../riscv/fields.ts";
import type { Frame } from "./translate-frame.ts";
import type { Step } from "./translate-region.ts";
import { TYPE } from "./wasm-emit.ts";
import type { Opcode } from "./wasm-opcodes.ts";

export type Emitter = (frame: Frame, step: Step) => void;

/** A pure function of two operands on the stack, put into rd. */
const binary =
  (...ops: readonly Opcode[]): Emitter =>
  (frame, { word }) => {
    frame.x(take("rs1", word));
    frame.x(take("rs2", word)).op(...ops);
    frame.setX(take("rd", word));
  };

const immediate =
  (op: Opcode, field = "imm12"): Emitter =>
  (frame, { word }) => {
    frame.x(take("rs1", word)).i32(take(field, word)).op(op);
    frame.setX(take("rd", word));
  };

const unary =
  (...ops: readonly Opcode[]): Emitter =>
  (frame, { word }) => {
    frame.x(take("rs1", word)).op(...ops);
    frame.setX(take("rd", word));
  };

const inverted =
  (op: Opcode): Emitter =>
  (frame, { word }) => {
    frame.x(take("rs1", word));
    frame.x(take("rs2", word)).i32(-1).op("i32.xor", op);
    frame.setX(take("rd", word));
  };

const shiftAdd =
  (by: number): Emitter =>
  (frame, { word }) => {
    frame.x(take("rs1", word)).i32(by).op("i32.shl");
    frame.x(take("rs2", word)).op("i32.add");
    frame.setX(take("rd", word));
  };

/** The higher half of a product of two numbers that are widened so. */
const high =
  (first: Opcode, second: Opcode): Emitter =>
  (frame, { word }) => {
    frame.x(take("rs1", word)).op(first);
    frame.x(take("rs2", word)).op(second, "i64.mul").i64(32n).op("i64.shr_u", "i32.wrap_i64");
    frame.setX(take("rd", word));
  };

/** Division by 0 gives what `byZero` pushes; by -1 the negated dividend or no remainder, which never traps. */
const division =
  (op: Opcode, rest: boolean, signed: boolean): Emitter =>
  (frame, { word }) => {
    const [a, b] = [take("rs1", word), take("rs2", word)];
    const { code } = frame;
    frame.x(b).op("i32.eqz").if(TYPE.i32);
    if (rest) frame.x(a);
    else code.i32(-1);
    code.else();
    if (signed) {
      frame.x(b).i32(-1).op("i32.eq").if(TYPE.i32);
      code.i32(0);
      if (!rest) frame.x(a).op("i32.sub");
      code.else();
    }
    frame.x(a);
    frame.x(b).op(op);
    if (signed) code.end();
    code.end();
    frame.setX(take("rd", word));
  };

/** One of the operands, the first where they compare so. */
const chosen =
  (op: Opcode): Emitter =>
  (frame, { word }) => {
    const [a, b] = [take("rs1", word), take("rs2", word)];
    frame.x(a);
    frame.x(b);
    frame.x(a);
    frame.x(b).op(op, "select");
    frame.setX(take("rd", word));
  };

/** Bytes in the other order. */
const reversed: Emitter = (frame, { word }) => {
  const rs1 = take("rs1", word);
  frame.x(rs1).i32(8).op("i32.rotl").i32(0x00ff00ff).op("i32.and");
  frame.x(rs1).i32(24).op("i32.rotl").i32(0xff00ff00).op("i32.and", "i32.or");
  frame.setX(take("rd", word));
};

/** Each byte 255 where it is not 0. */
const combined: Emitter = (frame, { word }) => {
  const rs1 = take("rs1", word);
  frame.x(rs1).i32(0x7f7f7f7f).op("i32.and").i32(0x7f7f7f7f).op("i32.add");
  frame.x(rs1).op("i32.or").i32(0x80808080).op("i32.and");
  frame.code.i32(7).op("i32.shr_u").i32(255).op("i32.mul");
  frame.setX(take("rd", word));
};

export const INTEGER: Readonly<Record<string, Emitter>> = {
  lui: (frame, { word }) => {
    frame.code.i32(take("upper", word) << 12);
    frame.setX(take("rd", word));
  },
  auipc: (frame, { word, pc }) => {
    frame.code.i32(pc + (take("upper", word) << 12));
    frame.setX(take("rd", word));
  },
  jal: (frame, { word, pc, bytes }) => {
    frame.code.i32(pc + bytes);
    frame.setX(take("rd", word));
  },
  fence: () => {},
  addi: immediate("i32.add"),
  slti: immediate("i32.lt_s"),
  sltiu: immediate("i32.lt_u"),
  xori: immediate("i32.xor"),
  ori: immediate("i32.or"),
  andi: immediate("i32.and"),
  slli: immediate("i32.shl", "shamt"),
  srli: immediate("i32.shr_u", "shamt"),
  srai: immediate("i32.shr_s", "shamt"),
  add: binary("i32.add"),
  sub: binary("i32.sub"),
  sll: binary("i32.shl"),
  slt: binary("i32.lt_s"),
  sltu: binary("i32.lt_u"),
  xor: binary("i32.xor"),
  srl: binary("i32.shr_u"),
  sra: binary("i32.shr_s"),
  or: binary("i32.or"),
  and: binary("i32.and"),
  mul: binary("i32.mul"),
  mulh: high("i64.extend_i32_s", "i64.extend_i32_s"),
  mulhsu: high("i64.extend_i32_s", "i64.extend_i32_u"),
  mulhu: high("i64.extend_i32_u", "i64.extend_i32_u"),
  div: division("i32.div_s", false, true),
  divu: division("i32.div_u", false, false),
  rem: division("i32.rem_s", true, true),
  remu: division("i32.rem_u", true, false),
  sh1add: shiftAdd(1),
  sh2add: shiftAdd(2),
  sh3add: shiftAdd(3),
  andn: inverted("i32.and"),
  orn: inverted("i32.or"),
  xnor: inverted("i32.xor"),
  clz: unary("i32.clz"),
  ctz: unary("i32.ctz"),
  cpop: unary("i32.popcnt"),
  "sext.b": unary("i32.extend8_s"),
  "sext.h": unary("i32.extend16_s"),
  "zext.h": (frame, { word }) => {
    frame.x(take("rs1", word)).i32(0xffff).op("i32.and");
    frame.setX(take("rd", word));
  },
  max: chosen("i32.gt_s"),
  maxu: chosen("i32.gt_u"),
  min: chosen("i32.lt_s"),
  minu: chosen("i32.lt_u"),
  rol: binary("i32.rotl"),
  ror: binary("i32.rotr"),
  rori: immediate("i32.rotr", "shamt"),
  "orc.b": combined,
  rev8: reversed,
};

/** Pushes whether a branch is taken. */
export function condition(frame: Frame, { instruction, word }: Step): void {
  frame.x(take("rs1", word));
  frame.x(take("rs2", word)).op(CONDITIONS[instruction.name] ?? "i32.eq");
}

const CONDITIONS: Readonly<Record<string, Opcode>> = {
  beq: "i32.eq",
  bne: "i32.ne",
  blt: "i32.lt_s",
  bge: "i32.ge_s",
  bltu: "i32.lt_u",
  bgeu: "i32.ge_u",
};
