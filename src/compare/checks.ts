/** What one simulation is held against: the outputs of every inference, the layers of the first. */

import type { MappedWeight } from "../artifact/mapping.ts";
import { isLogits } from "../metric/metric.ts";
import type { Artifact } from "../sim/load.ts";
import { toF32 } from "../tensor/convert.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { argmaxAgreement, type Difference, differenceOf } from "./difference.ts";
import { CLOSE, type OriginalRun } from "./original-run.ts";

type Tensors = ReadonlyMap<string, Tensor>;

export interface OutputCheck {
  readonly output: string;
  readonly against: "ONNX Runtime" | "recorded";
  readonly difference: Difference;
  /** Share of vectors with the same largest element, for outputs that are logits. */
  readonly argmax?: number | undefined;
  /**
   * Part of the error that is rounding, in the same measure: what ONNX Runtime's own ways to compute the model
   * are apart.
   */
  readonly rounding?: number | undefined;
  /** How many values of the expected output are NaN or infinite, where some are: only equality is judged there. */
  readonly notFinite?: number | undefined;
  /** Of a recorded output: how far ONNX Runtime itself is from it, where that is more than rounding. */
  readonly original?: number | undefined;
}

export interface LayerCheck {
  readonly tensor: string;
  readonly step: string;
  readonly kernel: string;
  readonly module: string;
  readonly weight?: string | undefined;
  readonly nodes: readonly string[];
  readonly difference: Difference;
}

export function outputChecks(
  { manifest }: Artifact,
  actual: Tensors,
  original: OriginalRun,
  recorded: Tensors,
): OutputCheck[] {
  const check = (output: string, against: OutputCheck["against"], expected: Tensor | undefined) => {
    const value = actual.get(output);
    if (!expected) return [];
    const difference = differenceOf(value, expected);
    const isRecorded = against === "recorded";
    const ties = difference.relative > CLOSE ? original.ties.get(output) : undefined;
    const rounded = (isRecorded ? original.rounding.get(output) : undefined) ?? ties;
    const strange = isRecorded && rounded === undefined ? original.strange.get(output) : undefined;
    const facts = {
      output,
      against,
      difference,
      ...(rounded !== undefined && { rounding: rounded }),
      ...(strange !== undefined && { original: strange }),
      ...countOdd(expected),
    };
    const comparable = value?.data.length === expected.data.length;
    if (!comparable || !isLogits(output, expected)) return [facts];
    return [{ ...facts, argmax: argmaxAgreement(value as Tensor, expected) }];
  };
  return manifest.model.outputs.flatMap(({ name }) => [
    ...check(name, "ONNX Runtime", original.outputs.get(name)),
    ...check(name, "recorded", recorded.get(name)),
  ]);
}

function countOdd(value: Tensor): Pick<OutputCheck, "notFinite"> {
  let notFinite = 0;
  for (const v of toF32(value)) if (!Number.isFinite(v)) notFinite += 1;
  return notFinite > 0 ? { notFinite } : {};
}

/** In the order of the program. */
export function layerChecks(
  { schedule, mapping }: Artifact,
  actual: Tensors,
  expected: Tensors,
): LayerCheck[] {
  const steps = new Map(schedule.steps.map((s, i) => [s.id, { ...s, place: i }]));
  const checks = schedule.buffers.flatMap((buffer) => {
    const step = steps.get(buffer.writer);
    const value = expected.get(buffer.tensor ?? "");
    const own = actual.get(buffer.tensor ?? "");
    // An exported model keeps one name of a value that has several.
    if (!step || !value || !own || buffer.tensor === undefined) return [];
    const weight = step.weight ?? weightBehind(mapping.weights, step);
    const difference = differenceOf(own, value);
    const { id, kernel, module, nodes, place } = step;
    const check: LayerCheck = {
      tensor: buffer.tensor,
      step: id,
      kernel,
      module,
      ...(weight !== undefined && { weight }),
      nodes,
      difference,
    };
    return [{ place, check }];
  });
  return checks.sort((a, b) => a.place - b.place).map(({ check }) => check);
}

/** Sums, biases and side-branches stand for the weight whose module or nodes they share. */
const weightBehind = (
  weights: readonly MappedWeight[],
  step: { readonly nodes: readonly string[] },
): string | undefined => weights.find((w) => w.nodes.some((n) => step.nodes.includes(n)))?.name;
