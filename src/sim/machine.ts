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
  /** Of a full iteration's work: the last block may be shorter. */
  readonly part: number;
  readonly startNs: number;
  /** The cluster is free again; equals `endNs` for kernels. */
  readonly freeNs: number;
  readonly endNs: number;
}

type Event =
  | { readonly kind: "free"; readonly lane: number }
  | { readonly kind: "done"; readonly runner: Runner; readonly slice: Slice }
  | { readonly kind: "told"; readonly edges: readonly Edge[] };

/** A guard while the machine runs. */
interface Edge {
  readonly guard: Guard;
  readonly owner: Runner;
  /** Finished iterations of the source that the owner knows of, and how many its next iteration needs. */
  known: number;
  required: number;
}

/** A process while the machine runs. */
interface Runner {
  readonly process: Process;
  /** The cluster, or for an input of the host a number below all clusters. */
  readonly lane: number;
  readonly guards: Edge[];
  /** Who hears of its iterations, by how long the news takes. */
  readonly tells: Map<number, Edge[]>;
  /** Its tiles, when other processes launch them as well; its own are idle when its last iteration has ended. */
  readonly shared: string[];
  /** Iterations of the whole stream. */
  readonly total: number;
  started: number;
  finished: number;
  /** Guards that hold back the next iteration. */
  missing: number;
}

export class Machine {
  private readonly artifact: Artifact;
  private readonly finish: (slice: Slice) => void;
  private readonly runners: readonly Runner[];
  /** Who may run on a lane, by priority. */
  private readonly lanes = new Map<number, readonly Runner[]>();
  /** The lanes whose steps launch the tiles of a weight: always all of them. */
  private readonly launchers = new Map<string, readonly number[]>();
  private readonly busyLanes = new Set<number>();
  private readonly busyTiles = new Set<string>();
  private readonly queue = new EventQueue<Event>();
  private now = 0;

  /** `finish` is called for every iteration when it ends, in the order of time. */
  constructor(artifact: Artifact, inferences: number, finish: (slice: Slice) => void) {
    this.artifact = artifact;
    this.finish = finish;
    this.runners = runnersOf(processesOf(artifact), inferences);
    for (const runner of this.runners) this.prepare(runner);
    this.fillLanes();
  }

  /** Runs the stream to its end. Throws A408 when nothing can go on. */
  run(): void {
    for (const lane of this.lanes.keys()) this.startOn(lane);
    for (let batch = this.queue.popAll(); batch; batch = this.queue.popAll()) {
      this.now = batch.time;
      const touched = new Set<number>();
      for (const event of batch.events) this.handle(event, touched);
      const lanes = touched.size > 1 ? [...touched].sort((a, b) => a - b) : touched;
      for (const lane of lanes) this.startOn(lane);
    }
    this.checkEnd();
  }

  /** Iterations of one inference, of all processes together. */
  get perInference(): number {
    return this.runners.reduce((sum, r) => sum + r.process.perInference, 0);
  }

  private fillLanes(): void {
    const byStep = new Map(this.runners.map((r) => [r.process.step?.id, r]));
    for (const { cluster, steps } of this.artifact.schedule.clusters) {
      const members = steps.flatMap((id) => byStep.get(id) ?? []);
      this.lanes.set(cluster, members);
    }
    for (const runner of this.runners) {
      if (!runner.process.step) this.lanes.set(runner.lane, [runner]);
      const { weight } = runner.process;
      if (weight === null) continue;
      this.launchers.set(weight, [...(this.launchers.get(weight) ?? []), runner.lane]);
    }
    for (const { process, shared } of this.runners) {
      const { weight } = process;
      if (weight !== null && (this.launchers.get(weight)?.length ?? 0) > 1) shared.push(weight);
    }
  }

  private handle(event: Event, touched: Set<number>): void {
    if (event.kind === "free") {
      this.busyLanes.delete(event.lane);
      touched.add(event.lane);
    } else if (event.kind === "told") {
      for (const edge of event.edges) tell(edge, touched);
    } else {
      const { runner, slice } = event;
      if (slice.freeNs === slice.endNs) this.busyLanes.delete(runner.lane);
      this.end(runner, slice, touched);
    }
  }

  private end(runner: Runner, slice: Slice, touched: Set<number>): void {
    this.finish(slice);
    runner.finished++;
    touched.add(runner.lane);
    for (const tile of runner.shared) {
      this.busyTiles.delete(tile);
      for (const lane of this.launchers.get(tile) ?? []) touched.add(lane);
    }
    for (const [delayNs, edges] of runner.tells) {
      if (delayNs > 0) this.queue.push(this.now + delayNs, { kind: "told", edges });
      else for (const edge of edges) tell(edge, touched);
    }
  }

  private startOn(lane: number): void {
    while (!this.busyLanes.has(lane)) {
      const next = this.lanes.get(lane)?.find((r) => this.mayStart(r));
      if (!next) return;
      this.start(next);
    }
  }

  private mayStart({ started, finished, missing, total, shared }: Runner): boolean {
    if (missing > 0 || started > finished || started >= total) return false;
    return shared.length === 0 || !shared.some((tile) => this.busyTiles.has(tile));
  }

  private start(runner: Runner): void {
    const { process, lane } = runner;
    const iteration = runner.started++;
    const part = share(process.domain, iteration % process.perInference);
    const { digitalNs, tileNs } = process.step?.cost ?? { digitalNs: 0, tileNs: 0 };
    const onTiles = process.tiles > 0;
    // Starting tiles takes as long for a short block as for a full one.
    const freeNs = this.now + (onTiles ? digitalNs : digitalNs * part);
    const endNs = onTiles ? freeNs + (tileNs + process.tileTransferNs) * part : freeNs;
    for (const tile of runner.shared) this.busyTiles.add(tile);
    this.busyLanes.add(lane);
    // A kernel's end frees its cluster as well: one event says both.
    if (freeNs < endNs) this.queue.push(freeNs, { kind: "free", lane });
    const slice = { process, iteration, part, startNs: this.now, freeNs, endNs };
    this.queue.push(endNs, { kind: "done", runner, slice });
    this.prepare(runner);
  }

  /** Looks up what the next iteration waits for. */
  private prepare(runner: Runner): void {
    runner.missing = 0;
    if (runner.started >= runner.total) return;
    for (const edge of runner.guards) {
      edge.required = edge.guard.needed(runner.started);
      if (edge.known < edge.required) runner.missing++;
    }
  }

  /** Every iteration has run, or the run is stuck: says which steps wait, and for what. */
  private checkEnd(): void {
    const stuck = this.runners.filter((r) => r.finished < r.total);
    if (stuck.length === 0) return;
    const lines = stuck.slice(0, SHOWN).map(showBlocked);
    if (stuck.length > SHOWN) lines.push(`and ${stuck.length - SHOWN} more`);
    const nodes = [...new Set(stuck.flatMap((r) => r.process.step?.nodes ?? []))];
    const text = `${stuck.length} steps wait for each other for ever:`;
    refuse("A408", text, placeOf(this.artifact, nodes, "schedule.json"), lines);
  }
}

function runnersOf(processes: readonly Process[], inferences: number): readonly Runner[] {
  let inputs = 0;
  const runners = processes.map(
    (process): Runner => ({
      process,
      lane: process.step ? process.cluster : --inputs,
      guards: [],
      tells: new Map(),
      shared: [],
      total: process.perInference * inferences,
      started: 0,
      finished: 0,
      missing: 0,
    }),
  );
  for (const owner of runners) {
    for (const guard of owner.process.guards) {
      const edge: Edge = { guard, owner, known: 0, required: 0 };
      owner.guards.push(edge);
      const { tells } = runners[guard.source] as Runner;
      const heard = tells.get(guard.delayNs) ?? [];
      heard.push(edge);
      tells.set(guard.delayNs, heard);
    }
  }
  return runners;
}

function tell(edge: Edge, touched: Set<number>): void {
  edge.known++;
  if (edge.known !== edge.required) return;
  edge.owner.missing--;
  touched.add(edge.owner.lane);
}

function showBlocked({ process, started, guards }: Runner): string {
  const missing = guards.filter((edge) => edge.known < edge.required);
  const name = process.step ? showStep(process.step) : process.name;
  const why = missing.map((edge) => edge.guard.what).join(" and ") || "for its turn";
  return `${name}, iteration ${started}, waits ${why}`;
}

/** Blocked steps that a message lists. */
const SHOWN = 12;
