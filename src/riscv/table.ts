/**
 * The instruction table. The encoder, the decoder, the disassembler, the simulator's opcodes and docs/isa.md all
 * read it; nothing else knows an encoding.
 */

import { FIELDS, put } from "./fields.ts";
import { ATOMIC } from "./isa/atomic.ts";
import { BITS } from "./isa/bits.ts";
import { FLOAT } from "./isa/float.ts";
import { INTEGER } from "./isa/integer.ts";
import type { Extension, Row } from "./isa/row.ts";
import { STREAM } from "./isa/stream.ts";
import { TILE } from "./isa/tile.ts";
import { VECTOR } from "./isa/vector.ts";

export const EXTENSIONS: readonly Extension[] = [
  ...INTEGER,
  ...ATOMIC,
  ...FLOAT,
  ...BITS,
  ...VECTOR,
  ...TILE,
  ...STREAM,
];

export interface Instruction {
  readonly name: string;
  readonly extension: string;
  /** Operands as GNU as writes them; the words are fields. */
  readonly syntax: string;
  /** The fields in the order of the syntax. */
  readonly fields: readonly string[];
  /** A word is this instruction when its bits under the mask are those of `match`. */
  readonly match: number;
  readonly mask: number;
  readonly meaning: string;
}

const WORD = /[a-z]\w*/g;

/** Words of a syntax that are fields; others, like `v0`, stand for themselves. */
const fieldsIn = (syntax: string): readonly string[] =>
  [...syntax.matchAll(WORD)].map(([word]) => word).filter((word) => word in FIELDS);

/** A syntax, cut at its fields: what stands before each, and behind the last. */
interface CutSyntax {
  readonly fields: readonly string[];
  readonly between: readonly string[];
}

const cuts = new Map<string, CutSyntax>();

export function cutSyntax(syntax: string): CutSyntax {
  const found = cuts.get(syntax);
  if (found) return found;
  const fields = fieldsIn(syntax);
  let rest = 0;
  const before = [...syntax.matchAll(WORD)].flatMap(({ 0: word, index }) => {
    if (!(word in FIELDS)) return [];
    const text = syntax.slice(rest, index);
    rest = index + word.length;
    return [text];
  });
  const made = { fields, between: [...before, syntax.slice(rest)] };
  cuts.set(syntax, made);
  return made;
}

const instruction =
  (extension: string) =>
  ([name, syntax, match, meaning]: Row): Instruction => {
    const fields = fieldsIn(syntax);
    const filled = fields.reduce((m, f) => m | (FIELDS[f]?.mask ?? 0), 0);
    return { name, extension, syntax, fields, match, mask: ~filled >>> 0, meaning };
  };

export const INSTRUCTIONS: readonly Instruction[] = EXTENSIONS.flatMap(({ name, rows }) =>
  rows.map(instruction(name)),
);

const BY_NAME = new Map(INSTRUCTIONS.map((i) => [i.name, i]));

/** Errors: a name that there is not is a fault of the caller. */
export function instructionOf(name: string): Instruction {
  const found = BY_NAME.get(name);
  if (!found) throw new Error(`no instruction is called ${name}`);
  return found;
}

/** The word for an instruction and its operands, in the order of its syntax. Targets are relative to it. */
export function encode(name: string, ...operands: readonly number[]): number {
  const { fields, match } = instructionOf(name);
  if (operands.length !== fields.length) {
    throw new Error(`${name} takes ${fields.join(", ")}; given ${operands.length} operands`);
  }
  let word = match;
  for (let i = 0; i < fields.length; i++) word |= put(fields[i] ?? "", operands[i] ?? 0);
  return word >>> 0;
}

/** Instructions by their opcode, the lowest seven bits, the most specific first. */
const BY_OPCODE: readonly (readonly Instruction[])[] = Array.from({ length: 128 }, (_, opcode) =>
  INSTRUCTIONS.filter((i) => (i.match & 0x7f) === opcode).sort(
    (a, b) => ones(b.mask) - ones(a.mask),
  ),
);

function ones(word: number): number {
  let count = 0;
  for (let w = word; w !== 0; w = (w & (w - 1)) >>> 0) count++;
  return count;
}

/** The instruction that a word is, or null. A reserved rounding mode makes a word none. */
export function decode(word: number): Instruction | null {
  for (const i of BY_OPCODE[word & 0x7f] ?? []) {
    if ((word & i.mask) >>> 0 === i.match) return hasReservedMode(i, word) ? null : i;
  }
  return null;
}

function hasReservedMode({ fields }: Instruction, word: number): boolean {
  const mode = (word >> 12) & 7;
  return (mode === 5 || mode === 6) && fields.includes("rm");
}
