/**
 * Proves that rings of given capacities cannot deadlock, and finds capacities that do not.
 *
 * Steps, waits and credits form a bounded dataflow network: what a step does depends on counts alone, so
 * the network is determinate and one order of execution shows what all of them do (Kahn 1974). It is
 * therefore enough to run it once, without time. Where it stops, some circle of steps waits for itself;
 * at least one of the rings on that circle is too small, and the one that is cheapest to enlarge grows
 * (Parks, Bounded Scheduling of Process Networks, 1995).
 */

import type { Domain, Relation } from "../../src/artifact/schedule.ts";
import type { Value } from "../../src/ir/op.ts";
import { apply } from "../../src/poly/dependence.ts";
import { iterationAt, iterationsOf } from "../../src/poly/domain.ts";
import type { Network, Node, Ring } from "./network.ts";

/** Two, so that the second meets the rings as the first leaves them. */
const INFERENCES = 2;

export type Capacities = ReadonlyMap<Value, number>;

/** The process that runs a node, or the host that feeds a graph input. */
interface Process {
  readonly node: Node | null;
  readonly perInference: number;
  readonly needs: readonly Need[];
  readonly writes: readonly Written[];
  /** Those that wait for it to go on. */
  readonly waiting: Process[];
  done: number;
}

/** Iteration i waits until `writer` has finished iteration newest[i] of the same inference. */
interface Need {
  readonly writer: Process;
  readonly newest: Int32Array;
}

/** It frees a block once it has finished iteration release[block]. */
interface Reader {
  readonly process: Process;
  readonly release: Int32Array;
}

/** A ring that a process writes. */
interface Written {
  readonly ring: Ring;
  readonly readers: readonly Reader[];
  capacity: number;
  /** How many of the readers are known to have read block number `block`: they never unread it. */
  readonly freed: { block: number; readers: number };
}

/** Why a process cannot go on: another one, and the ring whose size is to blame, if one is. */
interface Obstacle {
  readonly process: Process;
  readonly written: Written | null;
}

/** Capacities at least as large as given with which the network runs to its end. */
export function growUntilLive(network: Network, initial: Capacities): Map<Value, number> {
  const processes = start(network, initial);
  for (;;) {
    settle(processes);
    const stuck = processes.find((p) => !finished(p));
    if (!stuck) return capacitiesOf(processes);
    growOn(circleFrom(stuck));
  }
}

/** Whether two inferences run to their end. */
export function isLive(network: Network, capacities: Capacities): boolean {
  const processes = start(network, capacities);
  settle(processes);
  return processes.every(finished);
}

const capacitiesOf = (processes: readonly Process[]): Map<Value, number> =>
  new Map(processes.flatMap((p) => p.writes.map((w) => [w.ring.value, w.capacity])));

const finished = (p: Process): boolean => p.done >= INFERENCES * p.perInference;

function start(network: Network, capacities: Capacities): readonly Process[] {
  const byNode = new Map<Node, Process>();
  const writers = new Map<Value, Process>();
  const processes: (Process & { readonly needs: Need[]; readonly writes: Written[] })[] = [];
  const add = (node: Node | null, domain: Domain, results: readonly Value[]) => {
    const process = { node, perInference: iterationsOf(domain), needs: [], writes: [], done: 0 };
    const added = { ...process, waiting: [] };
    processes.push(added);
    for (const r of results) writers.set(r, added);
    if (node) byNode.set(node, added);
  };
  for (const { writer, side, value } of network.rings.values()) {
    if (writer === null) add(null, side.domain, [value]);
  }
  for (const node of network.nodes) add(node, node.domain, node.op.results);
  const table = tables();
  const reads = new Map([...network.rings].map(([v, ring]) => [v, readsOf(ring)]));
  for (const process of processes) {
    const { node } = process;
    if (node) process.needs.push(...needsOf(node, reads, writers, table));
  }
  for (const ring of network.rings.values()) {
    const writer = writers.get(ring.value) as (typeof processes)[number] | undefined;
    writer?.writes.push(writtenOf(ring, capacities, byNode, table));
  }
  return processes;
}

interface Reads {
  readonly ring: Ring;
  readonly byNode: ReadonlyMap<Node, Ring["readers"]>;
}

function readsOf(ring: Ring): Reads {
  const byNode = new Map<Node, Ring["readers"][number][]>();
  for (const reader of ring.readers) {
    const own = byNode.get(reader.node);
    if (own) own.push(reader);
    else byNode.set(reader.node, [reader]);
  }
  return { ring, byNode };
}

function needsOf(
  node: Node,
  reads: ReadonlyMap<Value, Reads>,
  writers: ReadonlyMap<Value, Process>,
  table: Table,
): readonly Need[] {
  const read = new Set(node.op.operands.filter((v) => v !== null));
  return [...read].flatMap((v) => {
    const writer = writers.get(v);
    const { ring, byNode } = reads.get(v) ?? {};
    if (!writer || !ring) return [];
    return (byNode?.get(node) ?? []).map(({ dependence }) => ({
      writer,
      newest: table(dependence.newest, node.domain, ring.side.domain),
    }));
  });
}

function writtenOf(
  ring: Ring,
  capacities: Capacities,
  byNode: ReadonlyMap<Node, Process>,
  table: Table,
): Written {
  const capacity = capacities.get(ring.value);
  if (capacity === undefined) throw new Error(`%${ring.value.id} has no capacity`);
  const readers = ring.readers.map(({ node, dependence }) => {
    const process = byNode.get(node);
    if (!process) throw new Error(`step ${node.id} has no process`);
    return { process, release: table(dependence.release, ring.side.domain, node.domain) };
  });
  return { ring, readers, capacity, freed: { block: -1, readers: 0 } };
}

/** By iteration of `from`, the iteration of `to` that a relation leads to. */
type Table = (relation: Relation, from: Domain, to: Domain) => Int32Array;

/** Most rings of a network are cut alike, so few tables are different. */
function tables(): Table {
  const known = new Map<string, Int32Array>();
  return (relation, from, to) => {
    const key = JSON.stringify([relation, from, to]);
    const found =
      known.get(key) ??
      Int32Array.from({ length: iterationsOf(from) }, (_, i) => {
        const { b, t } = iterationAt(from, i);
        return apply(relation, to, b, t);
      });
    known.set(key, found);
    return found;
  };
}

/** Runs everything as far as it goes. Whoever cannot go on is looked at again when its obstacle has moved. */
function settle(processes: readonly Process[]): void {
  for (const p of processes) p.waiting.length = 0;
  const ready = [...processes];
  for (let p = ready.pop(); p; p = ready.pop()) {
    const before = p.done;
    let obstacle: Obstacle | null = null;
    while (!finished(p)) {
      obstacle = obstacleOf(p);
      if (obstacle) break;
      p.done += 1;
    }
    if (p.done > before) ready.push(...p.waiting.splice(0));
    if (obstacle) obstacle.process.waiting.push(p);
  }
}

function obstacleOf(p: Process): Obstacle | null {
  const inference = Math.floor(p.done / p.perInference);
  const i = p.done - inference * p.perInference;
  for (const { writer, newest } of p.needs) {
    const wanted = inference * writer.perInference + (newest[i] ?? 0);
    if (writer.done <= wanted) return { process: writer, written: null };
  }
  for (const written of p.writes) {
    const process = holderOf(written, p.done - written.capacity, p.perInference);
    if (process) return { process, written };
  }
  return null;
}

/** A process that has yet to read block number g, counted over inferences. */
function holderOf({ readers, freed }: Written, g: number, perInference: number): Process | null {
  if (g < 0) return null;
  const inference = Math.floor(g / perInference);
  const block = g - inference * perInference;
  if (freed.block !== g) Object.assign(freed, { block: g, readers: 0 });
  for (; freed.readers < readers.length; freed.readers++) {
    const { process, release } = readers[freed.readers] as Reader;
    const last = inference * process.perInference + (release[block] ?? 0);
    if (process.done <= last) return process;
  }
  return null;
}

/** The obstacles on the circle that a stuck process leads to. */
function circleFrom(stuck: Process): readonly Obstacle[] {
  const path: Obstacle[] = [];
  const seen = new Map<Process, number>();
  for (let p = stuck; ; ) {
    const from = seen.get(p);
    if (from !== undefined) return path.slice(from);
    seen.set(p, path.length);
    const obstacle = obstacleOf(p);
    if (!obstacle) throw new Error("a process that can run is not stuck");
    path.push(obstacle);
    p = obstacle.process;
  }
}

function growOn(circle: readonly Obstacle[]): void {
  const rings = circle.flatMap(({ written }) => (written ? [written] : []));
  const cheapest = rings.reduce<Written | null>(
    (best, w) => (best === null || w.ring.blockBytes < best.ring.blockBytes ? w : best),
    null,
  );
  if (!cheapest) throw new Error("steps wait for each other in a circle without a ring");
  cheapest.capacity += 1;
}
