/** F and Zfh. Source: The RISC-V Instruction Set Manual, volume I, chapters "F" and "Zfh". */

import type { Extension, Row } from "./row.ts";

/** The operations that single and half precision share; `fmt` is 0 for single and 2 for half. */
function arithmetic(p: "s" | "h"): readonly Row[] {
  const fmt = (p === "s" ? 0 : 2) << 25;
  const op = (bits: number): number => (bits | fmt) >>> 0;
  const fused = (name: string, bits: number, meaning: string): Row => [
    `${name}.${p}`,
    "fd,fs1,fs2,fs3,rm",
    op(bits),
    meaning,
  ];
  const two = (name: string, bits: number, meaning: string): Row => [
    `${name}.${p}`,
    "fd,fs1,fs2",
    op(bits),
    meaning,
  ];
  const compare = (name: string, bits: number, meaning: string): Row => [
    `${name}.${p}`,
    "rd,fs1,fs2",
    op(bits),
    meaning,
  ];
  return [
    fused("fmadd", 0x00000043, "f[fd] = f[fs1] * f[fs2] + f[fs3], rounded once"),
    fused("fmsub", 0x00000047, "f[fd] = f[fs1] * f[fs2] - f[fs3], rounded once"),
    fused("fnmsub", 0x0000004b, "f[fd] = -(f[fs1] * f[fs2]) + f[fs3], rounded once"),
    fused("fnmadd", 0x0000004f, "f[fd] = -(f[fs1] * f[fs2]) - f[fs3], rounded once"),
    [`fadd.${p}`, "fd,fs1,fs2,rm", op(0x00000053), "f[fd] = f[fs1] + f[fs2]"],
    [`fsub.${p}`, "fd,fs1,fs2,rm", op(0x08000053), "f[fd] = f[fs1] - f[fs2]"],
    [`fmul.${p}`, "fd,fs1,fs2,rm", op(0x10000053), "f[fd] = f[fs1] * f[fs2]"],
    [`fdiv.${p}`, "fd,fs1,fs2,rm", op(0x18000053), "f[fd] = f[fs1] / f[fs2]"],
    [`fsqrt.${p}`, "fd,fs1,rm", op(0x58000053), "f[fd] = square root of f[fs1]"],
    two("fsgnj", 0x20000053, "f[fd] = f[fs1] with the sign of f[fs2]"),
    two("fsgnjn", 0x20001053, "f[fd] = f[fs1] with the opposite sign of f[fs2]"),
    two("fsgnjx", 0x20002053, "f[fd] = f[fs1] with the product of both signs"),
    two("fmin", 0x28000053, "f[fd] = the smaller; of a number and a NaN the number"),
    two("fmax", 0x28001053, "f[fd] = the larger; of a number and a NaN the number"),
    [`fcvt.w.${p}`, "rd,fs1,rm", op(0xc0000053), "x[rd] = f[fs1] as i32, saturated"],
    [`fcvt.wu.${p}`, "rd,fs1,rm", op(0xc0100053), "x[rd] = f[fs1] as u32, saturated"],
    compare("feq", 0xa0002053, "x[rd] = f[fs1] == f[fs2], quiet"),
    compare("flt", 0xa0001053, "x[rd] = f[fs1] < f[fs2], signalling"),
    compare("fle", 0xa0000053, "x[rd] = f[fs1] <= f[fs2], signalling"),
    [`fclass.${p}`, "rd,fs1", op(0xe0001053), "x[rd] = one bit for the class of f[fs1]"],
    [`fcvt.${p}.w`, "fd,rs1,rm", op(0xd0000053), "f[fd] = x[rs1] of i32"],
    [`fcvt.${p}.wu`, "fd,rs1,rm", op(0xd0100053), "f[fd] = x[rs1] of u32"],
  ];
}

const F: readonly Row[] = [
  ["flw", "fd,imm12(rs1)", 0x00002007, "f[fd] = m32[x[rs1] + imm12]"],
  ["fsw", "fs2,store(rs1)", 0x00002027, "m32[x[rs1] + store] = f[fs2]"],
  ...arithmetic("s"),
  ["fmv.x.w", "rd,fs1", 0xe0000053, "x[rd] = the bits of f[fs1]"],
  ["fmv.w.x", "fd,rs1", 0xf0000053, "f[fd] = the bits of x[rs1]"],
];

const ZFH: readonly Row[] = [
  ["flh", "fd,imm12(rs1)", 0x00001007, "f[fd] = boxed m16[x[rs1] + imm12]"],
  ["fsh", "fs2,store(rs1)", 0x00001027, "m16[x[rs1] + store] = f[fs2]"],
  ...arithmetic("h"),
  ["fmv.x.h", "rd,fs1", 0xe4000053, "x[rd] = sext16(the bits of f[fs1])"],
  ["fmv.h.x", "fd,rs1", 0xf4000053, "f[fd] = the boxed low half of x[rs1]"],
  ["fcvt.s.h", "fd,fs1", 0x40200053, "f[fd] = f[fs1] of f16, as f32"],
  ["fcvt.h.s", "fd,fs1,rm", 0x44000053, "f[fd] = f[fs1] of f32, as f16"],
];

export const FLOAT: readonly Extension[] = [
  { name: "F", title: "Single-precision floating point", rows: F },
  { name: "Zfh", title: "Half-precision floating point", rows: ZFH },
];
