/** Zba and Zbb for RV32. Source: RISC-V Bit-Manipulation ISA-extensions 1.0.0. */

import type { Extension, Row } from "./row.ts";

const ZBA: readonly Row[] = [
  ["sh1add", "rd,rs1,rs2", 0x20002033, "x[rd] = (x[rs1] << 1) + x[rs2]"],
  ["sh2add", "rd,rs1,rs2", 0x20004033, "x[rd] = (x[rs1] << 2) + x[rs2]"],
  ["sh3add", "rd,rs1,rs2", 0x20006033, "x[rd] = (x[rs1] << 3) + x[rs2]"],
];

const ZBB: readonly Row[] = [
  ["andn", "rd,rs1,rs2", 0x40007033, "x[rd] = x[rs1] & ~x[rs2]"],
  ["orn", "rd,rs1,rs2", 0x40006033, "x[rd] = x[rs1] | ~x[rs2]"],
  ["xnor", "rd,rs1,rs2", 0x40004033, "x[rd] = ~(x[rs1] ^ x[rs2])"],
  ["clz", "rd,rs1", 0x60001013, "x[rd] = leading zeros of x[rs1]"],
  ["ctz", "rd,rs1", 0x60101013, "x[rd] = trailing zeros of x[rs1]"],
  ["cpop", "rd,rs1", 0x60201013, "x[rd] = ones in x[rs1]"],
  ["max", "rd,rs1,rs2", 0x0a006033, "x[rd] = max(x[rs1], x[rs2])"],
  ["maxu", "rd,rs1,rs2", 0x0a007033, "x[rd] = maxu(x[rs1], x[rs2])"],
  ["min", "rd,rs1,rs2", 0x0a004033, "x[rd] = min(x[rs1], x[rs2])"],
  ["minu", "rd,rs1,rs2", 0x0a005033, "x[rd] = minu(x[rs1], x[rs2])"],
  ["sext.b", "rd,rs1", 0x60401013, "x[rd] = sext8(x[rs1])"],
  ["sext.h", "rd,rs1", 0x60501013, "x[rd] = sext16(x[rs1])"],
  ["zext.h", "rd,rs1", 0x08004033, "x[rd] = x[rs1] & 0xffff"],
  ["rol", "rd,rs1,rs2", 0x60001033, "x[rd] = x[rs1] rotated left by x[rs2] & 31"],
  ["ror", "rd,rs1,rs2", 0x60005033, "x[rd] = x[rs1] rotated right by x[rs2] & 31"],
  ["rori", "rd,rs1,shamt", 0x60005013, "x[rd] = x[rs1] rotated right by shamt"],
  ["orc.b", "rd,rs1", 0x28705013, "x[rd] = each byte of x[rs1] that is not 0 as 0xff"],
  ["rev8", "rd,rs1", 0x69805013, "x[rd] = x[rs1] with its bytes reversed"],
];

export const BITS: readonly Extension[] = [
  { name: "Zba", title: "Address generation", rows: ZBA },
  { name: "Zbb", title: "Basic bit manipulation", rows: ZBB },
];
