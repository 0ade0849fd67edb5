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

import { boolAttr, floatAttr, intsAttr } from "../src/ir/attrs.ts";
import { gridSize } from "../src/ir/dialects/aimc.ts";
import type { Attrs, Op } from "../src/ir/op.ts";
import { withAttrs } from "../src/ir/rewrite.ts";
import { observeInputs } from "./calibrate/observation.ts";
import { type Grid, largestInputs, largestSums, sampledRows } from "./calibrate/ranges.ts";
import { columnsOf, matrixKey, rowsOf } from "./partition/matrix.ts";
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

const rangesOf = (all: readonly Seen[], context: PassContext): ReadonlyMap<string, Attrs> =>
  new Map(
    all.map((seen) => [
      matrixKey(seen.op),
      seen.rows.length === 0 ? defaults(seen.op, context) : measured(seen, context),
    ]),
  );

/** What is known of an input without having seen it: the range of its quantiser, if it has one. */
const unseenRange = (op: Op): number => floatAttr(op, "input_bound", DEFAULT_RANGE);

const defaults = (op: Op, { target }: PassContext): Attrs => ({
  input_range: [unseenRange(op)],
  adc_bound: [target.tile.adc.bound.value],
});

function measured(seen: Seen, context: PassContext): Attrs {
  const limit = context.target.tile.adc.bound.value;
  const isStatic = seen.op.attrs["input_scale"] !== undefined;
  const ranges = seen.largest.map((v) => (v > 0 && !isStatic ? v : unseenRange(seen.op)));
  const bounds = sumsOf(seen, ranges, context).map((s) =>
    Math.min(limit, Math.max(SMALLEST_BOUND, Math.fround(HEAD_ROOM * s))),
  );
  return { input_range: onceIfEqual(ranges), adc_bound: onceIfEqual(bounds) };
}

/** One entry stands for all. */
const onceIfEqual = (list: readonly number[]): readonly number[] =>
  list.every((v) => v === list[0]) ? list.slice(0, 1) : list;

/** Largest sums by block, row-major. The matrix is read strip by strip, as the file stores it. */
function sumsOf({ op, grid, rows }: Seen, ranges: readonly number[], context: PassContext) {
  const { weights, target } = context;
  const { scheme } = target.tile.adc;
  const { rowSplits, colSplits } = grid;
  const parts = (splits: readonly number[]) =>
    splits.slice(1).map((to, i): [number, number] => [splits[i] ?? 0, to]);
  if (!boolAttr(op, "transposed")) {
    return parts(rowSplits).flatMap(([from, to], r) => {
      const inputs = rows.map((row) => row.subarray(from, to));
      const strip = { rowSplits: [0, to - from], colSplits };
      return largestSums(
        strip,
        rowsOf(op, weights, from, to),
        inputs,
        ranges.slice(r, r + 1),
        scheme,
      );
    });
  }
  const columns = parts(colSplits).map(([from, to]) => {
    const strip = { rowSplits, colSplits: [0, to - from] };
    return largestSums(strip, columnsOf(op, weights, from, to), rows, ranges, scheme);
  });
  return ranges.flatMap((_, r) => columns.map((sums) => sums[r] ?? 0));
}

const defaultRemark = (blind: readonly Op[], grids: readonly Op[]) => ({
  text:
    `no sample shows the input of ${blind.length} of ${grids.length} analog linears: their DACs get ` +
    `the range ±${DEFAULT_RANGE} and their ADCs the target's; give samples with --data`,
  nodes: blind.flatMap((op) => op.origin),
});
