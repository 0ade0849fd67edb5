/**
 * calibrate: choose the full scale of every converter from the sample inputs.
 *
 * Before: analog linears are grids.
 * After: every aimc.mvm has `input_range`, the DAC's full scale alpha of each row block: the largest |x| of
 * the samples; and `adc_bound`, the ADC's full scale of each block in normalised units: the largest
 * |sum_j (w_ij / gamma_i) clip(x_j / alpha)| of the samples and 5 % more, at most the target's bound.
 * Why the maximum and not a percentile: transformers carry meaning in outliers, and a clipped one costs
 * more than the steps it would save. Grids of one matrix share their tiles, so also their ranges. What a
 * quantiser with constant scales gives is known without samples: its range becomes the DAC's.
 */

import { floatAttr, intsAttr } from "../src/ir/attrs.ts";
import { gridSize } from "../src/ir/dialects/aimc.ts";
import { type Attrs, isWeightRef, type Op } from "../src/ir/op.ts";
import { withAttrs } from "../src/ir/rewrite.ts";
import { observeInputs } from "./calibrate/observation.ts";
import { type Grid, largestInputs, largestSums, sampledRows } from "./calibrate/ranges.ts";
import { loadInitializer, matrixKey, matrixOf } from "./partition/matrix.ts";
import type { Pass, PassContext } from "./pass.ts";

export const calibrate: Pass = {
  name: "calibrate",
  summary: "choose the full scale of every DAC and ADC from the sample inputs",
  needs: ["partitioned"],
  gives: ["calibrated"],
  async run(module, context) {
    const grids = module.ops.filter((op) => op.kind === "aimc.mvm");
    const seen = new Map(grids.map((op) => [matrixKey(op), unseen(op)]));
    await observeInputs(module, grids, context, (op, samples) => {
      const before = seen.get(matrixKey(op));
      if (before) seen.set(matrixKey(op), withSamples(before, samples));
    });
    const ranges = rangesOf([...seen.values()], context);
    const blind = grids.filter(
      (op) => seen.get(matrixKey(op))?.rows.length === 0 && op.attrs["input_bound"] === undefined,
    );
    if (blind.length > 0) context.remark(defaultRemark(blind, grids));
    const ops = module.ops.map((op) =>
      op.kind === "aimc.mvm" ? withAttrs(op, ranges.get(matrixKey(op)) ?? {}) : op,
    );
    return { ...module, ops };
  },
};

/**
 * The DAC's full scale where nothing was observed: what AIHWKIT's StandardHWATrainingPreset starts a
 * learned input range from (commit 4545f11, presets/inference.py).
 */
const DEFAULT_RANGE = 3;

/** Head room of the ADC over the samples' maximum: other inputs reach a little further. */
const HEAD_ROOM = 1.05;

/** No bound is smaller: a block whose sums are all but zero has nothing to resolve. */
const SMALLEST_BOUND = 1 / 16;

/** One matrix and what was seen of its inputs. */
interface Seen {
  readonly op: Op;
  readonly grid: Grid;
  /** Largest |x| of each row block; 0 when nothing was seen. */
  readonly largest: readonly number[];
  /** Some input rows, in full. */
  readonly rows: readonly Float32Array[];
}

function unseen(op: Op): Seen {
  const grid = { rowSplits: intsAttr(op, "row_splits"), colSplits: intsAttr(op, "col_splits") };
  return { op, grid, largest: new Array(gridSize(op)[0]).fill(0), rows: [] };
}

function withSamples(seen: Seen, samples: readonly Float32Array[]): Seen {
  const { rowSplits } = seen.grid;
  return {
    ...seen,
    largest: largestInputs(samples, rowSplits, seen.largest),
    rows: [...seen.rows, ...sampledRows(samples, rowSplits.at(-1) ?? 1)],
  };
}

/** By matrix. Each initializer is loaded once, however many grids are slices of it. */
function rangesOf(all: readonly Seen[], context: PassContext): ReadonlyMap<string, Attrs> {
  const byInitializer = new Map<unknown, Seen[]>();
  for (const seen of all) {
    const weight = seen.op.attrs["weight"];
    const name = isWeightRef(weight) ? weight.weight : weight;
    byInitializer.set(name, [...(byInitializer.get(name) ?? []), seen]);
  }
  const ranges = new Map<string, Attrs>();
  for (const group of byInitializer.values()) {
    const [first] = group;
    if (!first || group.every((s) => s.rows.length === 0)) {
      for (const { op } of group) ranges.set(matrixKey(op), defaults(op, context));
      continue;
    }
    const initializer = loadInitializer(first.op, context.weights);
    for (const seen of group) {
      const matrix = matrixOf(seen.op, initializer);
      ranges.set(matrixKey(seen.op), measured(seen, matrix, context));
    }
  }
  return ranges;
}

/** What is known of an input without having seen it: the range of its quantiser, if it has one. */
const unseenRange = (op: Op): number => floatAttr(op, "input_bound", DEFAULT_RANGE);

function defaults(op: Op, { target }: PassContext): Attrs {
  const [rows, cols] = gridSize(op);
  return {
    input_range: new Array(rows).fill(unseenRange(op)),
    adc_bound: new Array(rows * cols).fill(target.tile.adc.bound.value),
  };
}

function measured(seen: Seen, matrix: Float32Array, context: PassContext): Attrs {
  if (seen.rows.length === 0) return defaults(seen.op, context);
  const limit = context.target.tile.adc.bound.value;
  const isStatic = seen.op.attrs["input_scale"] !== undefined;
  const ranges = seen.largest.map((v) => (v > 0 && !isStatic ? v : unseenRange(seen.op)));
  const sums = largestSums(seen.grid, matrix, seen.rows, ranges);
  return {
    input_range: ranges,
    adc_bound: sums.map((s) =>
      Math.min(limit, Math.max(SMALLEST_BOUND, Math.fround(HEAD_ROOM * s))),
    ),
  };
}

const defaultRemark = (blind: readonly Op[], grids: readonly Op[]) => ({
  text:
    `no sample shows the input of ${blind.length} of ${grids.length} analog linears: their DACs get ` +
    `the range ±${DEFAULT_RANGE} and their ADCs the target's; give samples with --data`,
  nodes: blind.flatMap((op) => op.origin),
});
