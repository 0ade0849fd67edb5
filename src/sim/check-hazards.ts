/**
 * Proves, for every iteration, that the waits and credits exclude wrong orders. Nothing here depends on how
 * long things take: a schedule that is right by luck of timing is refused.
 * - Read after write: the newest block that an iteration reads is no newer than what its wait names.
 * - Write after read: before a block is overwritten, the credits promise that each of its readers has
 *   read it for the last time.
 * A stream repeats the inference, so the blocks of one inference stand for all.
 */

import type { Buffer, Credit, Domain } from "../artifact/schedule.ts";
import type { Diagnostic } from "../diag/diagnostic.ts";
import { iterations, position, related } from "./domain.ts";
import { fault, placeOf, refuseAll, showBuffer, showStep } from "./faults.ts";
import { HOST, type Links, lastReads, newestNeeded, promised, type Use } from "./links.ts";
import type { Artifact } from "./load.ts";
import { blockBoxes, isWhole, readPlans } from "./plan.ts";

export function checkHazards(artifact: Artifact, links: Links): void {
  const faults: Diagnostic[] = [];
  for (const buffer of links.buffers.values()) {
    const uses = links.uses.get(buffer.id) ?? [];
    for (const use of uses) {
      const text = incomplete(use) ?? earlyRead(use) ?? narrow(use);
      if (text) faults.push(complain(artifact, links, "A406", use, text));
    }
    for (const { use, text } of earlyWrites(buffer, uses, links)) {
      faults.push(complain(artifact, links, "A407", use, text));
    }
  }
  refuseAll(faults);
}

/** A fault between the writer and a reader of a buffer, with the ONNX nodes of both. */
function complain(
  artifact: Artifact,
  { steps }: Links,
  code: "A406" | "A407",
  { step, buffer }: Pick<Use, "buffer"> & { readonly step: Use["step"] | null },
  text: string,
): Diagnostic {
  const writer = steps.get(buffer.writer);
  const reader = step ? showStep(step) : "the host";
  const between = `${showBuffer(buffer)} from ${writer ? showStep(writer) : "the host"} to ${reader}`;
  const nodes = [...new Set([...(step?.nodes ?? []), ...(writer?.nodes ?? [])])];
  return fault(code, `${between}: ${text}`, placeOf(artifact, nodes, "schedule.json"));
}

/** The reader's iteration as a message shows it. */
function iteration(domain: Domain, i: number): string {
  const { b, t } = position(domain, i);
  return domain.batch > 1 ? `iteration ${i} (batch ${b}, token block ${t})` : `iteration ${i}`;
}

function incomplete({ step, region, buffer }: Use): string | null {
  if (isWhole(buffer)) return null;
  const plans = readPlans(buffer, step.domain, region);
  const i = plans.findIndex((plan) => !plan.complete);
  return i < 0 ? null : `${iteration(step.domain, i)} reads elements that are never written`;
}

function earlyRead(use: Use): string | null {
  const { step, buffer, wait } = use;
  if (!wait) return "the read has no wait";
  for (const [i, newest] of newestNeeded(use).entries()) {
    const { b, t } = position(step.domain, i);
    const waited = related(wait.newest, buffer.domain, b, t);
    if (newest > waited) {
      return `${iteration(step.domain, i)} reads block ${newest}, but waits only for block ${waited}`;
    }
  }
  return null;
}

/** A ring must hold all blocks that one iteration reads, or reader and writer wait for each other. */
function narrow({ step, region, buffer }: Use): string | null {
  if (isWhole(buffer)) return null;
  for (const [i, { blocks }] of readPlans(buffer, step.domain, region).entries()) {
    const span = (blocks.at(-1) ?? -1) - (blocks[0] ?? 0) + 1;
    if (span > buffer.capacity) {
      return `${iteration(step.domain, i)} reads ${span} blocks, and the ring holds ${buffer.capacity}`;
    }
  }
  return null;
}

interface EarlyWrite {
  readonly use: { readonly step: Use["step"] | null; readonly buffer: Buffer };
  readonly text: string;
}

function* earlyWrites(buffer: Buffer, uses: readonly Use[], links: Links): Iterable<EarlyWrite> {
  const credits = grouped(links.credits.get(buffer.id) ?? [], (c) => c.reader);
  for (const [step, own] of grouped(uses, (use) => use.step)) {
    const last = lastReads(own, buffer);
    const text = overwritten(buffer, step.domain, last, credits.get(step.id) ?? []);
    if (text) yield { use: { step, buffer }, text };
  }
  if (!links.outputs.has(buffer.id)) return;
  const last = blockBoxes(buffer).map((_, block) => block);
  const text = overwritten(buffer, buffer.domain, last, credits.get(HOST) ?? []);
  if (text) yield { use: { step: null, buffer }, text };
}

function grouped<K, T>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** `last` gives, by block, the reader's last iteration that needs it. */
function overwritten(
  buffer: Buffer,
  reader: Domain,
  last: readonly number[],
  credits: readonly Credit[],
): string | null {
  const { domain, capacity } = buffer;
  for (const [block, needed] of last.entries()) {
    // Writing this block number replaces `block` of the first inference.
    const next = block + capacity;
    const free = Math.max(-1, ...credits.map((c) => promised(c, domain, reader, next)));
    if (needed > free) {
      const done = free < 0 ? "nothing" : `iteration ${free}`;
      return (
        `writing block ${next} overwrites block ${block}, which ${iteration(reader, needed)} still ` +
        `reads; the credits promise ${done} of ${iterations(reader)}`
      );
    }
  }
  return null;
}
