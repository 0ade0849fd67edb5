/**
 * Time, event by event. Each cluster runs the first step of its list whose next iteration may start: its
 * waits and credits are there, and for a launch its tiles are idle. A kernel occupies its cluster; a
 * launch occupies it only until the tiles have started. An iteration starts when the one before it has
 * finished. News of a finished iteration travels with the data, over the links of the target.
 *
 * Nothing is drawn and ties have a fixed order (of events, then of clusters), so a run is reproducible.
 * Contention on links is not modelled.
 */

import { share } from "./domain.ts";
import { placeOf, refuse, showStep } from "./faults.ts";
import { EventQueue } from "./heap.ts";
import type { Artifact } from "./load.ts";
import { type Guard, type Process, processesOf } from "./processes.ts";

export interface Slice {
  readonly process: Process;
  /** Number of the iteration over the stream. */
  readonly iteration: number;
  readonly startNs: number;
  /** The cluster is free again; equals `endNs` for kernels. */
  readonly freeNs: number;
  readonly endNs: number;
}

type Event =
  | { readonly kind: "free"; readonly cluster: number }
  | { readonly kind: "done"; readonly slice: Slice }
  | { readonly kind: "told"; readonly guard: Guard };

interface State {
  started: number;
  finished: number;
}

export class Machine {
  readonly processes: readonly Process[];
  private readonly artifact: Artifact;
  private readonly inferences: number;
  private readonly finish: (slice: Slice) => void;
  private readonly states: readonly State[];
  /** Finished iterations of a guard's source that its owner knows of. */
  private readonly known = new Map<Guard, number>();
  /** Who may run on a cluster, by priority. Each input of the host is a lane below all clusters. */
  private readonly clusters = new Map<number, readonly Process[]>();
  private readonly lanes = new Map<Process, number>();
  private readonly byTile = new Map<string, readonly number[]>();
  private readonly busyClusters = new Set<number>();
  private readonly busyTiles = new Set<string>();
  private readonly queue = new EventQueue<Event>();
  private now = 0;

  /** `finish` is called for every iteration when it ends, in the order of time. */
  constructor(artifact: Artifact, inferences: number, finish: (slice: Slice) => void) {
    this.artifact = artifact;
    this.inferences = inferences;
    this.finish = finish;
    this.processes = processesOf(artifact);
    this.states = this.processes.map(() => ({ started: 0, finished: 0 }));
    this.indexClusters();
  }

  /** Runs the stream to its end. Throws A408 when nothing can go on. */
  run(): void {
    this.startAll(this.clusters.keys());
    for (let batch = this.queue.popAll(); batch; batch = this.queue.popAll()) {
      const touched = new Set<number>();
      for (const event of batch.events) this.handle(event, batch.time, touched);
      this.now = batch.time;
      this.startAll([...touched].sort((a, b) => a - b));
    }
    this.checkEnd();
  }

  private indexClusters(): void {
    const byStep = new Map(this.processes.map((p) => [p.step?.id, p]));
    for (const [i, p] of this.processes.filter((q) => !q.step).entries()) {
      this.clusters.set(-1 - i, [p]);
      this.lanes.set(p, -1 - i);
    }
    for (const { cluster, steps } of this.artifact.schedule.clusters) {
      this.clusters.set(
        cluster,
        steps.flatMap((id) => byStep.get(id) ?? []),
      );
    }
    for (const p of this.processes) {
      for (const tile of p.tiles) {
        this.byTile.set(tile, [...(this.byTile.get(tile) ?? []), this.laneOf(p)]);
      }
    }
  }

  private laneOf(p: Process): number {
    return this.lanes.get(p) ?? p.cluster;
  }

  private handle(event: Event, time: number, touched: Set<number>): void {
    if (event.kind === "free") {
      this.busyClusters.delete(event.cluster);
      touched.add(event.cluster);
    } else if (event.kind === "told") {
      this.tell(event.guard, touched);
    } else {
      this.end(event.slice, time, touched);
    }
  }

  private tell(guard: Guard, touched: Set<number>): void {
    this.known.set(guard, (this.known.get(guard) ?? 0) + 1);
    touched.add(this.laneOf(this.processes[guard.owner] as Process));
  }

  private end(slice: Slice, time: number, touched: Set<number>): void {
    const { process } = slice;
    this.finish(slice);
    (this.states[process.index] as State).finished++;
    touched.add(this.laneOf(process));
    for (const tile of process.tiles) {
      this.busyTiles.delete(tile);
      for (const lane of this.byTile.get(tile) ?? []) touched.add(lane);
    }
    for (const guard of process.tells) {
      if (guard.delayNs === 0) this.tell(guard, touched);
      else this.queue.push(time + guard.delayNs, { kind: "told", guard });
    }
  }

  private startAll(lanes: Iterable<number>): void {
    for (const lane of lanes) {
      while (!this.busyClusters.has(lane)) {
        const next = this.clusters.get(lane)?.find((p) => this.mayStart(p));
        if (!next) break;
        this.start(next, lane);
      }
    }
  }

  private mayStart(p: Process): boolean {
    const { started, finished } = this.states[p.index] as State;
    if (started > finished || started >= p.perInference * this.inferences) return false;
    if (p.tiles.some((tile) => this.busyTiles.has(tile))) return false;
    return !p.guards.some((guard) => this.isMissing(guard, started));
  }

  private isMissing(guard: Guard, n: number): boolean {
    return (this.known.get(guard) ?? 0) < guard.needed(n);
  }

  private start(process: Process, lane: number): void {
    const state = this.states[process.index] as State;
    const iteration = state.started++;
    const part = share(process.domain, iteration % process.perInference);
    const { digitalNs, tileNs } = process.step?.cost ?? { digitalNs: 0, tileNs: 0 };
    const onTiles = process.tiles.length > 0;
    // Starting tiles takes as long for a short block as for a full one.
    const freeNs = this.now + (onTiles ? digitalNs : digitalNs * part);
    const endNs = onTiles ? freeNs + (tileNs + process.tileTransferNs) * part : freeNs;
    for (const tile of process.tiles) this.busyTiles.add(tile);
    this.busyClusters.add(lane);
    this.queue.push(freeNs, { kind: "free", cluster: lane });
    const slice = { process, iteration, startNs: this.now, freeNs, endNs };
    this.queue.push(endNs, { kind: "done", slice });
  }

  /** Every iteration has run, or the run is stuck: says which steps wait, and for what. */
  private checkEnd(): void {
    const stuck = this.processes.filter((p) => {
      const { finished } = this.states[p.index] as State;
      return finished < p.perInference * this.inferences;
    });
    if (stuck.length === 0) return;
    const lines = stuck.slice(0, SHOWN).map((p) => `\n  ${this.showBlocked(p)}`);
    if (stuck.length > SHOWN) lines.push(`\n  and ${stuck.length - SHOWN} more`);
    const nodes = [...new Set(stuck.flatMap((p) => p.step?.nodes ?? []))];
    const text = `${stuck.length} steps wait for each other for ever:${lines.join("")}`;
    refuse("A408", text, placeOf(this.artifact, nodes, "schedule.json"));
  }

  private showBlocked(p: Process): string {
    const { started } = this.states[p.index] as State;
    const missing = p.guards.filter((guard) => this.isMissing(guard, started));
    const name = p.step ? showStep(p.step) : p.name;
    const why = missing.map((g) => g.what).join(" and ") || "its place in the order";
    return `${name}, iteration ${started}, waits ${why}`;
  }
}

/** Blocked steps that a message lists. */
const SHOWN = 12;
