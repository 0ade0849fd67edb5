/**
 * Chooses the machine's registers: a linear scan over intervals (Poletto and Sarkar, ACM TOPLAS 21(5), 1999). What
 * does not fit lies on the stack and is loaded and stored around each use.
 */

import type { Line } from "../riscv/listing.ts";
import { instruction, label, remark } from "../riscv/listing.ts";
import {
  type Draft,
  type DraftInstruction,
  type Operand,
  readsOf,
  repeatedBy,
  writesOf,
} from "./draft.ts";
import { type Interval, intervalsOf } from "./liveness.ts";
import { ALLOCATABLE, type File, type Register, SP } from "./register.ts";
import { STREAMS } from "./streams.ts";

type Choice = ReadonlyMap<Register, number>;

const WORD = 4;
/** Registers that are made for a reload have ids from here on; they are never spilled themselves. */
const RELOADED = 1e6;
/** The stack pointer keeps the alignment of the calling convention. */
const ALIGN = 16;

/** The same instructions with the machine's registers; a function that ends with `ret`, with its frame. */
export function allocate(drafts: readonly Draft[]): readonly Line[] {
  const slots = new Map<Register, number>();
  let body = drafts;
  let next = RELOADED;
  while (true) {
    const { choice, spilled } = body === drafts ? firstScan(drafts) : scan(body);
    if (spilled.length === 0) return framed(body, choice, slots.size * WORD);
    for (const r of spilled) slots.set(r, slots.size * WORD);
    const made = reloaded(body, slots, new Set(spilled), next);
    body = made.drafts;
    next = made.next;
  }
}

interface Scanned {
  readonly choice: Choice;
  readonly spilled: readonly Register[];
}

/** Choices for functions that were seen before, by the shape of their instructions. */
const chosen = new Map<string, readonly number[]>();
const MOST_CHOSEN = 4096;
/** Longer functions are kernels, which are made once anyway. */
const SHORT = 1024;

function firstScan(drafts: readonly Draft[]): Scanned {
  if (drafts.length > SHORT) return scan(drafts);
  const { shape, registers } = shapeOf(drafts);
  const known = chosen.get(shape);
  if (known) return { choice: new Map(registers.map((r, i) => [r, known[i] ?? 0])), spilled: [] };
  const found = scan(drafts);
  if (found.spilled.length > 0) return found;
  if (chosen.size >= MOST_CHOSEN) chosen.clear();
  const numbers = registers.map((r) => found.choice.get(r) ?? 0);
  chosen.set(shape, numbers);
  return found;
}

/** What registers depend on: all but numbers and the names of labels. Programs have many functions that differ in these alone. */
function shapeOf(drafts: readonly Draft[]): {
  readonly shape: string;
  readonly registers: readonly Register[];
} {
  const registers = new Map<Register, string>();
  const labels = new Map<string, string>();
  const numbered = <K>(known: Map<K, string>, key: K, mark: string): string => {
    const found = known.get(key) ?? `${mark}${known.size}`;
    known.set(key, found);
    return found;
  };
  const shown = (o: Operand, name: string): string => {
    // A number may say that a vector is written in part.
    if (typeof o === "number") return name.startsWith("v") ? `${o}` : "#";
    if (typeof o === "string") return numbered(labels, o, ":");
    return o.fixed === null
      ? numbered(registers, o, `${o.file}${o.group}/`)
      : `${o.file}=${o.fixed}`;
  };
  let shape = "";
  for (const d of drafts) {
    if (d.kind === "label") shape += `${numbered(labels, d.name, ":")};`;
    if (d.kind !== "instruction") continue;
    shape += d.name;
    for (const o of d.operands) shape += ` ${shown(o, d.name)}`;
    shape += ";";
  }
  return { shape, registers: [...registers.keys()] };
}

function scan(drafts: readonly Draft[]): Scanned {
  const intervals = intervalsOf(drafts);
  // With streams, the registers that stand for them are not the allocator's.
  const streams = drafts.some((d) => d.kind === "instruction" && d.name === "scfgwi");
  const choice = new Map<Register, number>();
  const spilled: Register[] = [];
  const taken = streams ? 2 ** STREAMS.length - 1 : 0;
  let active: Interval[] = [];
  for (const interval of intervals) {
    active = active.filter((a) => lasts(a, interval));
    let found = place(interval, active, choice, taken);
    while (found === null) {
      const victim = leastWanted([...active, interval], interval.register.file);
      spilled.push(victim.register);
      if (victim === interval) break;
      choice.delete(victim.register);
      active = active.filter((a) => a !== victim);
      found = place(interval, active, choice, taken);
    }
    if (found === null) continue;
    choice.set(interval.register, found);
    active.push(interval);
  }
  return { choice, spilled };
}

/** Scalars may take the register of an operand that is read for the last time; vector groups must not overlap. */
const lasts = (a: Interval, b: Interval): boolean =>
  a.register.file === "v" ? a.to >= b.from : a.to > b.from || a.from === b.from;

/** Bits of the machine's registers that a group takes from its first on. */
const bitsOf = ({ group }: Register, first: number): number => (2 ** group - 1) << first;

/** `floats` are the registers of floats that are taken before, as bits. */
function place(
  { register }: Interval,
  active: readonly Interval[],
  choice: Choice,
  floats: number,
): number | null {
  const { file, group } = register;
  let taken = file === "f" ? floats : 0;
  for (const { register: r } of active) {
    if (r.file === file) taken |= bitsOf(r, choice.get(r) ?? 0);
  }
  for (const n of ALLOCATABLE[file]) {
    if (n % group === 0 && n + group <= 32 && (taken & bitsOf(register, n)) === 0) return n;
  }
  return null;
}

/** Of registers of a file, the one that is used least for how long it is taken. */
function leastWanted(intervals: readonly Interval[], file: File): Interval {
  let [least, smallest]: [Interval | null, number] = [null, Infinity];
  for (const i of intervals) {
    const worth = i.weight / (1 + i.to - i.from);
    if (i.register.file !== file || i.register.id >= RELOADED || worth >= smallest) continue;
    [least, smallest] = [i, worth];
  }
  if (!least || file === "v") {
    throw new Error(`a kernel keeps too many ${file} registers at once`);
  }
  return least;
}

/** Every use of a spilled register becomes a use of a new one that is loaded before and stored behind. */
function reloaded(
  drafts: readonly Draft[],
  slots: ReadonlyMap<Register, number>,
  spilled: ReadonlySet<Register>,
  first: number,
): { drafts: readonly Draft[]; next: number } {
  let next = first;
  const out: Draft[] = [];
  for (const draft of drafts) {
    if (draft.kind !== "instruction") {
      out.push(draft);
      continue;
    }
    if (!draft.operands.some((o) => typeof o === "object" && spilled.has(o))) {
      out.push(draft);
      continue;
    }
    const reads = new Set(readsOf(draft).filter((r) => spilled.has(r)));
    const writes = new Set(writesOf(draft).filter((r) => spilled.has(r)));
    const stands = new Map<Register, Register>();
    for (const r of new Set([...reads, ...writes])) stands.set(r, { ...r, id: next++ });
    for (const r of reads) out.push(access("load", stands.get(r) ?? r, slots.get(r) ?? 0));
    out.push(replaced(draft, stands));
    for (const r of writes) out.push(access("store", stands.get(r) ?? r, slots.get(r) ?? 0));
  }
  return { drafts: out, next };
}

function access(what: "load" | "store", r: Register, slot: number): Draft {
  const names = r.file === "f" ? { load: "flw", store: "fsw" } : { load: "lw", store: "sw" };
  return { kind: "instruction", name: names[what], operands: [r, slot, SP] };
}

const replaced = (d: DraftInstruction, by: ReadonlyMap<Register, Register>): DraftInstruction => ({
  ...d,
  operands: d.operands.map((o) => (typeof o === "object" ? (by.get(o) ?? o) : o)),
});

function framed(drafts: readonly Draft[], choice: Choice, bytes: number): readonly Line[] {
  checkRepeated(drafts);
  const frame = Math.ceil(bytes / ALIGN) * ALIGN;
  const lines = drafts.map((d): Line => {
    if (d.kind === "label") return label(d.name);
    if (d.kind === "remark") return remark(d.text);
    const { kind, name, operands } = d;
    return { kind, name, operands: operands.map((o) => numberOf(o, choice)) };
  });
  const move = (by: number): Line[] => (frame === 0 ? [] : [instruction("addi", 2, 2, by)]);
  return [...move(-frame), ...lines, ...move(frame), instruction("jalr", 0, 0, 1)];
}

/** What is repeated has to be as it was written: nothing of it may have been spilled. */
function checkRepeated(drafts: readonly Draft[]): void {
  for (const [at, d] of drafts.entries()) {
    const count = repeatedBy(d);
    for (const next of drafts.slice(at + 1, at + 1 + count)) {
      if (next.kind === "instruction" && /^f[^l]/.test(next.name) && next.name !== "fsw") continue;
      throw new Error("a kernel keeps too many f registers at once while it repeats instructions");
    }
  }
}

function numberOf(o: Operand, choice: Choice): number | string {
  if (typeof o !== "object") return o;
  const number = o.fixed ?? choice.get(o);
  // A value that nobody reads still needs a register to be written to.
  if (number === undefined) throw new Error(`register ${o.file}${o.id} was never allocated`);
  return number;
}
