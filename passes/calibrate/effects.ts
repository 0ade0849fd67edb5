/** What ways of choosing a full scale cost, added up over the blocks of a weight. */

import type { Effect, Effects } from "../../src/artifact/calibration.ts";
import {
  type Choice,
  type ErrorOf,
  fullScale,
  LARGEST,
  type Loss,
  lossOf,
  type Seen,
  showChoice,
} from "../../src/tensor/full-scale.ts";

/** The ways that are held against the chosen one: those of the literature, docs/numerics.md has the sources. */
const COMPARED: Readonly<Record<"dac" | "adc" | "columns", readonly Choice[]>> = {
  dac: [
    LARGEST,
    { method: "percentile", percent: 99.995 },
    { method: "sigma", count: 3 },
    { method: "mse" },
  ],
  adc: [
    LARGEST,
    { method: "percentile", percent: 99.995 },
    { method: "sigma", count: 4 },
    { method: "mse" },
  ],
  columns: [LARGEST, { method: "sigma", count: 2.5 }, { method: "mse" }],
};

/** The effects on what was seen, where `scaleOf` gives the full scale that a way leads to. */
export function effectsOf(
  of: "dac" | "adc" | "columns",
  chosen: Choice,
  seen: readonly Seen[],
  errorAt: ErrorOf,
  scaleOf = (choice: Choice, block: Seen): number => fullScale(choice, block, errorAt),
): Effects {
  const effect = (choice: Choice): Effect =>
    effectOf(showChoice(choice), seen, (s) => scaleOf(choice, s), errorAt);
  const others = COMPARED[of].filter((c) => showChoice(c) !== showChoice(chosen));
  return { chosen: effect(chosen), others: others.map(effect) };
}

/** The effect of full scales that are given. */
export function effectOf(
  method: string,
  seen: readonly Seen[],
  scaleOf: (block: Seen, i: number) => number,
  errorAt: ErrorOf,
): Effect {
  const scales = seen.map(scaleOf);
  const losses = seen.map((s, i) => lossOf(s, scales[i] as number, errorAt));
  const { values, clipped, error, signal } = losses.reduce(plus, NOTHING);
  return {
    method,
    low: scales.reduce((a, b) => Math.min(a, b), Infinity),
    high: scales.reduce((a, b) => Math.max(a, b), 0),
    clipped: values === 0 ? 0 : clipped / values,
    snrDb: signal > 0 && error > 0 ? 10 * Math.log10(signal / error) : null,
  };
}

const NOTHING: Loss = { values: 0, clipped: 0, error: 0, signal: 0 };

const plus = (a: Loss, b: Loss): Loss => ({
  values: a.values + b.values,
  clipped: a.clipped + b.clipped,
  error: a.error + b.error,
  signal: a.signal + b.signal,
});
