/** Task quality: one number for the outputs of all inferences, from a labels file. */

import { fail } from "../diag/diagnostic.ts";
import { toF32, toNumbers } from "../tensor/convert.ts";
import { isFloat, type Tensor } from "../tensor/tensor.ts";
import { IGNORED, type Labels, type NumberLabels, type SpanLabels } from "./labels.ts";
import {
  accuracy,
  bestSpan,
  crossEntropy,
  f1Of,
  macroF1,
  meanSquaredError,
  type Row,
  type Span,
  spanF1,
  wholeMatches,
} from "./scores.ts";

export type Outputs = ReadonlyMap<string, Tensor>;

export interface Metric {
  readonly name: MetricName;
  /** As tables head it. */
  readonly title: string;
  readonly better: "higher" | "lower";
  /** Of the outputs of all inferences along the leading axis. Errors: A430 when the labels do not fit. */
  readonly of: (outputs: Outputs) => number;
}

export const METRICS = [
  "bits-per-byte",
  "perplexity",
  "accuracy",
  "f1",
  "exact-match",
  "mse",
] as const;
export type MetricName = (typeof METRICS)[number];

/** Errors: A430 when a metric cannot be computed from labels of this kind. */
export function metricOf(name: MetricName, labels: Labels): Metric {
  const title = name.replaceAll("-", " ");
  const better = ["bits-per-byte", "perplexity", "mse"].includes(name) ? "lower" : "higher";
  if (labels.kind === "spans") return { name, title, better, of: spanScore(name, labels) };
  return { name, title, better, of: (outputs) => numberScore(name, labels, outputs) };
}

/** Outputs whose largest element is a decision: by the name that exporters give them. */
export const isLogits = (name: string, value: Tensor): boolean =>
  /logit|score/i.test(name) && isFloat(value.elem) && value.shape.length >= 2;

function spanScore(name: MetricName, labels: SpanLabels): Metric["of"] {
  if (name !== "f1" && name !== "exact-match") {
    refuse(`${name} needs labels, not spans`, "spans are for f1 and exact-match");
  }
  const score = name === "f1" ? spanF1 : (a: Span, b: Span) => Number(spanF1(a, b) === 1);
  return (outputs) => {
    const [start, end] = [outputNamed(outputs, labels.start), outputNamed(outputs, labels.end)];
    const tokens = start.shape.at(-1) ?? 0;
    const [from, to] = [toF32(start), toF32(end)];
    if (from.length !== labels.spans.length * tokens || to.length !== from.length) {
      const shapes = `[${start.shape.join(", ")}] and [${end.shape.join(", ")}]`;
      refuse(`answers of ${labels.spans.length} inputs do not fit scores of shape ${shapes}`);
    }
    const beyond = labels.spans.flat().find(([, last]) => last >= tokens);
    if (beyond) {
      refuse(`the answer [${beyond.join(", ")}] does not lie within ${tokens} tokens`);
    }
    const each = labels.spans.map((answers, i) => {
      const row = (of: Float32Array) => of.subarray(i * tokens, (i + 1) * tokens);
      const found = bestSpan(row(from), row(to), labels.longest);
      return Math.max(...answers.map((answer) => score(found, answer)));
    });
    return each.reduce((sum, v) => sum + v, 0) / each.length;
  };
}

function numberScore(name: MetricName, labels: NumberLabels, outputs: Outputs): number {
  const output = judged(outputs, labels.output);
  if (name === "mse") {
    if (output.data.length !== labels.values.length) misfit(labels, output, "element");
    return meanSquaredError(toNumbers(output), wantedNumbers(labels));
  }
  if (name === "bits-per-byte" || name === "perplexity") {
    const { rows, width } = classRows(labels, output);
    const nats = crossEntropy(toF32(output), width, rows);
    if (name === "perplexity") return Math.exp(nats);
    const bytes = labels.bytes ?? rows.length;
    return (nats * rows.length) / bytes / Math.LN2;
  }
  return decided(name, labels, output);
}

/** Errors: A430 when a number is none, or all are skipped. */
function wantedNumbers({ values, ignore }: NumberLabels): readonly Row[] {
  const rows = rowsOf(values, ignore);
  const odd = rows.find(({ label }) => !Number.isFinite(label));
  if (odd)
    refuse(`label number ${odd.at} is ${odd.label}`, "give a finite number for each element");
  return rows;
}

/** Scores of which only the decision counts. */
function decided(name: MetricName, labels: NumberLabels, output: Tensor): number {
  // Integers are decisions already.
  const isDecided = !isFloat(output.elem);
  const { rows, width } = isDecided
    ? { rows: countingRows(labels, output, 1, Infinity), width: 1 }
    : classRows(labels, output);
  const predicted = isDecided ? toNumbers(output) : largestOf(toF32(output), width);
  if (name === "accuracy") return accuracy(predicted, rows);
  if (name === "exact-match") {
    const length = (isDecided ? output.shape.at(-1) : output.shape.at(-2)) ?? 1;
    return wholeMatches(predicted, rows, output.shape.length > (isDecided ? 1 : 2) ? length : 1);
  }
  const positive = positiveOf(labels, isDecided ? Infinity : width);
  return positive === undefined ? macroF1(predicted, rows) : f1Of(predicted, rows, positive);
}

/**
 * The class whose F1 is wanted; undefined for the mean over all.
 * Errors: A430 when the output has no such class: its F1 would be 0 whatever the model says.
 */
function positiveOf({ positive }: NumberLabels, classes: number): number | undefined {
  if (positive === undefined) return classes === 2 ? 1 : undefined;
  if (positive < classes) return positive;
  const text = `the output has no class ${positive}, which 'positive' names`;
  return refuse(text, `classes lie between 0 and ${classes - 1}`);
}

/** Labels against vectors along the last axis. */
function classRows(labels: NumberLabels, output: Tensor): { rows: Row[]; width: number } {
  const width = output.shape.at(-1) ?? 0;
  return { rows: countingRows(labels, output, width, width), width };
}

/** Errors: A430 when the sizes do not belong together, a label is no class, or none counts. */
function countingRows(labels: NumberLabels, output: Tensor, width: number, below: number): Row[] {
  const { values, ignore = IGNORED } = labels;
  if (width === 0 || output.data.length !== values.length * width) {
    misfit(labels, output, "vector of logits");
  }
  const rows = rowsOf(values, ignore);
  for (const { label } of rows) {
    if (Number.isInteger(label) && label >= 0 && label < below) continue;
    refuse(`label ${label} is not in the vocabulary`, `labels lie between 0 and ${below - 1}`);
  }
  return rows;
}

/** Labels that count. Errors: A430 when none does. */
function rowsOf(values: readonly number[], ignore: number | undefined): Row[] {
  const rows = values.map((label, at) => ({ at, label })).filter(({ label }) => label !== ignore);
  if (rows.length === 0) refuse("no label counts", `${ignore} means that a label is skipped`);
  return rows;
}

/** The place of the largest element of each vector. */
function largestOf(values: Float32Array, width: number): readonly number[] {
  return Array.from({ length: values.length / width }, (_, v) => {
    let best = 0;
    for (let i = 1; i < width; i++) {
      if ((values[v * width + i] as number) > (values[v * width + best] as number)) best = i;
    }
    return best;
  });
}

function judged(outputs: Outputs, name: string | undefined): Tensor {
  if (name !== undefined) return outputNamed(outputs, name);
  const [first] = outputs.values();
  const found = [...outputs].find(([n, value]) => isLogits(n, value))?.[1] ?? first;
  if (!found) throw new Error("a model has outputs");
  return found;
}

function outputNamed(outputs: Outputs, name: string): Tensor {
  const found = outputs.get(name);
  if (found) return found;
  return refuse(
    `the model has no output '${name}'`,
    `its outputs are ${[...outputs.keys()].join(", ")}`,
  );
}

function misfit({ values }: NumberLabels, { shape }: Tensor, each: string): never {
  const text = `${values.length} labels do not fit an output of shape [${shape.join(", ")}]`;
  return refuse(text, `give one label for each ${each}`);
}

function refuse(text: string, hint = "give the labels of exactly the inputs that run"): never {
  return fail("A430", text, { kind: "command" }, hint);
}
