/**
 * Instructions with labels and remarks, as programs are generated; as words, and as a source for GNU as that gives
 * the same words.
 */

import { assembly } from "./disassemble.ts";
import type { ElfSymbol } from "./elf.ts";
import { encode, type Instruction as InstructionRow, instructionOf } from "./table.ts";

export type Line =
  | { readonly kind: "label"; readonly name: string }
  | { readonly kind: "remark"; readonly text: string }
  | {
      readonly kind: "instruction";
      readonly name: string;
      /** In the order of the syntax; where a target is wanted, a label. */
      readonly operands: readonly (number | string)[];
    };

type Instruction = Extract<Line, { kind: "instruction" }>;

export const label = (name: string): Line => ({ kind: "label", name });
export const remark = (text: string): Line => ({ kind: "remark", text });
export const instruction = (name: string, ...operands: readonly (number | string)[]): Line => ({
  kind: "instruction",
  name,
  operands,
});

/** The instructions that put any 32-bit number into a register. */
export function loadConstant(rd: number, value: number): readonly Line[] {
  const low = (value << 20) >> 20;
  const high = ((value - low) >>> 12) & 0xfffff;
  if (high === 0) return [instruction("addi", rd, 0, low)];
  const upper = instruction("lui", rd, high);
  return low === 0 ? [upper] : [upper, instruction("addi", rd, rd, low)];
}

interface Assembled {
  readonly bytes: Buffer;
  /** The labels, at their addresses. */
  readonly symbols: readonly ElfSymbol[];
}

/** Errors: a label that there is not, or is too far away, is a fault of the caller. */
export function assemble(lines: readonly Line[], base: number): Assembled {
  const labels = addresses(lines, base);
  const words = new Uint32Array(lines.length);
  let count = 0;
  for (const line of lines) {
    if (line.kind === "instruction") words[count] = wordOf(line, base + 4 * count++, labels);
  }
  return {
    bytes: Buffer.from(words.buffer, 0, 4 * count),
    symbols: [...labels].map(([name, address]) => ({ name, address, size: 0, kind: "label" })),
  };
}

function addresses(lines: readonly Line[], base: number): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  let at = base;
  for (const line of lines) {
    if (line.kind === "instruction") at += 4;
    if (line.kind !== "label") continue;
    if (found.has(line.name)) throw new Error(`the label ${line.name} is set twice`);
    found.set(line.name, at);
  }
  return found;
}

/** The word of an instruction at an address. */
function wordOf(
  { name, operands }: Instruction,
  at: number,
  labels: ReadonlyMap<string, number>,
): number {
  const numbers = operands.map((o) => (typeof o === "string" ? target(labels, o) - at : o));
  return encode(name, ...numbers);
}

function target(labels: ReadonlyMap<string, number>, name: string): number {
  const found = labels.get(name);
  if (found === undefined) throw new Error(`there is no label ${name}`);
  return found;
}

/** A source for GNU as; `isa` is the ISA string that it may use. */
export const source = (lines: readonly Line[], isa: string): string =>
  `${[...sourceHead(isa), statements(lines)].join("\n")}\n`;

/** What a source begins with. GNU as does not know our extensions, which are written by their fields. */
export const sourceHead = (isa: string): readonly string[] => [
  `.attribute arch, "${isa.replace(/_x[a-z0-9]+/g, "")}"`,
  ".option norvc",
  ".option norelax",
  ".text",
];

/** The lines as GNU as reads them. */
export function statements(lines: readonly Line[]): string {
  const text = lines.map((line) => {
    if (line.kind === "label") return `${line.name}:`;
    if (line.kind === "remark") return `  # ${line.text.replace(/\s+/g, " ")}`;
    return `  ${written(line)}`;
  });
  return text.join("\n");
}

/** Texts of instructions that were written before: programs repeat themselves. */
const texts = new Map<number, string>();
const MOST_TEXTS = 1 << 16;

/** A target is the last operand. Without a label it is an address, which GNU as takes relative to the place. */
function written({ name, operands }: Instruction): string {
  const i = instructionOf(name);
  const last = i.fields.at(-1);
  const numbers = operands.map((o) => (typeof o === "string" ? 0 : o));
  if (last !== "branch" && last !== "jump") return textOf(i, encode(name, ...numbers));
  const to = operands.find((o) => typeof o === "string");
  const distance = numbers.at(-1) ?? 0;
  const there = to ?? `.${distance < 0 ? "" : "+"}${distance}`;
  return textOf(i, encode(name, ...numbers.with(-1, 0))).replace(/0$/, there);
}

function textOf(i: InstructionRow, word: number): string {
  const found = texts.get(word);
  if (found !== undefined) return found;
  if (texts.size >= MOST_TEXTS) texts.clear();
  const made = assembly(i, word, 0);
  texts.set(word, made);
  return made;
}
