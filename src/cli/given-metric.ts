/** `--metric` and `--labels`. */

import { existsSync, readFileSync } from "node:fs";
import { fail, inFile } from "../diag/diagnostic.ts";
import { type Labels, labelsOfTensor, parseLabels } from "../metric/labels.ts";
import { METRICS, type Metric, type MetricName, metricOf } from "../metric/metric.ts";
import { tensorCalled } from "./given-inputs.ts";

export interface MetricOptions {
  readonly metric?: string;
  readonly labels?: string;
}

const isMetric = (name: string): name is MetricName =>
  (METRICS as readonly string[]).includes(name);

/** Errors: A008 when a metric is not known, or lacks its labels; A420, A430 and A434 for the labels. */
export function givenMetric({ metric, labels }: MetricOptions): Metric | undefined {
  const at = { kind: "command" } as const;
  if (metric === undefined && labels === undefined) return undefined;
  const all = `the metrics are ${METRICS.join(", ")}`;
  if (metric === undefined) return fail("A008", "--labels needs a --metric", at, all);
  if (!isMetric(metric)) return fail("A008", `there is no metric '${metric}'`, at, all);
  if (labels === undefined) {
    const hint = "give the right answers: --labels FILE";
    return fail("A008", `--metric ${metric} needs labels`, at, hint);
  }
  return metricOf(metric, readLabels(labels));
}

function readLabels(file: string): Labels {
  if (!file.endsWith(".json")) return labelsOfTensor(tensorCalled("labels", file));
  if (existsSync(file)) return parseLabels(readFileSync(file, "utf8"), file);
  return fail("A420", "the labels file is not there", inFile(file), "give another --labels");
}
