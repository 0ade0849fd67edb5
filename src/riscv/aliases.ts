/**
 * Names that GNU as gives to special cases of an instruction. The disassembler prefers them, as objdump does.
 * Source: RISC-V Assembly Programmer's Manual, "A listing of standard RISC-V pseudoinstructions".
 */

import { FIELDS, put, take } from "./fields.ts";
import { type Instruction, instructionOf } from "./table.ts";

/** Fields that have a value, or the value of another field. */
type Fixed = Readonly<Record<string, number | string>>;
type AliasRow = readonly [name: string, syntax: string, of: string, fixed: Fixed];

export interface Alias {
  readonly name: string;
  readonly syntax: string;
  readonly mask: number;
  readonly match: number;
  /** Pairs of fields that must be equal. */
  readonly equal: readonly (readonly [string, string])[];
}

const csr = (name: string, number: number): readonly AliasRow[] => [
  [`fr${name}`, "rd", "csrrs", { csr: number, rs1: 0 }],
  [`fs${name}`, "rs1", "csrrw", { csr: number, rd: 0 }],
  [`fs${name}`, "rd,rs1", "csrrw", { csr: number }],
];

const counter = (name: string, number: number): AliasRow => [
  `rd${name}`,
  "rd",
  "csrrs",
  { csr: number, rs1: 0 },
];

const sign = (p: string): readonly AliasRow[] => [
  [`fmv.${p}`, "fd,fs1", `fsgnj.${p}`, { fs2: "fs1" }],
  [`fneg.${p}`, "fd,fs1", `fsgnjn.${p}`, { fs2: "fs1" }],
  [`fabs.${p}`, "fd,fs1", `fsgnjx.${p}`, { fs2: "fs1" }],
];

/** Before a more general row comes the more special one. */
const ROWS: readonly AliasRow[] = [
  ["nop", "", "addi", { rd: 0, rs1: 0, imm12: 0 }],
  ["li", "rd,imm12", "addi", { rs1: 0 }],
  ["mv", "rd,rs1", "addi", { imm12: 0 }],
  ["zext.b", "rd,rs1", "andi", { imm12: 255 }],
  ["not", "rd,rs1", "xori", { imm12: -1 }],
  ["seqz", "rd,rs1", "sltiu", { imm12: 1 }],
  ["neg", "rd,rs2", "sub", { rs1: 0 }],
  ["snez", "rd,rs2", "sltu", { rs1: 0 }],
  ["sltz", "rd,rs1", "slt", { rs2: 0 }],
  ["sgtz", "rd,rs2", "slt", { rs1: 0 }],
  ["beqz", "rs1,branch", "beq", { rs2: 0 }],
  ["bnez", "rs1,branch", "bne", { rs2: 0 }],
  ["blez", "rs2,branch", "bge", { rs1: 0 }],
  ["bgez", "rs1,branch", "bge", { rs2: 0 }],
  ["bltz", "rs1,branch", "blt", { rs2: 0 }],
  ["bgtz", "rs2,branch", "blt", { rs1: 0 }],
  ["j", "jump", "jal", { rd: 0 }],
  ["jal", "jump", "jal", { rd: 1 }],
  ["ret", "", "jalr", { rd: 0, rs1: 1, imm12: 0 }],
  ["jr", "rs1", "jalr", { rd: 0, imm12: 0 }],
  ["jr", "imm12(rs1)", "jalr", { rd: 0 }],
  ["jalr", "rs1", "jalr", { rd: 1, imm12: 0 }],
  ["jalr", "imm12(rs1)", "jalr", { rd: 1 }],
  ["jalr", "rd,rs1", "jalr", { imm12: 0 }],
  ["fence", "", "fence", { pred: 15, succ: 15 }],
  ["pause", "", "fence", { pred: 1, succ: 0 }],
  ["unimp", "", "csrrw", { rd: 0, csr: 0xc00, rs1: 0 }],
  ...csr("csr", 3),
  ...csr("rm", 2),
  ...csr("flags", 1),
  ["fsrmi", "zimm", "csrrwi", { csr: 2, rd: 0 }],
  ["fsrmi", "rd,zimm", "csrrwi", { csr: 2 }],
  ["fsflagsi", "zimm", "csrrwi", { csr: 1, rd: 0 }],
  ["fsflagsi", "rd,zimm", "csrrwi", { csr: 1 }],
  counter("cycle", 0xc00),
  counter("time", 0xc01),
  counter("instret", 0xc02),
  counter("cycleh", 0xc80),
  counter("timeh", 0xc81),
  counter("instreth", 0xc82),
  ["csrr", "rd,csr", "csrrs", { rs1: 0 }],
  ["csrw", "csr,rs1", "csrrw", { rd: 0 }],
  ["csrs", "csr,rs1", "csrrs", { rd: 0 }],
  ["csrc", "csr,rs1", "csrrc", { rd: 0 }],
  ["csrwi", "csr,zimm", "csrrwi", { rd: 0 }],
  ["csrsi", "csr,zimm", "csrrsi", { rd: 0 }],
  ["csrci", "csr,zimm", "csrrci", { rd: 0 }],
  ...[1, 2, 4, 8].map((n): AliasRow => [`vl${n}r.v`, "vd,(rs1)", `vl${n}re8.v`, {}]),
  ["vneg.v", "vd,vs2,vm", "vrsub.vx", { rs1: 0 }],
  ["vnot.v", "vd,vs2,vm", "vxor.vi", { simm5: -1 }],
  ["vncvt.x.x.w", "vd,vs2,vm", "vnsrl.wx", { rs1: 0 }],
  ["vwcvt.x.x.v", "vd,vs2,vm", "vwadd.vx", { rs1: 0 }],
  ["vwcvtu.x.x.v", "vd,vs2,vm", "vwaddu.vx", { rs1: 0 }],
  ["vmmv.m", "vd,vs2", "vmand.mm", { vs1: "vs2" }],
  ["vmnot.m", "vd,vs2", "vmnand.mm", { vs1: "vs2" }],
  ["vmclr.m", "vd", "vmxor.mm", { vs1: "vs2", vs2: "vd" }],
  ["vmset.m", "vd", "vmxnor.mm", { vs1: "vs2", vs2: "vd" }],
  ["vfneg.v", "vd,vs2,vm", "vfsgnjn.vv", { vs1: "vs2" }],
  ["vfabs.v", "vd,vs2,vm", "vfsgnjx.vv", { vs1: "vs2" }],
  ...sign("s"),
  ...sign("h"),
];

function alias([name, syntax, of, fixed]: AliasRow): Alias {
  const base = instructionOf(of);
  let { mask, match } = base;
  const equal: [string, string][] = [];
  for (const [field, value] of Object.entries(fixed)) {
    if (typeof value === "string") equal.push([field, value]);
    else {
      mask = (mask | (FIELDS[field]?.mask ?? 0)) >>> 0;
      match = (match | put(field, value)) >>> 0;
    }
  }
  return { name, syntax, mask, match, equal };
}

const made = new Map<string, readonly Alias[]>();

/** They are made when first asked for, because they need the whole table. */
function aliasesOf(name: string): readonly Alias[] {
  const known = made.get(name) ?? ROWS.filter(([, , of]) => of === name).map(alias);
  made.set(name, known);
  return known;
}

/** The first alias that a word of an instruction has. */
export function aliasOf(base: Instruction, word: number): Alias | null {
  return (
    aliasesOf(base.name).find(
      (a) =>
        (word & a.mask) >>> 0 === a.match &&
        a.equal.every(([one, other]) => take(one, word) === take(other, word)),
    ) ?? null
  );
}

/** The rows of the manual: name, syntax, what it stands for. */
export const ALIAS_ROWS: readonly (readonly [string, string])[] = ROWS.map(
  ([name, syntax, of, fixed]) => [
    `${name} ${syntax}`.trim(),
    `${of} with ${Object.entries(fixed)
      .map(([f, v]) => `${f} = ${typeof v === "number" && v > 31 ? `0x${v.toString(16)}` : v}`)
      .join(", ")}`,
  ],
);
