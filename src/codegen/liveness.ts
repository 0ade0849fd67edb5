/** From where to where the value of each register is wanted. */

import { type Draft, isFinal, readsOf, targetOf, writesOf } from "./draft.ts";
import type { Register } from "./register.ts";

/** Positions of drafts, both inclusive; between them the register is taken. */
export interface Interval {
  readonly register: Register;
  from: number;
  to: number;
  /** Reads and writes, each counted ten times for every loop around it. */
  weight: number;
}

interface Block {
  readonly from: number;
  /** Position behind the last. */
  readonly end: number;
  readonly next: readonly number[];
  readonly reads: Set<Register>;
  readonly writes: Set<Register>;
  live: Set<Register>;
}

export function intervalsOf(drafts: readonly Draft[]): readonly Interval[] {
  const blocks = blocksOf(drafts);
  settle(blocks);
  const intervals = new Map<Register, Interval>();
  const depth = depths(drafts);
  const touch = (register: Register, at: number, weight: number): void => {
    if (register.fixed !== null) return;
    const found = intervals.get(register);
    if (!found) intervals.set(register, { register, from: at, to: at, weight });
    else {
      found.from = Math.min(found.from, at);
      found.to = Math.max(found.to, at);
      found.weight += weight;
    }
  };
  for (const block of blocks) {
    for (const r of block.live) touch(r, block.from, 0);
    for (const next of block.next) {
      for (const r of blocks[next]?.live ?? []) touch(r, block.end - 1, 0);
    }
  }
  for (const [at, draft] of drafts.entries()) {
    if (draft.kind !== "instruction") continue;
    const weight = 10 ** Math.min(6, depth[at] ?? 0);
    for (const r of [...readsOf(draft), ...writesOf(draft)]) touch(r, at, weight);
  }
  return [...intervals.values()].sort((a, b) => a.from - b.from || a.register.id - b.register.id);
}

function blocksOf(drafts: readonly Draft[]): readonly Block[] {
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
  return sorted.map((from, i) => {
    const end = sorted[i + 1] ?? drafts.length;
    const last = drafts[end - 1];
    const next: number[] = [];
    if (last?.kind === "instruction") {
      const target = targetOf(last);
      if (target !== null) next.push(numbers.get(labels.get(target) ?? -1) ?? lost(target));
      if (!isFinal(last) && end < drafts.length) next.push(i + 1);
    } else if (end < drafts.length) next.push(i + 1);
    return { from, end, next, ...effects(drafts.slice(from, end)), live: new Set() };
  });
}

function lost(label: string): never {
  throw new Error(`there is no label ${label}`);
}

/** Registers that a block reads before it writes them, and those that it writes. */
function effects(drafts: readonly Draft[]): Pick<Block, "reads" | "writes"> {
  const reads = new Set<Register>();
  const writes = new Set<Register>();
  for (const draft of drafts) {
    if (draft.kind !== "instruction") continue;
    for (const r of readsOf(draft)) if (!writes.has(r)) reads.add(r);
    for (const r of writesOf(draft)) writes.add(r);
  }
  return { reads, writes };
}

/** Finds what is live at the beginning of each block. */
function settle(blocks: readonly Block[]): void {
  let changed = true;
  while (changed) {
    changed = false;
    for (const block of blocks.toReversed()) {
      const live = liveAt(block, blocks);
      if (live.size === block.live.size) continue;
      block.live = live;
      changed = true;
    }
  }
}

function liveAt({ reads, writes, next }: Block, blocks: readonly Block[]): Set<Register> {
  const behind = next.flatMap((n) => [...(blocks[n]?.live ?? [])]);
  return new Set([...reads, ...behind.filter((r) => !writes.has(r))]);
}

/** How many loops are around each position: a jump back to a label is one. */
function depths(drafts: readonly Draft[]): readonly number[] {
  const labels = new Map(
    drafts.flatMap((d, at) => (d.kind === "label" ? [[d.name, at] as const] : [])),
  );
  const change = new Array<number>(drafts.length + 1).fill(0);
  for (const [at, draft] of drafts.entries()) {
    if (draft.kind !== "instruction") continue;
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
