/** How long a stream of inferences takes, and what it costs: the machine without values. */

import { iterations, share } from "./domain.ts";
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
  readonly clusters = new Map<number, number>();
  /** By weight. */
  readonly tiles = new Map<string, number>();
  /** By inference: the end of its last output. */
  readonly ends: number[] = [];

  add(slice: Slice, isOutput: boolean): void {
    const { process: p, iteration, startNs, freeNs, endNs } = slice;
    this.totalNs = Math.max(this.totalNs, endNs);
    const inference = Math.floor(iteration / p.perInference);
    if (isOutput) this.ends[inference] = Math.max(this.ends[inference] ?? 0, endNs);
    if (!p.step) return;
    const part = share(p.domain, iteration % p.perInference);
    this.energyNj += (p.step.cost.energyNj + p.sendNj) * part;
    this.clusters.set(p.cluster, (this.clusters.get(p.cluster) ?? 0) + freeNs - startNs);
    if (p.weight === null) return;
    this.tiles.set(p.weight, (this.tiles.get(p.weight) ?? 0) + endNs - freeNs);
    this.mvms += p.tiles * vectors(p, part);
  }
}

/** Vectors of a launch: the tokens of its block, in all of the rows that its result has for a token. */
function vectors(p: Process, part: number): number {
  const [result] = p.writes;
  if (!result) return 0;
  const partials = (p.step?.reads[0]?.select.length ?? 0) < result.shape.length ? 1 : 0;
  const rows = result.shape.slice(partials, -1).reduce<number>((n, d) => n * (d ?? 1), 1);
  return (rows / (p.domain.batch * p.domain.tokens)) * p.domain.block * part;
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
  const outputs = new Set(artifact.schedule.outputs.map((o) => o.buffer));
  const run = inferencesRun(artifact, inferences);
  const machine = new Machine(artifact, run, (slice) => {
    account.add(
      slice,
      slice.process.writes.some((b) => outputs.has(b.id)),
    );
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
