/**
 * The values of a program without its timing: the same steps with as few iterations as they can have, one after the
 * other. That blocks and their order do not change values is what the machine proves (check-hazards.ts, memory.ts);
 * who wants the values of many chips need not have it proved each time.
 */

import type { Buffer, Domain, Region, Schedule, Step } from "../artifact/schedule.ts";
import { iterations } from "./domain.ts";
import type { Work } from "./execute.ts";
import type { Artifact } from "./load.ts";

/** A program in which every step that can handles all tokens of a batch entry at once. */
export interface WholeProgram {
  readonly artifact: Artifact;
  /** Each step behind those that write what it reads. */
  readonly order: readonly Work["process"][];
  /** Buffers that nobody reads after the step of that place in the order. */
  readonly last: readonly (readonly Buffer[])[];
}

const made = new WeakMap<Artifact, WholeProgram>();

export function wholeProgram(artifact: Artifact): WholeProgram {
  const known = made.get(artifact);
  if (known) return known;
  const schedule = merged(artifact.schedule);
  const order = inOrder(schedule);
  const program = { artifact: { ...artifact, schedule }, order, last: lastReads(schedule, order) };
  made.set(artifact, program);
  return program;
}

/**
 * Steps that look at a part of the tokens (a prefix, a window) keep their blocks. Attention need not: its queries
 * keep their distance to the last key however many there are.
 */
const isMergeable = ({ kernel, reads, writes }: Step): boolean =>
  kernel === "nn.attention" ||
  [...reads, ...writes].every((r) => r === null || r.select.every((s) => typeof s === "string"));

const wide = (domain: Domain): Domain => ({ ...domain, block: domain.tokens });

function merged(schedule: Schedule): Schedule {
  const steps = schedule.steps.map((s) => {
    // Plans are remembered by region (plan.ts): those of this program are others.
    const reads = s.reads.map((r) => r && { ...r });
    return { ...s, reads, domain: isMergeable(s) ? wide(s.domain) : s.domain };
  });
  const domains = new Map(steps.map((s) => [s.id, s.domain]));
  const buffers = schedule.buffers.map((b): Buffer => {
    // The host delivers whole inputs whatever their blocks are.
    const domain = domains.get(b.writer) ?? wide(b.domain);
    return { ...b, domain, capacity: iterations(domain) };
  });
  return { ...schedule, steps, buffers };
}

function inOrder({ inputs, steps, buffers }: Schedule): readonly Work["process"][] {
  const byId = new Map(buffers.map((b) => [b.id, b]));
  const written = (regions: readonly Region[]) =>
    regions.flatMap(({ buffer }) => byId.get(buffer ?? "") ?? []);
  const writers = new Map(steps.flatMap((s) => written(s.writes).map((b) => [b.id, s] as const)));
  const order: Work["process"][] = inputs.flatMap(({ name, buffer }) => {
    const port = byId.get(buffer);
    if (!port) return [];
    return [{ name, step: null, writes: [port], perInference: iterations(port.domain) }];
  });
  const placed = new Set<Step>();
  const place = (start: Step): void => {
    // Depth first without recursion: programs are thousands of steps long.
    const open = [start];
    for (let step = open.at(-1); step; step = open.at(-1)) {
      const before = step.reads
        .flatMap((r) => writers.get(r?.buffer ?? "") ?? [])
        .find((s) => !placed.has(s));
      if (before && !placed.has(step)) {
        open.push(before);
        continue;
      }
      open.pop();
      if (placed.has(step)) continue;
      placed.add(step);
      const { id, domain, writes } = step;
      order.push({ name: id, step, writes: written(writes), perInference: iterations(domain) });
    }
  };
  for (const step of steps) place(step);
  return order;
}

function lastReads({ buffers }: Schedule, order: WholeProgram["order"]): readonly Buffer[][] {
  const last = new Map<string, number>();
  for (const [place, { step, writes }] of order.entries()) {
    for (const { id } of writes) last.set(id, place);
    for (const region of step?.reads ?? []) {
      if (region?.buffer !== undefined) last.set(region.buffer, place);
    }
  }
  const groups: Buffer[][] = order.map(() => []);
  for (const buffer of buffers) groups[last.get(buffer.id) ?? 0]?.push(buffer);
  return groups;
}
