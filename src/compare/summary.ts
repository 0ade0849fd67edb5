/** What seeds have in common: means with their 95 % confidence, for each time. */

import { type Interval, intervalOf } from "../statistics/interval.ts";
import type { LayerCheck, OutputCheck } from "./checks.ts";
import { type SeedRun, type Verification, worstError } from "./verification.ts";

/** Intervals of the fields of a difference that are means over seeds. */
export interface DifferenceSummary {
  readonly relative: Interval;
  readonly cosine: Interval;
  /** Of the decibels. */
  readonly snr: Interval;
}

export interface OutputSummary extends DifferenceSummary {
  readonly check: OutputCheck;
  readonly argmax?: Interval | undefined;
}

export interface LayerSummary extends DifferenceSummary {
  readonly check: LayerCheck;
}

export interface TimeSummary {
  readonly timeSeconds: number;
  readonly seeds: number;
  /** Of the worst output of each seed. */
  readonly relative: Interval;
  readonly metric?: Interval | undefined;
  readonly outputs: readonly OutputSummary[];
  readonly layers: readonly LayerSummary[];
}

/** One for each time, in the order of the times. */
export const summaries = ({ runs, times }: Verification): readonly TimeSummary[] =>
  times.map((time) =>
    summaryOf(
      time,
      runs.filter((r) => r.timeSeconds === time),
    ),
  );

function summaryOf(timeSeconds: number, runs: readonly SeedRun[]): TimeSummary {
  const [first] = runs;
  const metrics = runs.flatMap((r) => r.metric ?? []);
  return {
    timeSeconds,
    seeds: runs.length,
    relative: intervalOf(runs.map(worstError)),
    ...(metrics.length > 0 && { metric: intervalOf(metrics) }),
    outputs: (first?.outputs ?? []).map((check, i) => {
      const same = runs.flatMap((r) => r.outputs[i] ?? []);
      const argmax = same.flatMap((c) => c.argmax ?? []);
      const interval = argmax.length > 0 ? intervalOf(argmax) : undefined;
      return { check, ...differences(same), argmax: interval };
    }),
    layers: (first?.layers ?? []).map((check, i) => ({
      check,
      ...differences(runs.flatMap((r) => r.layers[i] ?? [])),
    })),
  };
}

function differences(checks: readonly (OutputCheck | LayerCheck)[]): DifferenceSummary {
  const of = (field: "relative" | "cosine" | "snr") =>
    intervalOf(checks.map((c) => c.difference[field]));
  return { relative: of("relative"), cosine: of("cosine"), snr: of("snr") };
}
