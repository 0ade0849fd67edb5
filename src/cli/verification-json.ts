/** A verification as --json gives it; docs/json.md describes it. */

import type { Attribution, Cause } from "../compare/attribution.ts";
import type { LayerCheck } from "../compare/checks.ts";
import type { Difference } from "../compare/difference.ts";
import { type DifferenceSummary, summaries, type TimeSummary } from "../compare/summary.ts";
import type { SeedRun, Verification } from "../compare/verification.ts";
import type { Interval } from "../statistics/interval.ts";

/** JSON has no infinities: null stands for what is not finite. */
const finite = (n: number): number | null => (Number.isFinite(n) ? n : null);

const numbers = ({ maxError, maxReference, relative, cosine, snr }: Difference) => ({
  exact: maxError === 0,
  maxError: finite(maxError),
  maxReference: finite(maxReference),
  relative: finite(relative),
  cosine: finite(cosine),
  snrDb: finite(snr),
});

const layerFacts = ({ difference, ...where }: LayerCheck) => ({ ...where, ...numbers(difference) });

const show = ({ mean, half }: Interval) => ({ mean: finite(mean), halfWidth95: finite(half) });

export function verificationFacts(v: Verification) {
  const { timing: t } = v;
  return {
    verdict: v.verdict,
    mode: v.mode,
    inferences: v.inferences,
    tolerance: v.tolerance ?? null,
    ended: v.ending,
    ...(v.refused !== undefined && { refused: v.refused }),
    firstDeviating: v.firstDeviating ? layerFacts(v.firstDeviating) : null,
    ...(v.metric && {
      metric: {
        name: v.metric.name,
        better: v.metric.better,
        reference: v.referenceMetric === undefined ? null : finite(v.referenceMetric),
      },
    }),
    runs: v.runs.map((r) => runFacts(r, v)),
    summary: summaryOf(v),
    times: summaries(v).map(timeFacts),
    ...(v.attribution && { attribution: attributionFacts(v.attribution) }),
    ...(v.steps && {
      steps: v.steps.map((s) => ({
        ...s,
        deviation: finite(s.deviation),
        rounding: finite(s.rounding),
      })),
    }),
    timing: {
      latencyNs: t.latencyNs,
      intervalNs: t.intervalNs,
      inferencesPerSecond: t.inferencesPerSecond,
      energyNjPerInference: t.energyNj / t.inferences,
    },
  };
}

const isBits = ({ metric }: Verification): boolean => metric?.name === "bits-per-byte";

function runFacts(r: SeedRun, v: Verification) {
  return {
    seed: r.seed,
    timeSeconds: r.timeSeconds,
    outputs: r.outputs.map(({ output, against, difference, argmax, notFinite, ...how }) => ({
      output,
      against,
      ...numbers(difference),
      ...(how.rounding !== undefined && { rounding: finite(how.rounding) }),
      ...(how.original !== undefined && { original: finite(how.original) }),
      ...(notFinite !== undefined && { notFinite }),
      ...(argmax !== undefined && { argmax }),
    })),
    layers: r.layers.map(layerFacts),
    ...(r.metric !== undefined && { metric: finite(r.metric) }),
    ...(r.metric !== undefined && isBits(v) && { bitsPerByte: finite(r.metric) }),
  };
}

function timeFacts({ timeSeconds, seeds, relative, metric, outputs, layers }: TimeSummary) {
  const spreads = (d: DifferenceSummary) => ({
    exact: d.snr.mean === Infinity && !(d.relative.mean > 0),
    relative: show(d.relative),
    cosine: show(d.cosine),
    snrDb: show(d.snr),
  });
  return {
    timeSeconds,
    seeds,
    relative: show(relative),
    ...(metric && { metric: show(metric) }),
    outputs: outputs.map((o) => ({
      output: o.check.output,
      against: o.check.against,
      ...spreads(o),
      ...(o.argmax && { argmax: show(o.argmax) }),
    })),
    layers: layers.map(({ check: { difference: _, ...where }, ...d }) => ({
      ...where,
      ...spreads(d),
    })),
  };
}

function attributionFacts(a: Attribution) {
  const causes = (list: readonly Cause[]) =>
    list.map(({ alone, saved, ...what }) => ({ ...what, alone: show(alone), saved: show(saved) }));
  return {
    timeSeconds: a.timeSeconds,
    complete: a.complete,
    exact: show(a.exact),
    noisy: show(a.noisy),
    loss: show(a.loss),
    layers: causes(a.layers),
    sources: causes(a.sources),
  };
}

/** Of the first time. */
function summaryOf(v: Verification): Record<string, unknown> {
  const [first] = summaries(v);
  if (!first) return {};
  return {
    relative: show(first.relative),
    ...(isBits(v) &&
      first.metric && {
        bitsPerByte: show(first.metric),
        referenceBitsPerByte: v.referenceMetric ?? null,
      }),
  };
}
