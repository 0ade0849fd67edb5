/** RV32I, Zifencei, Zicsr and M. Source: The RISC-V Instruction Set Manual, volume I, table "RV32/64G instruction listings". */

import type { Extension, Row } from "./row.ts";

const I: readonly Row[] = [
  ["lui", "rd,upper", 0x00000037, "x[rd] = upper << 12"],
  ["auipc", "rd,upper", 0x00000017, "x[rd] = pc + (upper << 12)"],
  ["jal", "rd,jump", 0x0000006f, "x[rd] = pc + 4; pc += jump"],
  ["jalr", "rd,imm12(rs1)", 0x00000067, "t = pc + 4; pc = (x[rs1] + imm12) & ~1; x[rd] = t"],
  ["beq", "rs1,rs2,branch", 0x00000063, "if (x[rs1] == x[rs2]) pc += branch"],
  ["bne", "rs1,rs2,branch", 0x00001063, "if (x[rs1] != x[rs2]) pc += branch"],
  ["blt", "rs1,rs2,branch", 0x00004063, "if (x[rs1] < x[rs2]) pc += branch"],
  ["bge", "rs1,rs2,branch", 0x00005063, "if (x[rs1] >= x[rs2]) pc += branch"],
  ["bltu", "rs1,rs2,branch", 0x00006063, "if (x[rs1] <u x[rs2]) pc += branch"],
  ["bgeu", "rs1,rs2,branch", 0x00007063, "if (x[rs1] >=u x[rs2]) pc += branch"],
  ["lb", "rd,imm12(rs1)", 0x00000003, "x[rd] = sext(m8[x[rs1] + imm12])"],
  ["lh", "rd,imm12(rs1)", 0x00001003, "x[rd] = sext(m16[x[rs1] + imm12])"],
  ["lw", "rd,imm12(rs1)", 0x00002003, "x[rd] = m32[x[rs1] + imm12]"],
  ["lbu", "rd,imm12(rs1)", 0x00004003, "x[rd] = zext(m8[x[rs1] + imm12])"],
  ["lhu", "rd,imm12(rs1)", 0x00005003, "x[rd] = zext(m16[x[rs1] + imm12])"],
  ["sb", "rs2,store(rs1)", 0x00000023, "m8[x[rs1] + store] = x[rs2]"],
  ["sh", "rs2,store(rs1)", 0x00001023, "m16[x[rs1] + store] = x[rs2]"],
  ["sw", "rs2,store(rs1)", 0x00002023, "m32[x[rs1] + store] = x[rs2]"],
  ["addi", "rd,rs1,imm12", 0x00000013, "x[rd] = x[rs1] + imm12"],
  ["slti", "rd,rs1,imm12", 0x00002013, "x[rd] = x[rs1] < imm12"],
  ["sltiu", "rd,rs1,imm12", 0x00003013, "x[rd] = x[rs1] <u imm12"],
  ["xori", "rd,rs1,imm12", 0x00004013, "x[rd] = x[rs1] ^ imm12"],
  ["ori", "rd,rs1,imm12", 0x00006013, "x[rd] = x[rs1] | imm12"],
  ["andi", "rd,rs1,imm12", 0x00007013, "x[rd] = x[rs1] & imm12"],
  ["slli", "rd,rs1,shamt", 0x00001013, "x[rd] = x[rs1] << shamt"],
  ["srli", "rd,rs1,shamt", 0x00005013, "x[rd] = x[rs1] >>u shamt"],
  ["srai", "rd,rs1,shamt", 0x40005013, "x[rd] = x[rs1] >> shamt"],
  ["add", "rd,rs1,rs2", 0x00000033, "x[rd] = x[rs1] + x[rs2]"],
  ["sub", "rd,rs1,rs2", 0x40000033, "x[rd] = x[rs1] - x[rs2]"],
  ["sll", "rd,rs1,rs2", 0x00001033, "x[rd] = x[rs1] << (x[rs2] & 31)"],
  ["slt", "rd,rs1,rs2", 0x00002033, "x[rd] = x[rs1] < x[rs2]"],
  ["sltu", "rd,rs1,rs2", 0x00003033, "x[rd] = x[rs1] <u x[rs2]"],
  ["xor", "rd,rs1,rs2", 0x00004033, "x[rd] = x[rs1] ^ x[rs2]"],
  ["srl", "rd,rs1,rs2", 0x00005033, "x[rd] = x[rs1] >>u (x[rs2] & 31)"],
  ["sra", "rd,rs1,rs2", 0x40005033, "x[rd] = x[rs1] >> (x[rs2] & 31)"],
  ["or", "rd,rs1,rs2", 0x00006033, "x[rd] = x[rs1] | x[rs2]"],
  ["and", "rd,rs1,rs2", 0x00007033, "x[rd] = x[rs1] & x[rs2]"],
  ["fence", "pred,succ", 0x0000000f, "orders memory accesses; one hart sees its own in order"],
  ["ecall", "", 0x00000073, "calls the environment: a7 is the call, a0 to a5 its arguments"],
  ["ebreak", "", 0x00100073, "traps"],
];

const ZIFENCEI: readonly Row[] = [
  ["fence.i", "", 0x0000100f, "makes stored instructions visible to fetches"],
];

const ZICSR: readonly Row[] = [
  ["csrrw", "rd,csr,rs1", 0x00001073, "t = csr; csr = x[rs1]; x[rd] = t"],
  ["csrrs", "rd,csr,rs1", 0x00002073, "t = csr; if (rs1 != 0) csr = t | x[rs1]; x[rd] = t"],
  ["csrrc", "rd,csr,rs1", 0x00003073, "t = csr; if (rs1 != 0) csr = t & ~x[rs1]; x[rd] = t"],
  ["csrrwi", "rd,csr,zimm", 0x00005073, "x[rd] = csr; csr = zimm"],
  ["csrrsi", "rd,csr,zimm", 0x00006073, "x[rd] = csr; if (zimm != 0) csr |= zimm"],
  ["csrrci", "rd,csr,zimm", 0x00007073, "x[rd] = csr; if (zimm != 0) csr &= ~zimm"],
];

const M: readonly Row[] = [
  ["mul", "rd,rs1,rs2", 0x02000033, "x[rd] = low32(x[rs1] * x[rs2])"],
  ["mulh", "rd,rs1,rs2", 0x02001033, "x[rd] = high32(x[rs1] * x[rs2])"],
  ["mulhsu", "rd,rs1,rs2", 0x02002033, "x[rd] = high32(x[rs1] *su x[rs2])"],
  ["mulhu", "rd,rs1,rs2", 0x02003033, "x[rd] = high32(x[rs1] *u x[rs2])"],
  ["div", "rd,rs1,rs2", 0x02004033, "x[rd] = x[rs1] / x[rs2]; by 0: -1; overflow: x[rs1]"],
  ["divu", "rd,rs1,rs2", 0x02005033, "x[rd] = x[rs1] /u x[rs2]; by 0: -1"],
  ["rem", "rd,rs1,rs2", 0x02006033, "x[rd] = x[rs1] % x[rs2]; by 0: x[rs1]; overflow: 0"],
  ["remu", "rd,rs1,rs2", 0x02007033, "x[rd] = x[rs1] %u x[rs2]; by 0: x[rs1]"],
];

export const INTEGER: readonly Extension[] = [
  { name: "I", title: "Base integer instructions", rows: I },
  { name: "Zifencei", title: "Instruction-fetch fence", rows: ZIFENCEI },
  { name: "Zicsr", title: "Control and status registers", rows: ZICSR },
  { name: "M", title: "Multiplication and division", rows: M },
];
