/** Instructions as the interpreter's records; hart.as.ts says what is in them. */

import { expand } from "../riscv/compressed.ts";
import { take } from "../riscv/fields.ts";
import { decode, type Instruction } from "../riscv/table.ts";
import { ILLEGAL, opcodeOf } from "./opcodes.ts";

/** Bytes of a record; there is one for each half word. */
export const RECORD_BYTES = 16;

/** A register that is written and never read stands for x0. */
const SINK = 32;

interface Decoded {
  readonly opcode: number;
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  readonly immediate: number;
  /** In place of the word: of branches, `jal` and `frep.o` how often they were taken, of floats what they are to streams. */
  readonly notes: number | null;
}

const IMMEDIATES = [
  "imm12",
  "store",
  "branch",
  "jump",
  "upper",
  "shamt",
  "csr",
  "config",
  "body",
  "rm",
];
const NONE: Decoded = {
  opcode: ILLEGAL,
  rd: SINK,
  rs1: 0,
  rs2: 0,
  rs3: 0,
  immediate: 0,
  notes: null,
};

/** Words repeat: text is decoded much faster when it is remembered what each one is. */
const known = new Map<number, Decoded>();
const MOST_KNOWN = 1 << 16;

function decoded(word: number): Decoded {
  const found = known.get(word);
  if (found) return found;
  if (known.size >= MOST_KNOWN) known.clear();
  const made = make(word);
  known.set(word, made);
  return made;
}

function make(word: number): Decoded {
  const i = decode(word);
  if (i === null) return NONE;
  const immediate = i.fields.find((f) => IMMEDIATES.includes(f));
  const rd = i.fields.includes("rd") ? take("rd", word) || SINK : take("fd", word);
  return {
    opcode: opcodeOf(i.name),
    rd,
    rs1: take("rs1", word),
    rs2: take("rs2", word),
    rs3: i.fields.includes("fs3") ? take("fs3", word) : 0,
    immediate: immediate === undefined ? 0 : take(immediate, word),
    notes: COUNTED.includes(immediate ?? "") ? 0 : streamsOf(i, word),
  };
}

const COUNTED = ["branch", "jump", "body"];
const FLOAT = ["F", "Zfh"];
/** As in streams.as.ts: from which bit on writes are, and those of what may be repeated and of accesses to memory. */
const [STREAMS, WRITES, REPEATABLE, MEMORY] = [3, 3, 0x40, 0x80];

/** What an instruction is to streams; null where it is none on floats. */
function streamsOf({ extension, fields, name }: Instruction, word: number): number | null {
  if (!FLOAT.includes(extension)) return null;
  const isAccess = /^f[ls][hw]$/.test(name);
  let means = isAccess
    ? MEMORY
    : fields.every((f) => f === "rm" || f.startsWith("f"))
      ? REPEATABLE
      : 0;
  for (const field of fields.filter((f) => /^f[ds]/.test(f))) {
    const register = take(field, word);
    if (register < STREAMS) means |= 1 << (register + (field === "fd" ? WRITES : 0));
  }
  return means;
}

/** The instruction at an offset of the text, as one word, and its bytes; null where the text ends within it. */
export function fetch(text: DataView, at: number): { word: number; bytes: number } | null {
  if (at < 0 || at + 2 > text.byteLength) return null;
  const half = text.getUint16(at, true);
  if ((half & 3) !== 3) return { word: expand(half) ?? 0, bytes: 2 };
  return at + 4 > text.byteLength ? null : { word: text.getUint32(at, true), bytes: 4 };
}

/** Writes the record for the instruction at an offset of the text and gives its bytes, or 0 at the text's end. */
export function predecode(text: DataView, at: number, records: DataView): number {
  const found = fetch(text, at);
  if (found === null) return 0;
  const { opcode, rd, rs1, rs2, rs3, immediate, notes } = decoded(found.word);
  const to = (at / 2) * RECORD_BYTES;
  records.setUint16(to, opcode, true);
  records.setUint8(to + 2, (found.bytes / 2) * RECORD_BYTES);
  records.setUint8(to + 3, 1);
  for (const [i, r] of [rd, rs1, rs2, rs3].entries()) records.setUint8(to + 4 + i, r * 4);
  records.setInt32(to + 8, immediate, true);
  records.setUint32(to + 12, notes ?? found.word, true);
  return found.bytes;
}

const JAL = opcodeOf("jal");

const FREP = opcodeOf("frep.o");

/** Whether a record is of an instruction that repeats those behind it. */
export const isRepetition = (records: DataView, at: number): boolean =>
  records.getUint16(at, true) === FREP;

/** Whether a record is of a jump that sets a register. */
export const isCall = (records: DataView, at: number): boolean =>
  records.getUint16(at, true) === JAL && records.getUint8(at + 4) !== SINK * 4;
