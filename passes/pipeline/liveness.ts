/**
 * Proves that rings of given capacities cannot deadlock, and finds capacities that do not.
 *
 * Steps, waits and credits form a bounded dataflow network: what a step does depends on counts alone, so
 * the network is determinate and one order of execution shows what all of them do (Kahn 1974). It is
 * therefore enough to run it once, without time. Where it stops, some circle of steps waits for itself;
 * at least one of the rings on that circle is too small, and the one that is cheapest to enlarge grows
 * (Parks, Bounded Scheduling of Process Networks, 1995).
 */

import type { Relation } from "../../src/artifact/schedule.ts";
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
  readonly writes: readonly Ring[];
  done: number;
}

/** Iteration (b, t) waits until `writer` has finished `newest`. */
interface Need {
  readonly writer: Process;
  readonly newest: Relation;
}

/** Why a process cannot go on: another one, and the ring whose size is to blame, if one is. */
interface Obstacle {
  readonly process: Process;
  readonly ring: Ring | null;
}

interface Run {
  readonly processes: readonly Process[];
  readonly byNode: ReadonlyMap<Node, Process>;
  readonly capacities: Map<Value, number>;
}

/** Capacities at least as large as given with which the network runs to its end. */
export function growUntilLive(network: Network, initial: Capacities): Map<Value, number> {
  const run = start(network, initial);
  for (;;) {
    settle(run);
    const stuck = run.processes.find((p) => !finished(p));
    if (!stuck) return run.capacities;
    growOn(run, circleFrom(run, stuck));
  }
}

/** Whether two inferences run to their end. */
export function isLive(network: Network, capacities: Capacities): boolean {
  const run = start(network, capacities);
  settle(run);
  return run.processes.every(finished);
}

const finished = (p: Process): boolean => p.done >= INFERENCES * p.perInference;

function start(network: Network, capacities: Capacities): Run {
  const byNode = new Map<Node, Process>();
  const writers = new Map<Value, Process>();
  const processes: Process[] = [];
  for (const ring of network.rings.values()) {
    if (ring.writer !== null) continue;
    const perInference = iterationsOf(ring.side.domain);
    const host: Process = { node: null, perInference, needs: [], writes: [ring], done: 0 };
    processes.push(host);
    writers.set(ring.value, host);
  }
  for (const node of network.nodes) {
    const process = processOf(network, node, writers);
    processes.push(process);
    byNode.set(node, process);
    for (const r of node.op.results) writers.set(r, process);
  }
  return { processes, byNode, capacities: new Map(capacities) };
}

function processOf({ rings }: Network, node: Node, writers: ReadonlyMap<Value, Process>): Process {
  const read = new Set(node.op.operands.filter((v) => v !== null));
  const needs = [...read].flatMap((v) => {
    const writer = writers.get(v);
    const readers = rings.get(v)?.readers.filter((r) => r.node === node) ?? [];
    return writer ? readers.map((r) => ({ writer, newest: r.dependence.newest })) : [];
  });
  const writes = node.op.results.flatMap((r) => rings.get(r) ?? []);
  return { node, perInference: iterationsOf(node.domain), needs, writes, done: 0 };
}

/** Runs everything as far as it goes. */
function settle(run: Run): void {
  for (let moved = true; moved; ) {
    moved = false;
    for (const p of run.processes) {
      while (!finished(p) && obstacleOf(run, p) === null) {
        p.done += 1;
        moved = true;
      }
    }
  }
}

function obstacleOf(run: Run, p: Process): Obstacle | null {
  const inference = Math.floor(p.done / p.perInference);
  const { b, t } = p.node ? iterationAt(p.node.domain, p.done % p.perInference) : { b: 0, t: 0 };
  for (const { writer, newest } of p.needs) {
    const to = writer.node?.domain ?? writer.writes[0]?.side.domain;
    if (to === undefined) throw new Error("a process without a domain");
    const wanted = inference * writer.perInference + apply(newest, to, b, t);
    if (writer.done <= wanted) return { process: writer, ring: null };
  }
  for (const ring of p.writes) {
    const reader = holderOf(run, ring, p.done - capacityOf(run, ring));
    if (reader) return { process: reader, ring };
  }
  return null;
}

function capacityOf(run: Run, ring: Ring): number {
  const capacity = run.capacities.get(ring.value);
  if (capacity === undefined) throw new Error(`%${ring.value.id} has no capacity`);
  return capacity;
}

/** A process that has yet to read block number g, counted over inferences. */
function holderOf(run: Run, { side, readers }: Ring, g: number): Process | null {
  if (g < 0) return null;
  const perInference = iterationsOf(side.domain);
  const { b, t } = iterationAt(side.domain, g % perInference);
  for (const { node, dependence } of readers) {
    const process = run.byNode.get(node);
    if (!process) throw new Error(`step ${node.id} has no process`);
    const last =
      Math.floor(g / perInference) * process.perInference +
      apply(dependence.release, node.domain, b, t);
    if (process.done <= last) return process;
  }
  return null;
}

/** The obstacles on the circle that a stuck process leads to. */
function circleFrom(run: Run, stuck: Process): readonly Obstacle[] {
  const path: Obstacle[] = [];
  const seen = new Map<Process, number>();
  for (let p = stuck; ; ) {
    const from = seen.get(p);
    if (from !== undefined) return path.slice(from);
    seen.set(p, path.length);
    const obstacle = obstacleOf(run, p);
    if (!obstacle) throw new Error("a process that can run is not stuck");
    path.push(obstacle);
    p = obstacle.process;
  }
}

function growOn(run: Run, circle: readonly Obstacle[]): void {
  const rings = circle.flatMap(({ ring }) => (ring ? [ring] : []));
  const cheapest = rings.reduce<Ring | null>(
    (best, r) => (best === null || r.blockBytes < best.blockBytes ? r : best),
    null,
  );
  if (!cheapest) throw new Error("steps wait for each other in a circle without a ring");
  run.capacities.set(cheapest.value, capacityOf(run, cheapest) + 1);
}
