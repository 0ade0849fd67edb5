/** Words as the text that GNU objdump gives them. */

import { aliasOf } from "./aliases.ts";
import { expand } from "./compressed.ts";
import { fieldOf, take } from "./fields.ts";
import { cutSyntax, decode, type Instruction } from "./table.ts";

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
  return textOf(found, whole, pc);
}

/** The text of a word that is known to be this instruction. */
function textOf(i: Instruction, word: number, pc: number): string {
  const { name, syntax } = aliasOf(i, word) ?? i;
  const text = operands(syntax, word, pc);
  return text === "" ? name : `${name} ${text}`;
}

const hex = (word: number): string => (word >>> 0).toString(16);

/** An operand that is not written takes the comma before it along. */
function operands(syntax: string, word: number, pc: number): string {
  const { fields, between } = cutSyntax(syntax);
  let text = between[0] ?? "";
  for (let i = 0; i < fields.length; i++) {
    const operand = shown(fields[i] ?? "", word, pc);
    if (operand === "" && text.endsWith(",")) text = text.slice(0, -1);
    text += operand + (between[i + 1] ?? "");
  }
  return text;
}

/** The dynamic rounding mode and the lack of a mask are what is meant when nothing is written. */
function shown(field: string, word: number, pc: number): string {
  const value = take(field, word);
  return field === "rm" && value === 7 ? "" : fieldOf(field).show(value, pc);
}

/** An instruction for GNU as. Vendors' are written by their fields, so that it needs no knowledge of ours. */
export function assembly(i: Instruction, word: number, pc: number): string {
  if (!i.extension.startsWith("X")) return textOf(i, word, pc);
  const [rd, rs1, rs2] = ["rd", "rs1", "rs2"].map((f) => shown(f, word, pc));
  const opcode = `0x${hex(word & 0x7f)}`;
  const [funct3, funct7] = [(word >> 12) & 7, word >>> 25];
  if (i.extension !== "Xaimc") {
    return `.insn i ${opcode}, ${funct3}, ${rd}, ${rs1}, ${word >> 20}`;
  }
  return `.insn r ${opcode}, ${funct3}, ${funct7}, ${rd}, ${rs1}, ${rs2}`;
}
