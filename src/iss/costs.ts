/**
 * What instructions cost on a core that issues one a cycle, in order, and waits for operands that are not ready: the
 * cycles until each instruction has been issued after the one before it in the text. An instruction that a branch leads
 * back to comes after that branch, because loops are where time goes. What branches take when they are taken, and how
 * long vectors are, is known only when they run (timing.as.ts). Instructions that are repeated are a loop without a
 * branch. Streams are read ahead: an element is there when it is wanted, but for the first, which is loaded as others are.
 */

import { take } from "../riscv/fields.ts";
import { decode, type Instruction } from "../riscv/table.ts";
import { fetch } from "./predecode.ts";
import { enabledBehind } from "./translate-streams.ts";

/** Latencies are cycles from the issue of an instruction until one that reads its result may be issued. */
export interface CoreTiming {
  readonly load: number;
  readonly multiply: number;
  readonly divide: number;
  readonly float: number;
  /** Division and square root of floating point. */
  readonly floatDivide: number;
  /** Beyond one that is not taken. */
  readonly takenBranch: number;
  /** Of a load or store in main memory, beyond one in the TCDM. */
  readonly far: number;
  /** What the vector unit does in a cycle. */
  readonly vectorBytes: number;
  /** Instructions that it holds beside the core, which goes on meanwhile; 0: it blocks the core. */
  readonly vectorQueue: number;
}

const REGISTERS = 96;
const FLOATS = 32;
const STREAMS = 3;
/** Words of a stream's configuration from which on it starts. */
const FIRST_START = 24;
const WORD = 4;
const MOST = 255;
const FLOAT = new Set(["F", "Zfh"]);

/** The cost of the instruction at each half word of the text; 0 where none begins. */
export function costsOf(text: DataView, timing: CoreTiming): Uint8Array {
  const steps = stepsOf(text);
  const costs = new Uint8Array(Math.ceil(text.byteLength / 2));
  // The first time tells what a loop's end leaves behind for its beginning.
  const loops = new Map<number, Int32Array>();
  const first = new Core(timing);
  let repeated = { from: -1, last: -1 };
  for (const { at, word, instruction } of steps) {
    if (!instruction) continue;
    first.issue(instruction, word);
    if (instruction.name === "frep.o") {
      repeated = { from: at + WORD, last: at + WORD * (take("body", word) + 1) };
    }
    const target = at === repeated.last ? repeated.from : targetOf(instruction, word, at);
    if (target <= at && !loops.has(target)) loops.set(target, first.waiting());
  }
  const core = new Core(timing);
  for (const { at, word, instruction } of steps) {
    const before = loops.get(at);
    if (before) core.goOn(before);
    costs[at / 2] = instruction ? core.issue(instruction, word) : 1;
  }
  return costs;
}

/** Where a branch leads; what is none leads nowhere back. */
const targetOf = ({ fields }: Instruction, word: number, at: number): number =>
  fields.includes("branch") ? at + take("branch", word) : at + 1;

function stepsOf(text: DataView) {
  const steps: { at: number; word: number; instruction: Instruction | null }[] = [];
  let at = 0;
  for (let found = fetch(text, at); found; found = fetch(text, at)) {
    steps.push({ at, word: found.word, instruction: decode(found.word) });
    at += found.bytes;
  }
  return steps;
}

/** When each register is ready. */
class Core {
  private readonly timing: CoreTiming;
  private readonly ready = new Int32Array(REGISTERS);
  private now = 0;
  /** Whether ft0 to ft2 stand for streams, as the text has it. */
  private streams = false;

  constructor(timing: CoreTiming) {
    this.timing = timing;
  }

  issue(instruction: Instruction, word: number): number {
    const { read, written } = this.registers(instruction, word);
    this.streams = enabledBehind(instruction, word, this.streams) ?? this.streams;
    const at = read.reduce((most, r) => Math.max(most, this.ready[r] ?? 0), this.now);
    const jumps = instruction.fields.includes("jump") || instruction.name === "jalr";
    const cost = at - this.now + 1 + (jumps ? this.timing.takenBranch : 0);
    this.now += cost;
    for (const r of written) this.ready[r] = at + latency(instruction, this.timing);
    return Math.min(cost, MOST);
  }

  /** Registers that an instruction waits for, and those that wait for it. */
  private registers(instruction: Instruction, word: number): Registers {
    const { read, written } = registersOf(instruction, word, this.timing);
    if (instruction.extension === "Xssr") {
      // The first element of a stream that is started.
      const [stream, first] = [take("config", word) & 31, take("config", word) >> 5 >= FIRST_START];
      const starts = first && stream < STREAMS;
      return { read, written: starts ? [...written, FLOATS + stream] : written };
    }
    if (!this.streams) return { read, written };
    return { read, written: written.filter((r) => r < FLOATS || r >= FLOATS + STREAMS) };
  }

  /** Cycles from now until registers are ready. */
  waiting(): Int32Array {
    return this.ready.map((r) => Math.max(0, r - this.now));
  }

  goOn(waiting: Int32Array): void {
    for (const [r, cycles] of waiting.entries()) this.ready[r] = this.now + cycles;
  }
}

function latency({ name, extension }: Instruction, timing: CoreTiming): number {
  // The core has waited for a result of its vector unit already.
  if (timing.vectorQueue > 0 && extension === "Zve32f") return 1;
  if (/^(?:scfgwi|l[bhw]u?|fl[hw]|lr\.w.*|amo.*|sc\.w.*|vl.*)$/.test(name)) return timing.load;
  if (/^(?:div|rem)/.test(name)) return timing.divide;
  if (/^v?f(?:r?div|sqrt)/.test(name)) return timing.floatDivide;
  if (extension === "M") return timing.multiply;
  return FLOAT.has(extension) || name.startsWith("vf") ? timing.float : 1;
}

interface Registers {
  readonly read: readonly number[];
  readonly written: readonly number[];
}

/** Integers 0 to 31, floats from 32, vectors from 64 where they block the core; x0 is always ready. */
function registersOf({ fields }: Instruction, word: number, timing: CoreTiming): Registers {
  const files = timing.vectorQueue > 0 ? { r: 0, f: 32 } : { r: 0, f: 32, v: 64 };
  const sets = { read: [] as number[], written: [] as number[] };
  for (const field of fields) {
    const [, file, role] = /^([rfv])(d|s[123])$/.exec(field) ?? [];
    const first = (files as Readonly<Record<string, number>>)[file ?? ""];
    if (first === undefined) continue;
    const register = take(field, word) + first;
    if (register > 0) (role === "d" ? sets.written : sets.read).push(register);
  }
  return sets;
}
