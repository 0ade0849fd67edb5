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
import { type Process, processesOf } from "./processes.ts";
import {
  DONE,
  type Edge,
  FREE,
  filledLanes,
  type Lane,
  type News,
  numberedNews,
  type Runner,
  runnersOf,
  shareTiles,
  TOLD,
} from "./runners.ts";

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

export class Machine {
  private readonly artifact: Artifact;
  private readonly finish: (slice: Slice) => void;
  private readonly runners: readonly Runner[];
  private readonly lanes: readonly Lane[];
  private readonly news: readonly News[];
  private readonly queue = new EventQueue();
  private now = 0;

  /** `finish` is called for every iteration when it ends, in the order of time. */
  constructor(artifact: Artifact, inferences: number, finish: (slice: Slice) => void) {
    this.artifact = artifact;
    this.finish = finish;
    this.runners = runnersOf(processesOf(artifact), inferences);
    this.news = numberedNews(this.runners);
    for (const runner of this.runners) this.prepare(runner);
    this.lanes = filledLanes(artifact, this.runners);
    shareTiles(this.runners);
  }

  /** Runs the stream to its end. Throws A408 when nothing can go on. */
  run(): void {
    for (const lane of this.lanes) this.startOn(lane);
    const touched: Lane[] = [];
    for (let batch = this.queue.popAll(); batch; batch = this.queue.popAll()) {
      this.now = batch.time;
      touched.length = 0;
      for (const event of batch.events) this.handle(event, touched);
      if (touched.length > 1) touched.sort(byNumber);
      for (const lane of touched) this.startOn(lane);
    }
    this.checkEnd();
  }

  /** Iterations of one inference, of all processes together. */
  get perInference(): number {
    return this.runners.reduce((sum, r) => sum + r.process.perInference, 0);
  }

  private handle(event: number, touched: Lane[]): void {
    const number = event >> 2;
    if ((event & 3) === TOLD) {
      for (const edge of (this.news[number] as News).edges) tell(edge, touched);
      return;
    }
    const runner = this.runners[number] as Runner;
    if ((event & 3) === FREE || runner.freeNs === runner.endNs) runner.lane.busy = false;
    touched.push(runner.lane);
    if ((event & 3) === DONE) this.end(runner, touched);
  }

  private end(runner: Runner, touched: Lane[]): void {
    const { process, part, startNs, freeNs, endNs, shared } = runner;
    this.finish({ process, iteration: runner.finished, part, startNs, freeNs, endNs });
    runner.finished++;
    if (shared) {
      shared.busy = false;
      touched.push(...shared.lanes);
    }
    for (const { delayNs, event, edges } of runner.news) {
      if (delayNs > 0) this.queue.push(this.now + delayNs, event);
      else for (const edge of edges) tell(edge, touched);
    }
  }

  private startOn(lane: Lane): void {
    while (!lane.busy) {
      const next = lane.members.find(mayStart);
      if (!next) return;
      this.start(next);
    }
  }

  private start(runner: Runner): void {
    const { process } = runner;
    const iteration = runner.started++;
    const part = share(process.domain, iteration % process.perInference);
    const { digitalNs, tileNs } = process.step?.cost ?? { digitalNs: 0, tileNs: 0 };
    const onTiles = process.tiles > 0;
    // Starting tiles takes as long for a short block as for a full one.
    const freeNs = this.now + (onTiles ? digitalNs : digitalNs * part);
    const endNs = onTiles ? freeNs + (tileNs + process.tileTransferNs) * part : freeNs;
    if (runner.shared) runner.shared.busy = true;
    runner.lane.busy = true;
    runner.part = part;
    runner.startNs = this.now;
    runner.freeNs = freeNs;
    runner.endNs = endNs;
    // A kernel's end frees its cluster as well: one event says both.
    if (freeNs < endNs) this.queue.push(freeNs, process.index * 4 + FREE);
    this.queue.push(endNs, process.index * 4 + DONE);
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

const byNumber = (a: Lane, b: Lane): number => a.number - b.number;

function mayStart({ started, finished, missing, total, shared }: Runner): boolean {
  return missing === 0 && started === finished && started < total && !shared?.busy;
}

function tell(edge: Edge, touched: Lane[]): void {
  edge.known++;
  if (edge.known !== edge.required) return;
  edge.owner.missing--;
  touched.push(edge.owner.lane);
}

function showBlocked({ process, started, guards }: Runner): string {
  const missing = guards.filter((edge) => edge.known < edge.required);
  const name = process.step ? showStep(process.step) : process.name;
  const why = missing.map((edge) => edge.guard.what).join(" and ") || "for its turn";
  return `${name}, iteration ${started}, waits ${why}`;
}

/** Blocked steps that a message lists. */
const SHOWN = 12;
