/**
 * Runs a schedule element by element, in any order that its waits and credits permit, and tells of the first
 * element that is read before it is written or after it is overwritten. An iteration starts, holds what
 * it reads and spoils what it writes until it finishes. Written from schedule.ts alone.
 */

import type { Buffer, Domain, Relation, Schedule } from "../../src/artifact/schedule.ts";
import { elements } from "../poly/regions.ts";

const iterations = (d: Domain): number => d.batch * Math.ceil(d.tokens / d.block);

function related(r: Relation, to: Domain, b: number, t: number): number {
  const n = Math.ceil(to.tokens / to.block);
  const batch = r.batch === "same" ? b : r.batch === "first" ? 0 : to.batch - 1;
  if (r.token === "first") return batch * n;
  if (r.token === "last") return batch * n + n - 1;
  const raw = Math.floor((r.token.mul * t + r.token.add) / r.token.div);
  return batch * n + Math.min(n - 1, Math.max(0, raw));
}

interface Actor {
  readonly id: string;
  readonly domain: Domain;
  readonly reads: readonly { buffer: string; select: Buffer["select"] }[];
  readonly writes: readonly Buffer[];
  readonly waits: Schedule["steps"][number]["waits"];
  readonly credits: Schedule["steps"][number]["credits"];
  started: number;
  done: number;
}

/** A choice among the actors that may move next: "step" once to start and once to finish. */
export type Pick = (movable: readonly string[]) => string;

/** A slot holds block number g, or nothing while it is being written. */
type Slots = (number | null)[];

class Machine {
  readonly actors = new Map<string, Actor>();
  private readonly buffers: ReadonlyMap<string, Buffer>;
  private readonly slots = new Map<string, Slots>();
  /** By buffer, the block within an inference that holds each element. */
  private readonly holders = new Map<string, ReadonlyMap<string, number>>();

  constructor(s: Schedule) {
    this.buffers = new Map(s.buffers.map((b) => [b.id, b]));
    for (const b of s.buffers) {
      this.slots.set(b.id, new Array(b.capacity).fill(null));
      const holder = new Map<string, number>();
      for (let i = 0; i < iterations(b.domain); i++) {
        for (const e of elements(b.domain, b.select, b.shape, i)) {
          if (holder.has(e)) throw new Error(`${b.id}[${e}] is written twice`);
          holder.set(e, i);
        }
      }
      this.holders.set(b.id, holder);
    }
    for (const { buffer, credits = [] } of s.inputs) {
      const b = this.buffer(buffer);
      const id = `host:${buffer}`;
      const rest = { reads: [], writes: [b], waits: [], credits, started: 0, done: 0 };
      this.actors.set(id, { id, domain: b.domain, ...rest });
    }
    for (const step of s.steps) {
      const reads = step.reads.flatMap((r) =>
        r?.buffer === undefined ? [] : [{ buffer: r.buffer, select: r.select }],
      );
      const writes = step.writes.map((w) => this.buffer(w.buffer ?? ""));
      this.actors.set(step.id, { ...step, reads, writes, started: 0, done: 0 });
    }
  }

  buffer(id: string): Buffer {
    const b = this.buffers.get(id);
    if (!b) throw new Error(`no buffer ${id}`);
    return b;
  }

  actor(id: string): Actor {
    const a = this.actors.get(id);
    if (!a) throw new Error(`no step ${id}`);
    return a;
  }

  canMove(a: Actor, inferences: number): boolean {
    if (a.started > a.done) return true;
    const each = iterations(a.domain);
    if (a.started >= inferences * each) return false;
    const inference = Math.floor(a.started / each);
    const { b, t } = at(a.domain, a.started % each);
    const ready = a.waits.every((w) => {
      const writer = this.actor(w.step === "host" ? `host:${w.buffer}` : w.step);
      const wanted = inference * iterations(writer.domain) + related(w.newest, writer.domain, b, t);
      return writer.done > wanted;
    });
    return ready && a.credits.every((c) => this.granted(c, a.started));
  }

  private granted(c: Actor["credits"][number], g: number): boolean {
    const old = g - c.distance;
    if (old < 0 || c.reader === "host") return true;
    const { domain } = this.buffer(c.buffer);
    const each = iterations(domain);
    const { b, t } = at(domain, old % each);
    const reader = this.actor(c.reader);
    const last =
      Math.floor(old / each) * iterations(reader.domain) + related(c.release, reader.domain, b, t);
    return reader.done > last;
  }

  /** Starts or finishes the actor's iteration; says what is wrong, if anything is. */
  move(a: Actor): string | null {
    const finishing = a.started > a.done;
    const i = finishing ? a.done : a.started;
    const fault = this.readFault(a, i);
    for (const b of a.writes) {
      const slots = this.slots.get(b.id) ?? [];
      slots[i % b.capacity] = finishing ? i : null;
    }
    if (finishing) a.done += 1;
    else a.started += 1;
    return fault;
  }

  private readFault(a: Actor, i: number): string | null {
    const each = iterations(a.domain);
    const inference = Math.floor(i / each);
    for (const { buffer, select } of a.reads) {
      const b = this.buffer(buffer);
      for (const e of elements(a.domain, select, b.shape, i % each)) {
        const block = this.holders.get(buffer)?.get(e);
        if (block === undefined) return `${a.id} reads ${buffer}[${e}], which nobody writes`;
        const g = inference * iterations(b.domain) + block;
        const found = this.slots.get(buffer)?.[g % b.capacity];
        if (found !== g) {
          return `${a.id} iteration ${i} reads block ${g} of ${buffer}, but finds ${found}`;
        }
      }
    }
    return null;
  }
}

function at(d: Domain, i: number) {
  const n = Math.ceil(d.tokens / d.block);
  return { b: Math.floor(i / n), t: i % n };
}

/** null when every inference ran to its end without a fault. */
export function execute(s: Schedule, inferences: number, pick: Pick): string | null {
  const machine = new Machine(s);
  for (;;) {
    const movable = [...machine.actors.values()].filter((a) => machine.canMove(a, inferences));
    if (movable.length === 0) break;
    const fault = machine.move(machine.actor(pick(movable.map((a) => a.id))));
    if (fault) return fault;
  }
  const stuck = [...machine.actors.values()].filter(
    (a) => a.done < inferences * iterations(a.domain),
  );
  return stuck.length === 0 ? null : `deadlock: ${stuck.map((a) => `${a.id}@${a.done}`).join(" ")}`;
}

/** The steps named move only when nothing else can. */
export const lastOf =
  (...late: string[]): Pick =>
  (movable) =>
    movable.find((id) => !late.includes(id)) ?? movable[0] ?? "";

/** The steps named move whenever they can. */
export const firstOf =
  (...early: string[]): Pick =>
  (movable) =>
    movable.find((id) => early.includes(id)) ?? movable[0] ?? "";

/** Chooses by a list of numbers, over and over. */
export function byNumbers(numbers: readonly number[]): Pick {
  let next = 0;
  return (movable) => movable[(numbers[next++ % numbers.length] ?? 0) % movable.length] ?? "";
}
