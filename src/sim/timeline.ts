/** How long a stream of inferences takes, and what it costs: the machine without values. */

import { iterations } from "./domain.ts";
import type { Artifact } from "./load.ts";
import { Machine, type Slice } from "./machine.ts";
import type { Process } from "./processes.ts";

interface Use {
  readonly busyNs: number;
  /** Share of the whole run. */
  readonly utilisation: number;
}

export interface Timeline {
  readonly inferences: number;
  readonly totalNs: number;
  /** From the start until the last output of the first inference. */
  readonly latencyNs: number;
  /** Between the ends of inferences in a full pipeline; the latency when there is only one. */
  readonly intervalNs: number;
  readonly inferencesPerSecond: number;
  /** Vectors through tiles, each tile counted. */
  readonly mvms: number;
  readonly energyNj: number;
  readonly clusters: ReadonlyMap<number, Use>;
  /** Of the tiles of each weight: they all work at the same time. */
  readonly tiles: ReadonlyMap<string, Use>;
  /** In the order of their ends; the inferences asked for only. */
  readonly slices: readonly Slice[];
}

class Account {
  totalNs = 0;
  mvms = 0;
  energyNj = 0;
  /** By process: how long its cluster and its tiles were busy. */
  private readonly busy = new Map<Process, { cluster: number; tiles: number }>();
  /** By inference: the end of its last output. */
  readonly ends: number[] = [];

  add({ process: p, iteration, part, startNs, freeNs, endNs }: Slice): void {
    this.totalNs = Math.max(this.totalNs, endNs);
    if (p.leaves) {
      const inference = Math.floor(iteration / p.perInference);
      this.ends[inference] = Math.max(this.ends[inference] ?? 0, endNs);
    }
    if (!p.step) return;
    this.energyNj += (p.step.cost.energyNj + p.sendNj) * part;
    const busy = this.busy.get(p) ?? { cluster: 0, tiles: 0 };
    this.busy.set(p, busy);
    busy.cluster += freeNs - startNs;
    busy.tiles += endNs - freeNs;
    this.mvms += p.mvms * part;
  }

  get clusters(): ReadonlyMap<number, number> {
    return summed([...this.busy].map(([p, { cluster }]) => [p.cluster, cluster]));
  }

  /** By weight. */
  get tiles(): ReadonlyMap<string, number> {
    return summed(
      [...this.busy].flatMap(([p, { tiles }]) => (p.weight === null ? [] : [[p.weight, tiles]])),
    );
  }
}

function summed<K>(entries: readonly (readonly [K, number])[]): ReadonlyMap<K, number> {
  const sums = new Map<K, number>();
  for (const [key, ns] of entries) sums.set(key, (sums.get(key) ?? 0) + ns);
  return sums;
}

/** A stream repeats itself: at most this many inferences are run, the time of more follows from the interval. */
const RUN = 8;

/** Iterations, of all steps together, that are enough; but an interval takes two inferences. */
const ENOUGH = 1 << 20;

function inferencesRun({ schedule }: Artifact, asked: number): number {
  const each = schedule.steps.reduce((n, s) => n + iterations(s.domain), 0);
  return Math.max(1, Math.min(asked, RUN, Math.max(2, Math.floor(ENOUGH / each))));
}

/** Slices that are kept at most: a program repeats itself, and nobody looks at more. */
const KEPT = 1 << 18;

/**
 * Runs the stream. `keep` is the number of inferences whose slices are kept, for a trace. Throws A408 when
 * the program is stuck.
 */
export function timeline(artifact: Artifact, inferences: number, keep = 0): Timeline {
  const account = new Account();
  const slices: Slice[] = [];
  const run = inferencesRun(artifact, inferences);
  const machine = new Machine(artifact, run, (slice) => {
    account.add(slice);
    const isKept = slice.iteration < keep * slice.process.perInference && slices.length < KEPT;
    if (isKept) slices.push(slice);
  });
  machine.run();
  const { ends } = account;
  const [latencyNs = account.totalNs] = ends;
  const last = ends.at(-1) ?? account.totalNs;
  const intervalNs = run > 1 ? (last - latencyNs) / (run - 1) : latencyNs;
  const totalNs = account.totalNs + (inferences - run) * intervalNs;
  const times = inferences / run;
  return {
    inferences,
    totalNs,
    latencyNs,
    intervalNs,
    inferencesPerSecond: intervalNs > 0 ? 1e9 / intervalNs : 0,
    mvms: account.mvms * times,
    energyNj: account.energyNj * times,
    clusters: uses(account.clusters, times, totalNs),
    tiles: uses(account.tiles, times, totalNs),
    slices,
  };
}

function uses<K extends number | string>(
  busy: ReadonlyMap<K, number>,
  times: number,
  totalNs: number,
): ReadonlyMap<K, Use> {
  const sorted = [...busy].sort(([a], [b]) =>
    String(a).localeCompare(String(b), "en", { numeric: true }),
  );
  return new Map(
    sorted.map(([key, ns]) => {
      const busyNs = ns * times;
      return [key, { busyNs, utilisation: totalNs > 0 ? busyNs / totalNs : 0 }];
    }),
  );
}
