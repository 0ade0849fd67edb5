/** A. Source: The RISC-V Instruction Set Manual, volume I, chapter "A". */

import type { Extension, Row } from "./row.ts";

/** One row for each ordering: none, acquire, release, both. One hart, or harts in turn, need none of them. */
const ordered = ([name, syntax, match, meaning]: Row): readonly Row[] =>
  ["", ".rl", ".aq", ".aqrl"].map((suffix, i) => [
    name + suffix,
    syntax,
    (match | (i << 25)) >>> 0,
    meaning,
  ]);

const swap = (name: string, funct5: number, meaning: string): Row => [
  `${name}.w`,
  "rd,rs2,(rs1)",
  ((funct5 << 27) | 0x202f) >>> 0,
  `t = m32[x[rs1]]; m32[x[rs1]] = ${meaning}; x[rd] = t`,
];

const ROWS: readonly Row[] = [
  ["lr.w", "rd,(rs1)", 0x1000202f, "x[rd] = m32[x[rs1]]; reserves the word"],
  [
    "sc.w",
    "rd,rs2,(rs1)",
    0x1800202f,
    "if (the word is reserved) { m32[x[rs1]] = x[rs2]; x[rd] = 0 } else x[rd] = 1",
  ],
  swap("amoswap", 0x01, "x[rs2]"),
  swap("amoadd", 0x00, "t + x[rs2]"),
  swap("amoxor", 0x04, "t ^ x[rs2]"),
  swap("amoand", 0x0c, "t & x[rs2]"),
  swap("amoor", 0x08, "t | x[rs2]"),
  swap("amomin", 0x10, "min(t, x[rs2])"),
  swap("amomax", 0x14, "max(t, x[rs2])"),
  swap("amominu", 0x18, "minu(t, x[rs2])"),
  swap("amomaxu", 0x1c, "maxu(t, x[rs2])"),
];

export const ATOMIC: readonly Extension[] = [
  { name: "A", title: "Atomic memory operations", rows: ROWS.flatMap(ordered) },
];
