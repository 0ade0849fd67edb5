/**
 * The part of a program that one translation covers: blocks of instructions from an address on, as far as branches
 * with known targets lead. Calls are followed too: a block is known by its address and the calls that it is within,
 * so that a function is there once for each call, and where it returns to is known.
 */

import { take } from "../riscv/fields.ts";
import { decode, type Instruction } from "../riscv/table.ts";
import {
  enabledBehind,
  isMoved,
  isRepeatable,
  type Streamed,
  streamed,
} from "./translate-streams.ts";

/** An instruction, and which registers it reads and writes: whole numbers 0 to 31, floats 32 to 63, never x0. */
export interface Step extends Streamed {
  readonly instruction: Instruction;
  readonly word: number;
  readonly pc: number;
  readonly bytes: number;
}

/** What a word is, and its registers. */
interface Known {
  readonly instruction: Instruction;
  readonly read: readonly number[];
  readonly written: readonly number[];
}

/** A block of the region by its number, or an address at which the region is left. */
export type Target = { readonly block: number } | { readonly leave: number };

export type End =
  | { readonly kind: "jump"; readonly to: Target }
  | { readonly kind: "branch"; readonly by: Step; readonly taken: Target; readonly other: Target }
  /** The last of instructions that are repeated, as often as is left. */
  | { readonly kind: "repeat"; readonly taken: Target; readonly other: Target }
  /** A return, if it goes where it is expected to. */
  | { readonly kind: "return"; readonly by: Step; readonly expected: number; readonly to: Target };

export interface Block {
  readonly pc: number;
  readonly steps: readonly Step[];
  readonly end: End;
}

/** What the text has at an address; null where there is none. */
export type Fetch = (pc: number) => { readonly word: number; readonly bytes: number } | null;

const MOST = { blocks: 256, instructions: 1500, calls: 3 };
const RETURN_ADDRESS = 1;

/** Where a region begins. */
export interface Start {
  readonly pc: number;
  /** Whether streams are enabled. */
  readonly streams: boolean;
  /** Where instructions that are repeated end, for the first of these; else null. */
  readonly body: number | null;
}

/** What is known of an address: besides, the return addresses of the calls that it is within, the innermost last. */
interface Place extends Start {
  readonly within: readonly number[];
}

const keyOf = ({ pc, within, streams, body }: Place): string =>
  `${pc}/${within.join()}/${streams}/${body}`;

/** How a run of instructions ends, with the places that it may lead to. */
interface Run {
  readonly steps: readonly Step[];
  readonly last: Step | null;
  readonly to: readonly Place[];
  readonly kind: "jump" | "branch" | "return" | "repeat" | "leave";
  readonly pc: number;
}

interface Reader {
  readonly fetch: Fetch;
  /** Whether an instruction that is no branch can be translated. */
  readonly can: (instruction: Instruction) => boolean;
}

function stepAt(fetch: Fetch, { pc, streams, body }: Place): Step | null {
  const found = fetch(pc);
  const what = found && knownOf(found.word);
  if (!what) return null;
  const { instruction } = what;
  const of = streamed(what, found.word, streams, body !== null);
  return { ...of, instruction, word: found.word, pc, bytes: found.bytes };
}

/** Words repeat. */
const known = new Map<number, Known | null>();
const MOST_KNOWN = 1 << 16;

function knownOf(word: number): Known | null {
  const found = known.get(word);
  if (found !== undefined) return found;
  if (known.size >= MOST_KNOWN) known.clear();
  const instruction = decode(word);
  const made = instruction && { instruction, ...registersOf(instruction, word) };
  known.set(word, made);
  return made;
}

/** The instructions from a place to the next branch, or to where `stops` says. */
function readRun(reader: Reader, from: Place, stops: (place: Place) => boolean): Run {
  const steps: Step[] = [];
  for (let here = from; ; ) {
    const { pc } = here;
    if (pc === from.body) {
      return { steps, last: null, to: [from, { ...here, body: null }], kind: "repeat", pc };
    }
    if (pc !== from.pc && stops(here)) return { steps, last: null, to: [here], kind: "jump", pc };
    const step = stepAt(reader.fetch, here);
    const control = step && controlFlow(reader, step, here);
    if (control?.to.every((p) => reader.fetch(p.pc))) return { steps, pc, ...control };
    const streams = step && streamsBehind(reader, step, here);
    if (!step || control || streams === null || steps.length >= MOST.instructions) {
      return { steps, last: null, to: [], kind: "leave", pc };
    }
    steps.push(step);
    here = { ...here, pc: pc + step.bytes, streams };
  }
}

/** Whether streams are enabled behind an instruction that is no branch; null where it cannot be translated. */
function streamsBehind(
  { can }: Reader,
  { instruction, word, pops, pushes }: Step,
  { streams, body }: Place,
): boolean | null {
  const isStreamed = pops.length > 0 || pushes !== null;
  if (!can(instruction) || (isStreamed && isMoved(instruction.name))) return null;
  if (body !== null && !isRepeatable(instruction)) return null;
  return enabledBehind(instruction, word, streams);
}

/** Null for what is no branch. */
function controlFlow(
  { fetch }: Reader,
  step: Step,
  place: Place,
): Pick<Run, "last" | "to" | "kind"> | null {
  const { instruction, word, pc, bytes } = step;
  const { within } = place;
  const after = pc + bytes;
  if (instruction.name === "frep.o") return repetition(fetch, step, place);
  if (instruction.name === "jal") {
    const target = pc + take("jump", word);
    const calls = take("rd", word) === RETURN_ADDRESS && within.length < MOST.calls;
    const to = { ...place, pc: target, within: calls ? [...within, after] : within };
    return { last: step, to: [to], kind: "jump" };
  }
  if (instruction.name === "jalr") {
    const back = within.at(-1);
    if (back === undefined || word !== RETURN) return { last: step, to: [], kind: "leave" };
    return {
      last: step,
      to: [{ ...place, pc: back, within: within.slice(0, -1) }],
      kind: "return",
    };
  }
  if (!instruction.fields.includes("branch")) return null;
  const taken = { ...place, pc: pc + take("branch", word) };
  return { last: step, to: [taken, { ...place, pc: after }], kind: "branch" };
}

/** What `frep.o` leads to, where that can be repeated. */
function repetition(fetch: Fetch, step: Step, place: Place): Pick<Run, "last" | "to" | "kind"> {
  const pc = step.pc + step.bytes;
  const body = pc + 4 * (take("body", step.word) + 1);
  if (place.body !== null || !allRepeatable(fetch, pc, body)) {
    return { last: null, to: [], kind: "leave" };
  }
  return { last: step, to: [{ ...place, pc, body }], kind: "jump" };
}

function allRepeatable(fetch: Fetch, from: number, end: number): boolean {
  for (let pc = from; pc < end; pc += 4) {
    const known = knownOf(fetch(pc)?.word ?? 0);
    if (!known || !isRepeatable(known.instruction)) return false;
  }
  return true;
}

/** jalr x0, 0(ra). */
const RETURN = 0x00008067;

/** The blocks of a region; the first is the one at its start. */
export function readRegion(reader: Reader, from: Start): readonly Block[] {
  const start = { ...from, within: [] };
  const leaders = new Map<string, Place>([[keyOf(start), start]]);
  let instructions = 0;
  for (const place of leaders.values()) {
    const run = readRun(reader, place, (p) => leaders.has(keyOf(p)));
    instructions += run.steps.length + 1;
    for (const to of run.to) {
      if (leaders.size < MOST.blocks && instructions < MOST.instructions) {
        leaders.set(keyOf(to), leaders.get(keyOf(to)) ?? to);
      }
    }
  }
  const numbers = new Map([...leaders.keys()].map((key, i) => [key, i]));
  const stops = (p: Place): boolean => numbers.has(keyOf(p));
  return [...leaders.values()].map((place) => {
    const run = readRun(reader, place, stops);
    const targets = run.to.map((p): Target => {
      const block = numbers.get(keyOf(p));
      return block === undefined ? { leave: p.pc } : { block };
    });
    return { pc: place.pc, steps: withLink(run), end: endOf(run, targets) };
  });
}

/** A jump that is no branch is an instruction too: it counts, and may set the return address. */
function withLink(run: Run): readonly Step[] {
  return run.last && run.kind === "jump" ? [...run.steps, run.last] : run.steps;
}

function endOf(run: Run, [first, second]: readonly Target[]): End {
  const leave: Target = { leave: run.pc };
  if (run.kind === "branch" && run.last) {
    return { kind: "branch", by: run.last, taken: first ?? leave, other: second ?? leave };
  }
  if (run.kind === "repeat") {
    return { kind: "repeat", taken: first ?? leave, other: second ?? leave };
  }
  if (run.kind === "return" && run.last) {
    return { kind: "return", by: run.last, expected: run.to[0]?.pc ?? 0, to: first ?? leave };
  }
  return { kind: "jump", to: first ?? leave };
}

/** The blocks that a block may lead to. */
export function successors({ end }: Block): readonly number[] {
  const targets = "to" in end ? [end.to] : [end.taken, end.other];
  return targets.flatMap((t) => ("block" in t ? [t.block] : []));
}

/** The blocks with some ways out of the region instead of to a block. */
export function cut(
  blocks: readonly Block[],
  without: (from: number, to: number) => boolean,
): readonly Block[] {
  return blocks.map((block, i) => {
    const kept = (t: Target): Target => {
      if ("leave" in t || !without(i, t.block)) return t;
      return { leave: blocks[t.block]?.pc ?? 0 };
    };
    const { end } = block;
    if ("to" in end) return { ...block, end: { ...end, to: kept(end.to) } };
    return { ...block, end: { ...end, taken: kept(end.taken), other: kept(end.other) } };
  });
}

function registersOf(instruction: Instruction, word: number) {
  const sets = { read: [] as number[], written: [] as number[] };
  for (const field of instruction.fields) {
    const number = /^(?:rd|fd|rs1|rs2|fs1|fs2|fs3)$/.test(field) ? take(field, word) : null;
    if (number === null) continue;
    const register = field.startsWith("f") ? number + 32 : number;
    if (register !== 0) (field.endsWith("d") ? sets.written : sets.read).push(register);
  }
  return sets;
}
