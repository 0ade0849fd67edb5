/** A verification as people read it, and as --json gives it. */

import type { Difference } from "../compare/difference.ts";
import { type Spread, spreadOf } from "../compare/statistics.ts";
import type { LayerCheck, SeedRun, Verification } from "../compare/verification.ts";
import { energy, percent, time, tiny } from "../report/units.ts";
import type { Artifact } from "../sim/load.ts";
import { table } from "./terminal.ts";

/** Layers that the text lists; --json has them all. */
const LISTED = 12;

export function describeVerification(v: Verification, a: Artifact): string {
  return [
    `${a.manifest.model.path} on ${a.target.name}, ${v.mode}, ${plural(v.inferences, "inference")}` +
      (v.runs.length > 1 ? `, ${v.runs.length} seeds (mean ± 95 % confidence)` : ""),
    "",
    outputTable(v),
    "",
    layerText(v),
    ...metricText(v),
    timingText(v),
    "",
    verdictText(v),
  ].join("\n");
}

const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

function outputTable(v: Verification): string {
  const checks = v.runs[0]?.outputs ?? [];
  const rows = checks.map(({ output, against, argmax }, i) => [
    output,
    against,
    spread(v.runs, (r) => r.outputs[i]?.difference.relative ?? Number.NaN, tiny),
    spread(
      v.runs,
      (r) => r.outputs[i]?.difference.cosine ?? Number.NaN,
      (c) => c.toFixed(6),
    ),
    argmax === undefined ? "-" : spread(v.runs, (r) => r.outputs[i]?.argmax ?? 0, percent),
  ]);
  return table([["output", "against", "max error", "cosine", "same argmax"], ...rows]);
}

function spread(
  runs: readonly SeedRun[],
  of: (run: SeedRun) => number,
  show: (n: number) => string,
): string {
  const { mean, half } = spreadOf(runs.map(of));
  return runs.length > 1 ? `${show(mean)} ± ${show(half)}` : show(mean);
}

/** The layers with the largest errors, in the order of the program. */
function layerText({ runs }: Verification): string {
  const layers = runs[0]?.layers ?? [];
  const worst = [...layers].sort((a, b) => b.difference.relative - a.difference.relative);
  const shown = new Set(worst.slice(0, LISTED));
  const rows = layers
    .filter((l) => shown.has(l))
    .map((l) => [l.module || l.step, l.kernel, tiny(l.difference.relative), l.tensor]);
  const head = ["layer", "kernel", "max error", "ONNX tensor"];
  const title =
    layers.length > LISTED
      ? `the ${LISTED} of ${layers.length} layers that are furthest off, in order`
      : plural(layers.length, "layer");
  return `${title}\n${table([head, ...rows])}`;
}

function metricText({ runs, referenceBitsPerToken: reference }: Verification): string[] {
  if (reference === undefined) return [];
  const own = spread(
    runs,
    (r) => r.bitsPerToken ?? Number.NaN,
    (n) => n.toFixed(5),
  );
  return ["", `bits per byte  ${own}, ONNX Runtime ${reference.toFixed(5)}`];
}

function timingText({ timing: t }: Verification): string {
  const each = t.inferences > 1 ? `, then one every ${time(t.intervalNs)}` : "";
  const spent = energy(t.energyNj / t.inferences);
  return `\nfirst result after ${time(t.latencyNs)}${each}, ${spent} an inference`;
}

function verdictText(v: Verification): string {
  if (v.verdict === "agrees") return `agrees: within ${v.tolerance} of the original`;
  if (v.verdict === "reported") return "reported; --tolerance X makes this a verdict";
  const first = v.firstDeviating;
  const where = first ? `\nfirst layer beyond it: ${describeLayer(first)}` : "";
  return `differs: beyond ${v.tolerance} of the original${where}`;
}

function describeLayer(l: LayerCheck): string {
  const weight = l.weight === undefined ? "" : `, weight ${l.weight}`;
  return (
    `${l.module || l.step} (${l.kernel})${weight}, off by ${tiny(l.difference.relative)}` +
    `\n  ONNX tensor ${l.tensor}, nodes ${l.nodes.join(", ")}`
  );
}

const numbers = ({ maxError, maxReference, relative, cosine }: Difference) => ({
  maxError: finite(maxError),
  maxReference: finite(maxReference),
  relative: finite(relative),
  cosine: finite(cosine),
});

/** JSON has no infinities: null stands for what is not finite. */
const finite = (n: number): number | null => (Number.isFinite(n) ? n : null);

export function verificationFacts(v: Verification) {
  const layer = ({ difference, ...where }: LayerCheck) => ({ ...where, ...numbers(difference) });
  const { timing: t } = v;
  return {
    verdict: v.verdict,
    mode: v.mode,
    inferences: v.inferences,
    tolerance: v.tolerance ?? null,
    firstDeviating: v.firstDeviating ? layer(v.firstDeviating) : null,
    runs: v.runs.map((r) => ({
      seed: r.seed,
      outputs: r.outputs.map(({ output, against, difference, argmax }) => ({
        output,
        against,
        ...numbers(difference),
        ...(argmax !== undefined && { argmax }),
      })),
      layers: r.layers.map(layer),
      ...(r.bitsPerToken !== undefined && { bitsPerByte: r.bitsPerToken }),
    })),
    summary: summaryOf(v),
    timing: {
      latencyNs: t.latencyNs,
      intervalNs: t.intervalNs,
      inferencesPerSecond: t.inferencesPerSecond,
      energyNjPerInference: t.energyNj / t.inferences,
    },
  };
}

function summaryOf({ runs, referenceBitsPerToken }: Verification): Record<string, unknown> {
  const worst = (r: SeedRun) => Math.max(...r.outputs.map((o) => o.difference.relative));
  const show = ({ mean, half }: Spread) => ({ mean: finite(mean), halfWidth95: finite(half) });
  return {
    relative: show(spreadOf(runs.map(worst))),
    ...(referenceBitsPerToken !== undefined && {
      bitsPerByte: show(spreadOf(runs.map((r) => r.bitsPerToken ?? Number.NaN))),
      referenceBitsPerByte: referenceBitsPerToken,
    }),
  };
}
