/**
 * The standard product as another simulator computes it: what it is asked, what it answers, and the same of this one.
 * bench/peers.ts asks AIHWKIT and can write its answer down; peer.test.ts holds this simulator against what was written.
 */

import { noiseSources } from "../../src/compare/noise-sources.ts";
import type { Artifact } from "../../src/sim/load.ts";
import { programTiles } from "../../src/sim/program-tiles.ts";
import { loadTarget } from "../../src/target/load.ts";
import { gaussians, machineOf, results, uniform } from "./one-tile.ts";

const DAY = 86_400;
const SIZE = 512;

export const REQUEST = {
  rows: SIZE,
  cols: SIZE,
  chips: 10,
  times: [0, 1, 3600, DAY, 365 * DAY, 3650 * DAY],
  /** Bounds of the sizes of targets by which held weights are sorted. */
  edges: [0.001, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 0.999],
  /** Vectors whose results are shown one by one. */
  shown: 2,
  /** Products of one vector from which deviations are taken. */
  repeats: 4000,
} as const;

/** Of many numbers. */
export interface Moments {
  readonly count: number;
  readonly mean: number;
  readonly deviation: number;
}

/** Times are keys: `"0"`, `"1"`, `"3600"`. */
type ByTime<T> = Readonly<Record<string, readonly T[]>>;

export interface Answer {
  /** Results [shown, cols] of 8-bit converters without noise. */
  readonly converted: readonly number[];
  /** Results [shown, cols] with IR drop alone. */
  readonly dropped: readonly number[];
  /** Deviations of the first vector's results [cols] with read noise, and with output noise, alone. */
  readonly read: readonly number[];
  readonly output: readonly number[];
  /** What devices hold, with the sign of their targets, by the size of these; before compensation. */
  readonly held: ByTime<Moments>;
  /** Of each chip: the mean norm of the error by that of the result, and the factor of compensation. */
  readonly errors: ByTime<number>;
  readonly factors: ByTime<number>;
}

/** W[in, out] ~ N(0, 0.246), clipped at 1. */
export const weights = (): Float32Array =>
  gaussians(SIZE * SIZE, 8).map((g) => Math.max(-1, Math.min(1, 0.246 * g)));

/** x[100, in] ~ U(-1, 1). */
export const inputs = (): Float32Array => uniform(100 * SIZE, 9);

/** This simulator's answer, from chips `first` to `first + chips`. */
export function ours(chips: number, first = 1): Answer {
  const machine = machineOf(loadTarget("ahwa-lora"), { ...REQUEST, weights: weights() });
  const x = inputs();
  const shown = x.subarray(0, REQUEST.shown * SIZE);
  const still = { seed: 1, timeSeconds: 0 };
  const seeds = Array.from({ length: chips }, (_, i) => first + i);
  return {
    converted: Array.from(results(machine, shown, { ...still, mode: "quantized" })),
    dropped: Array.from(results(only("IR drop", machine), shown, { ...still, mode: "noisy" })),
    read: deviations(only("read noise", machine)),
    output: deviations(only("output noise", machine)),
    ...chipsOf(machine, x, seeds),
  };
}

/** The machine with one source of noise. */
const only = (name: string, machine: Artifact): Artifact =>
  noiseSources(machine.target, "noisy")
    .filter((source) => source.name !== name)
    .reduce((m, source) => source.off(m), machine);

/** Of each result of the first vector, over repeated products. */
function deviations(machine: Artifact): number[] {
  const vector = inputs().subarray(0, SIZE);
  const x = new Float32Array(REQUEST.repeats * SIZE);
  for (let k = 0; k < REQUEST.repeats; k++) x.set(vector, k * SIZE);
  const y = results(machine, x, { mode: "noisy", seed: 1, timeSeconds: 0 });
  return Array.from({ length: SIZE }, (_, column) => {
    const of = Array.from({ length: REQUEST.repeats }, (_, k) => y[k * SIZE + column] as number);
    return momentsOf(of).deviation;
  });
}

function chipsOf(machine: Artifact, x: Float32Array, seeds: readonly number[]) {
  const targets = weights();
  const exact = results(machine, x, { mode: "ideal", seed: 1, timeSeconds: 0 });
  const held: Record<string, Moments[]> = {};
  const errors: Record<string, number[]> = {};
  const factors: Record<string, number[]> = {};
  for (const timeSeconds of REQUEST.times) {
    const sorted = REQUEST.edges.slice(1).map((): number[] => []);
    const chips = seeds.map((seed) => {
      const how = { mode: "noisy", seed, timeSeconds } as const;
      const [tile] = programTiles(machine, how);
      if (!tile) throw new Error("no tile");
      sortInto(sorted, tile.weights, targets);
      return { error: relative(results(machine, x, how), exact), factor: tile.scales[0] as number };
    });
    held[timeSeconds] = sorted.map(momentsOf);
    errors[timeSeconds] = chips.map((c) => c.error);
    factors[timeSeconds] = chips.map((c) => c.factor);
  }
  return { held, errors, factors };
}

/** Held weights with the sign of their targets, by the size of these. */
function sortInto(sorted: readonly number[][], held: Float32Array, targets: Float32Array): void {
  for (const [i, target] of targets.entries()) {
    const size = Math.abs(target);
    const bin = REQUEST.edges.findLastIndex((edge) => edge <= size);
    sorted[bin]?.push((held[i] as number) * Math.sign(target));
  }
}

/** The mean norm of the error by the mean norm of the result. */
function relative(y: Float32Array, exact: Float32Array): number {
  let [error, whole] = [0, 0];
  for (let at = 0; at < y.length; at += SIZE) {
    const right = exact.subarray(at, at + SIZE);
    error += Math.hypot(...y.subarray(at, at + SIZE).map((v, j) => v - (right[j] as number)));
    whole += Math.hypot(...right);
  }
  return error / whole;
}

export function momentsOf(values: readonly number[]): Moments {
  const count = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / count;
  const square = values.reduce((a, v) => a + (v - mean) ** 2, 0) / (count - 1);
  return { count, mean, deviation: Math.sqrt(square) };
}
