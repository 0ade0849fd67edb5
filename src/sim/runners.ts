/** What a machine keeps of the processes while they run: who waits for whom, on which cluster and which tiles. */

import type { Artifact } from "./load.ts";
import type { Guard, Process } from "./processes.ts";

/** What an event says; its number is four times that of the runner, plus one of these. */
export const FREE = 0;
export const DONE = 1;
/** Four times the number of the news instead. */
export const TOLD = 2;

/** A guard while the machine runs. */
export interface Edge {
  readonly guard: Guard;
  readonly owner: Runner;
  /** Finished iterations of the source that the owner knows of, and how many its next iteration needs. */
  known: number;
  required: number;
}

/** A process while the machine runs. */
export interface Runner {
  readonly process: Process;
  readonly lane: Lane;
  readonly guards: Edge[];
  /** Who hears of its iterations, by how long the news takes. */
  readonly tells: Map<number, Edge[]>;
  /** The same, with a number for each list. */
  readonly news: News[];
  /** Its tiles, when other processes launch them as well; its own are idle when its last iteration has ended. */
  shared: Shared | null;
  /** Iterations of the whole stream. */
  readonly total: number;
  started: number;
  finished: number;
  /** Guards that hold back the next iteration. */
  missing: number;
  /** Of the iteration that runs: there is one at most. */
  part: number;
  startNs: number;
  freeNs: number;
  endNs: number;
}

/** A cluster, or the host for one input. */
export interface Lane {
  /** The cluster, or for an input of the host a number below all clusters. */
  readonly number: number;
  /** Who may run on it, by priority. */
  members: readonly Runner[];
  busy: boolean;
}

/** Tiles of a weight that several processes launch: always all of them. */
interface Shared {
  readonly lanes: Lane[];
  busy: boolean;
}

/** Edges that hear of an iteration at the same time. */
export interface News {
  readonly delayNs: number;
  readonly event: number;
  readonly edges: readonly Edge[];
}

export function runnersOf(processes: readonly Process[], inferences: number): readonly Runner[] {
  const lanes = new Map<number, Lane>();
  const laneOf = (number: number): Lane => {
    const lane = lanes.get(number) ?? { number, members: [], busy: false };
    lanes.set(number, lane);
    return lane;
  };
  let inputs = 0;
  const runners = processes.map(
    (process): Runner => ({
      process,
      lane: laneOf(process.step ? process.cluster : --inputs),
      guards: [],
      tells: new Map(),
      news: [],
      shared: null,
      total: process.perInference * inferences,
      started: 0,
      finished: 0,
      missing: 0,
      part: 1,
      startNs: 0,
      freeNs: 0,
      endNs: 0,
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

/** Every list of edges that hear of an iteration together, by its number. */
export function numberedNews(runners: readonly Runner[]): readonly News[] {
  const all: News[] = [];
  for (const { tells, news } of runners) {
    for (const [delayNs, edges] of tells) {
      const one = { delayNs, edges, event: all.length * 4 + TOLD };
      all.push(one);
      news.push(one);
    }
  }
  return all;
}

/** The clusters in the order of the schedule, then the host. */
export function filledLanes({ schedule }: Artifact, runners: readonly Runner[]): readonly Lane[] {
  const byStep = new Map(runners.map((r) => [r.process.step?.id, r]));
  const lanes = new Set<Lane>();
  for (const { steps } of schedule.clusters) {
    const members = steps.flatMap((id) => byStep.get(id) ?? []);
    const [first] = members;
    if (!first) continue;
    first.lane.members = members;
    lanes.add(first.lane);
  }
  for (const runner of runners) {
    if (runner.process.step) continue;
    runner.lane.members = [runner];
    lanes.add(runner.lane);
  }
  return [...lanes];
}

/** Weights that several processes launch. */
export function shareTiles(runners: readonly Runner[]): void {
  const launchers = new Map<string, Runner[]>();
  for (const runner of runners) {
    const { weight } = runner.process;
    if (weight !== null) launchers.set(weight, [...(launchers.get(weight) ?? []), runner]);
  }
  for (const several of launchers.values()) {
    if (several.length === 1) continue;
    const shared: Shared = { lanes: several.map((r) => r.lane), busy: false };
    for (const runner of several) runner.shared = shared;
  }
}
