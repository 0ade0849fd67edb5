/** A verification as people read it. */

import { age } from "../compare/age.ts";
import type { LayerCheck, OutputCheck } from "../compare/checks.ts";
import { isOff } from "../compare/machine-code.ts";
import {
  type LayerSummary,
  type OutputSummary,
  summaries,
  type TimeSummary,
} from "../compare/summary.ts";
import type { Verification } from "../compare/verification.ts";
import { decibels, energy, percent, time, tiny } from "../report/units.ts";
import type { Artifact } from "../sim/load.ts";
import { FEWEST, type Interval } from "../statistics/interval.ts";
import { attributionText } from "./attribution-text.ts";
import { machineCodeText } from "./machine-code-text.ts";
import { table } from "./terminal.ts";

/** Layers that the text lists; --json has them all. */
const LISTED = 12;

export function describeVerification(v: Verification, a: Artifact): string {
  const times = summaries(v);
  return [
    `${a.manifest.model.path} on ${a.target.name}, ${v.mode}, ${plural(v.inferences, "inference")}` +
      seedText(times),
    "",
    outputTable(times),
    ...roundingText(v),
    ...zeroText(v),
    ...oddText(v),
    "",
    ...layerText(v, times.at(-1)),
    ...machineCodeText(v),
    ...metricText(v, times),
    ...attributionText(v),
    timingText(v),
    "",
    ...endingText(v),
    verdictText(v),
  ].join("\n");
}

const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

function seedText([first]: readonly TimeSummary[]): string {
  const seeds = first?.seeds ?? 1;
  return seeds > 1 ? `, ${seeds} seeds (mean ± 95 % confidence)` : "";
}

/** With a column for the time when there are several. */
function timed(
  times: readonly TimeSummary[],
  head: readonly string[],
  rows: (time: TimeSummary) => readonly (readonly string[])[],
): string {
  const several = times.length > 1;
  const all = times.flatMap((t) =>
    rows(t).map((row) => (several ? [age(t.timeSeconds), ...row] : row)),
  );
  return table([several ? ["after", ...head] : head, ...all]);
}

function outputTable(times: readonly TimeSummary[]): string {
  const head = ["output", "against", "max error", "cosine", "same argmax"];
  const row = ({ check, relative, cosine, argmax }: OutputSummary) => [
    check.output,
    check.against,
    errorText(check, relative),
    shown(cosine, (c) => c.toFixed(6)),
    argmax ? shown(argmax, percent) : "-",
  ];
  return timed(times, head, ({ outputs }) => outputs.map(row));
}

/** Says what else than a fault of the program moves outputs. */
function roundingText({ runs: [first] }: Verification): string[] {
  const checks = first?.outputs ?? [];
  const most = (against: OutputCheck["against"], of: "rounding" | "original"): number =>
    Math.max(0, ...checks.map((o) => (o.against === against && o[of]) || 0));
  const ties = most("ONNX Runtime", "rounding");
  const recorded = most("recorded", "rounding");
  const strange = most("recorded", "original");
  const lines = [
    ties > 0 &&
      `the model quantises as it runs: ONNX Runtime's own plain and optimised runs are up to ${tiny(ties)} apart`,
    recorded > 0 &&
      `recorded outputs carry the rounding of ONNX Runtime's optimised run, up to ${tiny(recorded)} (docs/guide/verify.md)`,
    strange > 0 &&
      `ONNX Runtime on the original file is itself up to ${tiny(strange)} off what was recorded: that comes from another model or from other inputs`,
  ].filter((line) => line !== false);
  return lines.length === 0 ? [] : ["", ...lines];
}

/** Where the original is 0 throughout, errors have nothing to be relative to. */
function zeroText({ runs }: Verification): string[] {
  const largest = new Map<string, number>();
  for (const { output, difference } of runs.flatMap((r) => r.outputs)) {
    if (difference.maxReference > 0 || difference.maxError === 0) continue;
    largest.set(output, Math.max(largest.get(output) ?? 0, difference.maxError));
  }
  const lines = [...largest].map(
    ([output, error]) =>
      `the original's '${output}' is 0 throughout: no error is small beside it; the largest is ${error.toPrecision(3)}`,
  );
  return lines.length === 0 ? [] : ["", ...lines];
}

/** Where the original is no number either, a table of errors says nothing. */
function oddText({ runs: [first] }: Verification): string[] {
  const lines = (first?.outputs ?? []).flatMap(({ output, against, notFinite }) =>
    notFinite === undefined
      ? []
      : `${plural(notFinite, "value")} of '${output}' ${notFinite === 1 ? "is" : "are"} NaN or infinite ` +
        `(${against}): where they are, outputs are equal or infinitely far off`,
  );
  return lines.length === 0 ? [] : ["", ...lines];
}

/** `mean ± half`, or the only value; `-` where there is none. */
function shown({ mean, half, count }: Interval, show: (n: number) => string): string {
  if (Number.isNaN(mean)) return "-";
  return count > 1 && Number.isFinite(mean) ? `${show(mean)} ± ${show(half)}` : show(mean);
}

/** Beside an original of zeros no error is large or small. */
function errorText({ difference }: OutputCheck | LayerCheck, relative: Interval): string {
  if (Number.isFinite(relative.mean)) return shown(relative, tiny);
  return difference.maxReference === 0 ? "-" : "not finite";
}

/** Where no chip is off there is no noise, and where the original is 0 or a chip not finite no ratio. */
function powerText(snr: Interval): string {
  if (Number.isFinite(snr.mean)) return shown(snr, decibels);
  if (snr.mean !== Infinity) return "-";
  return snr.count === 1 || snr.half === 0 ? "exact" : "partly exact";
}

/** The layers with the largest errors, in the order of the program. */
function layerText(v: Verification, last: TimeSummary | undefined): string[] {
  const layers = last?.layers ?? [];
  if (v.refused !== undefined) {
    return [
      `${v.refused}`,
      "so there is nothing to hold layers against: recorded outputs alone are the judge",
    ];
  }
  if (layers.length === 0) return ["no layer computes a tensor of the ONNX file as it is there"];
  const worst = [...layers].sort((a, b) => b.relative.mean - a.relative.mean);
  const listed = new Set(worst.slice(0, LISTED));
  const exact = v.mode === "ideal";
  const row = ({ check, relative, snr, cosine }: LayerSummary) => [
    check.module || check.step,
    check.kernel,
    errorText(check, relative),
    ...(exact ? [] : [powerText(snr), shown(cosine, (c) => c.toFixed(5))]),
    check.tensor,
  ];
  const rows = layers.filter((l) => listed.has(l)).map(row);
  const noise = exact ? [] : ["signal to noise", "cosine"];
  const head = ["layer", "kernel", "max error", ...noise, "ONNX tensor"];
  const first = v.inferences > 1 ? ", in the first inference" : "";
  const when = v.times.length > 1 ? `, after ${age(last?.timeSeconds ?? 0)}` : "";
  const title =
    layers.length > LISTED
      ? `the ${LISTED} of ${layers.length} layers that are furthest off, in order`
      : plural(layers.length, "layer");
  return [`${title}${first}${when}`, table([head, ...rows])];
}

function metricText({ metric, referenceMetric }: Verification, times: readonly TimeSummary[]) {
  if (!metric) return [];
  const show = (n: number) => n.toFixed(5);
  const reference = referenceMetric === undefined ? "" : `, ONNX Runtime ${show(referenceMetric)}`;
  const own = times.map((t) => (t.metric ? shown(t.metric, show) : "-"));
  if (times.length === 1) return ["", `${metric.title}  ${own[0]}${reference}`];
  const rows = times.map((t, i) => [age(t.timeSeconds), own[i] ?? "-"]);
  return ["", `${metric.title}${reference}`, table([["after", metric.title], ...rows])];
}

function timingText({ timing: t }: Verification): string {
  const each = t.inferences > 1 ? `, then one every ${time(t.intervalNs)}` : "";
  const spent = energy(t.energyNj / t.inferences);
  return `\nfirst result after ${time(t.latencyNs)}${each}, ${spent} an inference`;
}

function endingText(v: Verification): string[] {
  const seeds = v.runs.length / v.times.length;
  if (v.ending === "interrupted") {
    const few = seeds < FEWEST ? "; too few for an interval to be trusted" : "";
    return [`interrupted: this is of the ${plural(seeds, "seed")} that had finished${few}`];
  }
  return v.ending === "tight" ? [`ended after ${seeds} seeds: the interval is narrow enough`] : [];
}

function verdictText(v: Verification): string {
  if (v.verdict === "agrees") return `agrees: within ${v.tolerance} of the original`;
  const off = v.steps?.find(isOff);
  if (off)
    return `differs: ${off.module || off.step} (${off.kernel}) in machine code is off its kernel`;
  if (v.verdict === "reported") return "reported; --tolerance X makes this a verdict";
  const turned = turnedText(v);
  if (turned !== null) return turned;
  const first = v.firstDeviating;
  const where = first ? `\nfirst layer beyond it: ${describeLayer(first)}` : "";
  return `differs: beyond ${v.tolerance} of the original${where}`;
}

/** Where only the order of nearly equal results is another, which numbers alone do not show. */
function turnedText({ runs, tolerance = 0 }: Verification): string | null {
  const outputs = runs.flatMap((run) => run.outputs);
  const isFar = ({ difference, rounding = 0 }: OutputCheck): boolean =>
    !(difference.relative <= tolerance + rounding);
  const turned = outputs.find(({ argmax = 1 }) => argmax < 1);
  if (turned?.argmax === undefined || outputs.some(isFar)) return null;
  const share = percent(1 - turned.argmax);
  return (
    `differs: within ${tolerance} of the original, but ${share} of the vectors of '${turned.output}'` +
    " have another largest element"
  );
}

function describeLayer(l: LayerCheck): string {
  const weight = l.weight === undefined ? "" : `, weight ${l.weight}`;
  return (
    `${l.module || l.step} (${l.kernel})${weight}, off by ${tiny(l.difference.relative)}` +
    `\n  ONNX tensor ${l.tensor}, nodes ${l.nodes.join(", ")}`
  );
}
