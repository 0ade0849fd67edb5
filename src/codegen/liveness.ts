/** From where to where the value of each register is wanted. */

import { type Draft, isFinal, readsOf, repeatedBy, targetOf, writesOf } from "./draft.ts";
import type { Register } from "./register.ts";

/** Positions of drafts, both inclusive; between them the register is taken. */
export interface Interval {
  readonly register: Register;
  from: number;
  to: number;
  /** Reads and writes, each counted ten times for every loop around it. */
  weight: number;
}

/** A set of registers by their numbers, 32 to a word. */
type Bits = Int32Array;

interface Block {
  readonly from: number;
  /** Position behind the last. */
  readonly end: number;
  readonly next: readonly number[];
  /** Registers that it reads before it writes them, and those that it writes. */
  readonly reads: Bits;
  readonly writes: Bits;
  /** What is live at its beginning. */
  readonly live: Bits;
}

/** Numbers of the registers that each draft reads and writes; those with a place of their own are left out. */
interface Uses {
  readonly registers: readonly Register[];
  readonly reads: readonly (readonly number[])[];
  readonly writes: readonly (readonly number[])[];
}

const NOTHING: readonly number[] = [];

function usesOf(drafts: readonly Draft[]): Uses {
  const numbers = new Map<Register, number>();
  const numbered = (registers: readonly Register[]): readonly number[] => {
    const found: number[] = [];
    for (const r of registers) {
      if (r.fixed !== null) continue;
      const number = numbers.get(r) ?? numbers.size;
      numbers.set(r, number);
      found.push(number);
    }
    return found;
  };
  const of = (use: typeof readsOf): readonly (readonly number[])[] =>
    drafts.map((d) => (d.kind === "instruction" ? numbered(use(d)) : NOTHING));
  const [reads, writes] = [of(readsOf), of(writesOf)];
  return { registers: [...numbers.keys()], reads, writes };
}

export function intervalsOf(drafts: readonly Draft[]): readonly Interval[] {
  const uses = usesOf(drafts);
  const blocks = blocksOf(drafts, uses);
  settle(blocks);
  const intervals: Interval[] = uses.registers.map((register) => ({
    register,
    from: drafts.length,
    to: -1,
    weight: 0,
  }));
  const touch = (number: number, at: number, weight: number): void => {
    const found = intervals[number];
    if (!found) return;
    if (at < found.from) found.from = at;
    if (at > found.to) found.to = at;
    found.weight += weight;
  };
  for (const { live, from, end, next } of blocks) {
    eachOf(live, (r) => touch(r, from, 0));
    for (const n of next) eachOf(liveAt(blocks, n), (r) => touch(r, end - 1, 0));
  }
  for (const [at, depth] of depths(drafts).entries()) {
    const weight = 10 ** Math.min(6, depth);
    for (const r of uses.reads[at] ?? NOTHING) touch(r, at, weight);
    for (const r of uses.writes[at] ?? NOTHING) touch(r, at, weight);
  }
  return intervals.sort((a, b) => a.from - b.from || a.register.id - b.register.id);
}

const EMPTY: Bits = new Int32Array(0);
const liveAt = (blocks: readonly Block[], n: number): Bits => blocks[n]?.live ?? EMPTY;

function eachOf(bits: Bits, body: (number: number) => void): void {
  for (let w = 0; w < bits.length; w++) {
    let left = bits[w] ?? 0;
    while (left !== 0) {
      const bit = 31 - Math.clz32(left);
      left ^= 1 << bit;
      body(w * 32 + bit);
    }
  }
}

function blocksOf(drafts: readonly Draft[], uses: Uses): readonly Block[] {
  const starts = new Set([0]);
  const labels = new Map<string, number>();
  for (const [at, draft] of drafts.entries()) {
    if (draft.kind === "label") {
      starts.add(at);
      labels.set(draft.name, at);
    }
    if (draft.kind === "instruction" && (targetOf(draft) !== null || isFinal(draft))) {
      starts.add(at + 1);
    }
  }
  const sorted = [...starts].filter((s) => s < drafts.length).sort((a, b) => a - b);
  const numbers = new Map(sorted.map((s, i) => [s, i]));
  const words = Math.ceil(uses.registers.length / 32);
  return sorted.map((from, i) => {
    const end = sorted[i + 1] ?? drafts.length;
    const last = drafts[end - 1];
    const next: number[] = [];
    if (last?.kind === "instruction") {
      const target = targetOf(last);
      if (target !== null) next.push(numbers.get(labels.get(target) ?? -1) ?? lost(target));
      if (!isFinal(last) && end < drafts.length) next.push(i + 1);
    } else if (end < drafts.length) next.push(i + 1);
    return { from, end, next, ...effects(uses, from, end, words), live: new Int32Array(words) };
  });
}

function lost(label: string): never {
  throw new Error(`there is no label ${label}`);
}

const has = (bits: Bits, number: number): boolean =>
  ((bits[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0;

function put(bits: Bits, number: number): void {
  bits[number >>> 5] = (bits[number >>> 5] ?? 0) | (1 << (number & 31));
}

function effects(
  uses: Uses,
  from: number,
  end: number,
  words: number,
): Pick<Block, "reads" | "writes"> {
  const reads: Bits = new Int32Array(words);
  const writes: Bits = new Int32Array(words);
  for (let at = from; at < end; at++) {
    for (const r of uses.reads[at] ?? NOTHING) if (!has(writes, r)) put(reads, r);
    for (const r of uses.writes[at] ?? NOTHING) put(writes, r);
  }
  return { reads, writes };
}

/** Finds what is live at the beginning of each block. */
function settle(blocks: readonly Block[]): void {
  const backwards = blocks.toReversed();
  let changed = true;
  while (changed) {
    changed = false;
    for (const block of backwards) changed = grows(block, blocks) || changed;
  }
}

/** Adds what is live behind a block and what it reads; whether there was more than before. */
function grows({ reads, writes, live, next }: Block, blocks: readonly Block[]): boolean {
  let more = false;
  for (let w = 0; w < live.length; w++) {
    let behind = 0;
    for (const n of next) behind |= liveAt(blocks, n)[w] ?? 0;
    const now = (reads[w] ?? 0) | (behind & ~(writes[w] ?? 0));
    more ||= now !== live[w];
    live[w] = now;
  }
  return more;
}

/** How many loops are around each position: a jump back to a label is one. */
function depths(drafts: readonly Draft[]): readonly number[] {
  const labels = new Map(
    drafts.flatMap((d, at) => (d.kind === "label" ? [[d.name, at] as const] : [])),
  );
  const change = new Array<number>(drafts.length + 1).fill(0);
  for (const [at, draft] of drafts.entries()) {
    if (draft.kind !== "instruction") continue;
    const count = repeatedBy(draft);
    if (count > 0) {
      change[at + 1] = (change[at + 1] ?? 0) + 1;
      change[at + 1 + count] = (change[at + 1 + count] ?? 0) - 1;
    }
    const to = labels.get(targetOf(draft) ?? "");
    if (to === undefined || to > at) continue;
    change[to] = (change[to] ?? 0) + 1;
    change[at + 1] = (change[at + 1] ?? 0) - 1;
  }
  let depth = 0;
  return change.slice(0, -1).map((c) => {
    depth += c;
    return depth;
  });
}
