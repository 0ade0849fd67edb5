/** Words as the text that GNU objdump gives them. */

import { aliasOf } from "./aliases.ts";
import { expand } from "./compressed.ts";
import { fieldOf, take } from "./fields.ts";
import { decode, type Instruction, replaceFields } from "./table.ts";

/**
 * The text of an instruction, name and operands parted by one space. A compressed one, whose lowest two bits are
 * not both set, reads like what it stands for. `pc` is its address. What is none is `.word` or `.half`.
 */
export function disassemble(word: number, pc: number): string {
  const compressed = (word & 3) !== 3;
  const whole = compressed ? expand(word & 0xffff) : word;
  const found = whole === null ? null : decode(whole);
  if (whole === null || found === null) {
    return compressed ? `.half 0x${(word & 0xffff).toString(16)}` : `.word 0x${hex(word)}`;
  }
  const { name, syntax } = aliasOf(found, whole) ?? found;
  return `${name} ${operands(syntax, whole, pc)}`.trim();
}

const hex = (word: number): string => (word >>> 0).toString(16);

/** All at once: names of registers look like names of fields. */
function operands(syntax: string, word: number, pc: number): string {
  const shownAll = replaceFields(syntax, (f) => shown(f, word, pc));
  return shownAll.replace(/,(?=,|$)/g, "");
}

/** The dynamic rounding mode and the lack of a mask are what is meant when nothing is written. */
function shown(field: string, word: number, pc: number): string {
  const value = take(field, word);
  return field === "rm" && value === 7 ? "" : fieldOf(field).show(value, pc);
}

/** An instruction for GNU as. Vendors' are written by their fields, so that it needs no knowledge of ours. */
export function assembly(i: Instruction, word: number, pc: number): string {
  if (i.extension !== "Xaimc") return disassemble(word, pc);
  const [rd, rs1, rs2] = ["rd", "rs1", "rs2"].map((f) => shown(f, word, pc));
  const opcode = `0x${hex(word & 0x7f)}`;
  const [funct3, funct7] = [(word >> 12) & 7, word >>> 25];
  return `.insn r ${opcode}, ${funct3}, ${funct7}, ${rd}, ${rs1}, ${rs2}`;
}
