/** The program as a graph: who writes, who reads, and when a reader reads a block for the last time. */

import type { Buffer, Credit, Domain, Region, Schedule, Step, Wait } from "../artifact/schedule.ts";
import { iterations, position, related } from "./domain.ts";
import { isWhole, readPlans } from "./plan.ts";

/** The name under which graph inputs are written and graph outputs are read. */
export const HOST = "host";

/** A read of a buffer by a step, with the wait that guards it. */
export interface Use {
  readonly step: Step;
  readonly region: Region;
  readonly buffer: Buffer;
  readonly wait: Wait | undefined;
}

export interface Links {
  readonly steps: ReadonlyMap<string, Step>;
  readonly buffers: ReadonlyMap<string, Buffer>;
  /** Reads by steps, by buffer id. */
  readonly uses: ReadonlyMap<string, readonly Use[]>;
  /** What each buffer's writer waits for before it overwrites, by buffer id. */
  readonly credits: ReadonlyMap<string, readonly Credit[]>;
  /** Buffers that hold graph outputs. */
  readonly outputs: ReadonlySet<string>;
}

export function linksOf(schedule: Schedule): Links {
  const buffers = new Map(schedule.buffers.map((b) => [b.id, b]));
  const uses = new Map<string, Use[]>(schedule.buffers.map((b) => [b.id, []]));
  for (const use of schedule.steps.flatMap((step) => usesOf(step, buffers))) {
    uses.get(use.buffer.id)?.push(use);
  }
  const credits = new Map<string, Credit[]>(schedule.buffers.map((b) => [b.id, []]));
  for (const { credits: given = [] } of [...schedule.steps, ...schedule.inputs]) {
    for (const credit of given) credits.get(credit.buffer)?.push(credit);
  }
  return {
    credits,
    steps: new Map(schedule.steps.map((s) => [s.id, s])),
    buffers,
    uses,
    outputs: new Set(schedule.outputs.flatMap((o) => (o.buffer === undefined ? [] : [o.buffer]))),
  };
}

/** The buffer reads of a step; waits stand in the order of these. */
function usesOf(step: Step, buffers: ReadonlyMap<string, Buffer>): Use[] {
  const uses: Use[] = [];
  let next = 0;
  for (const region of step.reads) {
    if (region?.buffer === undefined) continue;
    const buffer = buffers.get(region.buffer);
    const wait = step.waits[next++];
    if (buffer) uses.push({ step, region, buffer, wait });
  }
  return uses;
}

/** Per iteration of the reader: the newest block (writer's iteration within the inference) it needs; -1: none. */
export function newestNeeded({ step, region, buffer }: Use): number[] {
  if (isWhole(buffer)) return new Array(iterations(step.domain)).fill(0);
  return readPlans(buffer, step.domain, region).map((plan) => plan.blocks.at(-1) ?? -1);
}

/** Per block: the last iteration (within the inference) of the reader that needs it; -1: none does. */
export function lastReads(uses: readonly Use[], buffer: Buffer): number[] {
  const last = new Array<number>(iterations(buffer.domain)).fill(-1);
  for (const { step, region } of uses) {
    if (isWhole(buffer)) last[0] = iterations(step.domain) - 1;
    else noteReads(last, readPlans(buffer, step.domain, region));
  }
  return last;
}

function noteReads(last: number[], plans: ReturnType<typeof readPlans>): void {
  for (const [i, plan] of plans.entries()) {
    for (const block of plan.blocks) last[block] = Math.max(last[block] ?? -1, i);
  }
}

/**
 * What a credit promises before block g is written, g counted over inferences: the number, also counted
 * over inferences, of the reader's iteration that has finished. -1: nothing yet.
 */
export function promised(credit: Credit, writer: Domain, reader: Domain, g: number): number {
  const old = g - credit.distance;
  if (old < 0) return -1;
  const n = iterations(writer);
  const { b, t } = position(writer, old % n);
  return Math.floor(old / n) * iterations(reader) + related(credit.release, reader, b, t);
}

/** Ids of all who read a buffer, the host included. */
export function readersOf(id: string, { uses, outputs }: Links): ReadonlySet<string> {
  const readers = new Set((uses.get(id) ?? []).map((use) => use.step.id));
  if (outputs.has(id)) readers.add(HOST);
  return readers;
}
