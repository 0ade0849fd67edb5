/**
 * What instructions cost on a core that issues one a cycle, in order, and waits for operands that are not ready: the
 * cycles until each instruction has been issued after the one before it in the text. An instruction that a branch leads
 * back to comes after that branch, because loops are where time goes. What branches take when they are taken, and how
 * long vectors are, is known only when they run (timing.as.ts).
 */

import { take } from "../riscv/fields.ts";
import { decode, type Instruction } from "../riscv/table.ts";
import { fetch } from "./predecode.ts";

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
const MOST = 255;
const FLOAT = new Set(["F", "Zfh"]);

/** The cost of the instruction at each half word of the text; 0 where none begins. */
export function costsOf(text: DataView, timing: CoreTiming): Uint8Array {
  const steps = stepsOf(text);
  const costs = new Uint8Array(Math.ceil(text.byteLength / 2));
  // The first time tells what a loop's end leaves behind for its beginning.
  const loops = new Map<number, Int32Array>();
  const first = new Core(timing);
  for (const { at, word, instruction } of steps) {
    if (!instruction) continue;
    first.issue(instruction, word);
    const target = instruction.fields.includes("branch") ? at + take("branch", word) : at + 1;
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

  constructor(timing: CoreTiming) {
    this.timing = timing;
  }

  issue(instruction: Instruction, word: number): number {
    const { read, written } = this.registersOf(instruction, word);
    const at = read.reduce((most, r) => Math.max(most, this.ready[r] ?? 0), this.now);
    const jumps = instruction.fields.includes("jump") || instruction.name === "jalr";
    const cost = at - this.now + 1 + (jumps ? this.timing.takenBranch : 0);
    this.now += cost;
    for (const r of written) this.ready[r] = at + latency(instruction, this.timing);
    return Math.min(cost, MOST);
  }

  /** Integers 0 to 31, floats from 32, vectors from 64 where they block the core; x0 is always ready. */
  private registersOf({ fields }: Instruction, word: number) {
    const files = this.timing.vectorQueue > 0 ? { r: 0, f: 32 } : { r: 0, f: 32, v: 64 };
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
  if (/^(?:l[bhw]u?|fl[hw]|lr\.w.*|amo.*|sc\.w.*|vl.*)$/.test(name)) return timing.load;
  if (/^(?:div|rem)/.test(name)) return timing.divide;
  if (/^v?f(?:r?div|sqrt)/.test(name)) return timing.floatDivide;
  if (extension === "M") return timing.multiply;
  return FLOAT.has(extension) || name.startsWith("vf") ? timing.float : 1;
}
