/**
 * Streams and repetitions in translated text. Of each stream that a region uses, the place, what is left of the two
 * innermost dimensions and how often the element is read again are in locals, as if they were registers; beyond these
 * dimensions the interpreter goes on (streams.as.ts).
 */

import { take } from "../riscv/fields.ts";
import type { Instruction } from "../riscv/table.ts";
import { STATE } from "./interpreter.ts";

const STREAMS = 3;
const STREAM_BYTES = 128;
const ALL = 31;
const SSR = 0x7c0;
/** Registers of floats have numbers from here on; what a repetition and streams keep has numbers behind them. */
const FLOATS = 32;
export const FREP_LEFT = 64;
const FIRST = 65;

/** What locals hold of a stream: words of its state, those that change first. */
const WORDS = [
  "place",
  "again",
  "left0",
  "left1",
  "repeat",
  "bound0",
  "stride0",
  "stride1",
] as const;
const OFFSETS = {
  place: 40,
  again: 44,
  left0: 48,
  left1: 52,
  repeat: 4,
  bound0: 8,
  stride0: 24,
  stride1: 28,
};
type Word = (typeof WORDS)[number];

/** The number of a word of a stream, as if it were a register. */
export const wordOf = (stream: number, word: Word): number =>
  FIRST + stream * WORDS.length + WORDS.indexOf(word);

/** Whether a number is that of a register of floats. */
export const isFloat = (register: number): boolean => register >= FLOATS && register < FREP_LEFT;

/** Where what is in a local lies in the hart's state. */
export function placeOf(register: number): number {
  if (register < FLOATS) return register * 4;
  if (register < FREP_LEFT) return STATE.f + (register - FLOATS) * 4;
  if (register === FREP_LEFT) return STATE.frepLeft;
  const word = WORDS[(register - FIRST) % WORDS.length] ?? "place";
  return (
    STATE.streams + Math.floor((register - FIRST) / WORDS.length) * STREAM_BYTES + OFFSETS[word]
  );
}

const wordsOf = (stream: number): readonly number[] => WORDS.map((word) => wordOf(stream, word));

/** What an instruction has to do with streams. */
export interface Streamed {
  /** Registers that it reads and writes, without those that stand for streams. */
  readonly read: readonly number[];
  readonly written: readonly number[];
  /** Streams that it takes an element from, and the one that it puts one into. */
  readonly pops: readonly number[];
  readonly pushes: number | null;
  /** What is kept in locals for it besides. */
  readonly kept: readonly number[];
}

const isStream = (register: number): boolean => register >= FLOATS && register < FLOATS + STREAMS;

interface Registers {
  readonly instruction: Instruction;
  readonly read: readonly number[];
  readonly written: readonly number[];
}

/** The same instruction while streams are enabled or not; `repeated` within a repetition. */
export function streamed(
  { instruction, read, written }: Registers,
  word: number,
  enabled: boolean,
  repeated: boolean,
): Streamed {
  const left = repeated || instruction.name === "frep.o" ? [FREP_LEFT] : [];
  if (instruction.extension === "Xssr") {
    const stream = take("config", word) & ALL;
    const streams = stream === ALL ? [0, 1, 2] : stream < STREAMS ? [stream] : [];
    const words = streams.flatMap(wordsOf);
    const all = { read: [...read, ...words], written: [...written, ...words] };
    return { ...all, pops: [], pushes: null, kept: [] };
  }
  const streams = enabled ? [...new Set([...read, ...written])].filter(isStream) : [];
  const [to] = enabled ? written.filter(isStream) : [];
  return {
    read,
    written: enabled ? written.filter((r) => !isStream(r)) : written,
    pops: enabled ? [...new Set(read)].filter(isStream).map((r) => r - FLOATS) : [],
    pushes: to === undefined ? null : to - FLOATS,
    // The registers that streams stand for keep their values.
    kept: [...left, ...streams, ...streams.flatMap((r) => wordsOf(r - FLOATS))],
  };
}

/** Whether streams are enabled behind an instruction; null where only the run can tell. */
export function enabledBehind(
  { name, fields }: Instruction,
  word: number,
  enabled: boolean,
): boolean | null {
  if (!fields.includes("csr") || take("csr", word) !== SSR) return enabled;
  const operand = take("zimm", word);
  if (!fields.includes("zimm")) return operand === 0 && name !== "csrrw" ? enabled : null;
  if (name === "csrrwi") return (operand & 1) === 1;
  return operand & 1 ? name === "csrrsi" : enabled;
}

/** Whether `frep.o` may repeat an instruction: it has to compute on floats alone. */
export const isRepeatable = ({ extension, name, fields }: Instruction): boolean =>
  (extension === "F" || extension === "Zfh") &&
  !isMoved(name) &&
  fields.every((f) => f === "rm" || f.startsWith("f"));

/** Whether it is a load or store of floats, which streams have no part in. */
export const isMoved = (name: string): boolean => /^f[ls][hw]$/.test(name);
