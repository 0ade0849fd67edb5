/** The full scales of one matrix on tiles, chosen from samples of its inputs, and what they cost. */

import type { CalibratedWeight, Effects } from "../../src/artifact/calibration.ts";
import { boolAttr, floatAttr, intsAttr } from "../../src/ir/attrs.ts";
import { gridSize } from "../../src/ir/dialects/aimc.ts";
import type { Attrs, Op } from "../../src/ir/op.ts";
import { programmingError } from "../../src/target/device-error.ts";
import type { Target } from "../../src/target/schema.ts";
import { type ColumnChoice, columnOf } from "../../src/tensor/column-scales.ts";
import {
  type Choice,
  Distribution,
  type ErrorOf,
  fullScale,
  LARGEST,
  rounding,
  type Seen,
} from "../../src/tensor/full-scale.ts";
import type { Calibration } from "../options.ts";
import { columnsOf, rowsOf, weightName } from "../partition/matrix.ts";
import type { PassContext } from "../pass.ts";
import { effectOf, effectsOf } from "./effects.ts";
import { addInputs, type Grid, sampledRows, sumsOf } from "./ranges.ts";

/**
 * The DAC's full scale where nothing was observed: what AIHWKIT's StandardHWATrainingPreset starts a
 * learned input range from (commit 4545f11, presets/inference.py).
 */
export const DEFAULT_RANGE = 3;

/** Head room of the ADC over the samples' maximum: other inputs reach a little further. */
export const HEAD_ROOM = 1.05;

/** No bound is smaller: a block whose sums are all but zero has nothing to resolve. */
export const SMALLEST_BOUND = 1 / 16;

/** Columns of each block whose weights are looked at to say what clipping costs. */
const COLUMNS_SEEN = 16;

/** One matrix and what was seen of its inputs. */
export interface Matrix {
  readonly op: Op;
  /** ONNX nodes of all its grids. */
  readonly nodes: readonly string[];
  readonly grid: Grid;
  /** Inputs of each row block. */
  readonly inputs: readonly Distribution[];
  /** Some input rows, in full. */
  readonly rows: readonly Float32Array[];
}

export function unseen(op: Op): Matrix {
  const grid = { rowSplits: intsAttr(op, "row_splits"), colSplits: intsAttr(op, "col_splits") };
  const inputs = Array.from({ length: gridSize(op)[0] }, () => new Distribution());
  return { op, nodes: [], grid, inputs, rows: [] };
}

export function withSamples(matrix: Matrix, op: Op, samples: readonly Float32Array[]): Matrix {
  const { rowSplits } = matrix.grid;
  addInputs(samples, rowSplits, matrix.inputs);
  const rows = [...matrix.rows, ...sampledRows(samples, rowSplits.at(-1) ?? 1)];
  return { ...matrix, nodes: [...matrix.nodes, ...op.origin], rows };
}

/** Nothing but zeros was seen of an input, or nothing at all. */
const isDark = (seen: Seen | undefined): boolean => (seen?.largest ?? 0) === 0;

/** Whether no sample says how large the inputs of a matrix are. */
export const saysNothing = ({ inputs }: Matrix): boolean => inputs.every((d) => isDark(d.seen()));

/** What is known of an input without having seen it: the range of its quantiser, if it has one. */
export const unseenRange = (op: Op): number => floatAttr(op, "input_bound", DEFAULT_RANGE);

const ALL_LARGEST: Calibration = { dac: LARGEST, adc: LARGEST, columns: LARGEST };

/** Ranges and bounds as attributes, and their cost. */
export function measured(
  matrix: Matrix,
  { target, options, weights }: PassContext,
): { readonly attrs: Attrs; readonly report: CalibratedWeight } {
  const { op } = matrix;
  const ways = options.calibration ?? ALL_LARGEST;
  const inputs = matrix.inputs.map((d) => d.seen());
  const dac = new InputRanges(op, target);
  const ranges = inputs.map((seen) => dac.rangeOf(ways.dac, seen));
  const columns = { choice: ways.columns, errorAt: programmingError(target.device) };
  const { sums, held } = valuesOf(matrix, ranges, { target, weights, columns });
  const adc = new Bounds(target);
  // Sums of inputs of which only zeros were seen say nothing of what others will reach.
  const dark = new Set(
    sums.filter((_, i) => isDark(inputs[Math.floor(i / (sums.length / inputs.length))])),
  );
  const boundOf = (way: Choice, seen: Seen) =>
    dark.has(seen) ? adc.limit : adc.boundOf(way, seen);
  const bounds = sums.map((seen) => boundOf(ways.adc, seen));
  return {
    attrs: { input_range: onceIfEqual(ranges), adc_bound: onceIfEqual(bounds) },
    report: {
      weight: weightName(op),
      nodes: [...matrix.nodes],
      inputs: inputs.reduce((n, { total }) => n + total, 0),
      dac: dac.effects(ways.dac, inputs),
      adc: effectsOf("adc", ways.adc, sums, adc.errorAt, boundOf),
      columns: effectsOf("columns", ways.columns, held, columns.errorAt),
    },
  };
}

class InputRanges {
  private readonly op: Op;
  private readonly dac: Target["tile"]["dac"];
  private readonly errorAt: ErrorOf;

  constructor(op: Op, { tile }: Target) {
    this.op = op;
    this.dac = tile.dac;
    this.errorAt = rounding(2 ** (tile.dac.bits.value - 1) - 1);
  }

  /** A quantiser with constant scales knows the range without samples. */
  private readonly isGiven = (): boolean => this.op.attrs["input_scale"] !== undefined;

  /** alpha: inputs of alpha times the DAC's bound are its full scale. */
  rangeOf(way: Choice, seen: Seen): number {
    if (this.isGiven()) return unseenRange(this.op);
    const scale = fullScale(way, seen, this.errorAt) / this.dac.bound.value;
    return scale > 0 ? scale : unseenRange(this.op);
  }

  effects(way: Choice, inputs: readonly Seen[]): Effects {
    const bound = this.dac.bound.value;
    const scaleOf = (choice: Choice, seen: Seen) => bound * this.rangeOf(choice, seen);
    if (!this.isGiven() && this.dac.range === "static") {
      return effectsOf("dac", way, inputs, this.errorAt, scaleOf);
    }
    const method = this.isGiven() ? "quantiser" : "abs-max";
    const scale = (seen: Seen) => scaleOf(LARGEST, seen);
    return { chosen: effectOf(method, inputs, scale, this.errorAt), others: [] };
  }
}

class Bounds {
  /** The target's own. */
  readonly limit: number;
  readonly errorAt: ErrorOf;

  constructor({ tile: { adc } }: Target) {
    this.limit = adc.bound.value;
    const isSigned = adc.scheme === "symmetric";
    this.errorAt = rounding(2 ** (isSigned ? adc.bits.value - 1 : adc.bits.value) - 1);
  }

  boundOf(way: Choice, seen: Seen): number {
    const room = way.method === "max" ? HEAD_ROOM : 1;
    const scale = Math.fround(room * fullScale(way, seen, this.errorAt));
    return Math.min(this.limit, Math.max(SMALLEST_BOUND, scale));
  }
}

/** One entry stands for all. */
const onceIfEqual = (list: readonly number[]): readonly number[] =>
  list.every((v) => v === list[0]) ? list.slice(0, 1) : list;

interface Given {
  readonly target: Target;
  readonly weights: PassContext["weights"];
  readonly columns: ColumnChoice;
}

/**
 * The sums of each block, row-major, and the weights of some columns. The matrix is read strip by strip, as the
 * file stores it.
 */
function valuesOf(
  { op, grid, rows }: Matrix,
  ranges: readonly number[],
  { target, weights, columns }: Given,
): { readonly sums: readonly Seen[]; readonly held: readonly Seen[] } {
  const { dac, adc } = target.tile;
  const how = { scheme: adc.scheme, range: dac.range, bound: dac.bound.value, columns };
  const { rowSplits, colSplits } = grid;
  const held: Seen[] = [];
  const look = (strip: Grid, matrix: Float32Array, inputs: typeof rows, own: typeof ranges) => {
    held.push(...someColumns(strip, matrix));
    return sumsOf(strip, matrix, inputs, own, how).map((d) => d.seen());
  };
  if (!boolAttr(op, "transposed")) {
    const sums = parts(rowSplits).flatMap(([from, to], r) => {
      const inputs = rows.map((row) => row.subarray(from, to));
      const strip = { rowSplits: [0, to - from], colSplits };
      return look(strip, rowsOf(op, weights, from, to), inputs, ranges.slice(r, r + 1));
    });
    return { sums, held };
  }
  const strips = parts(colSplits).map(([from, to]) => {
    const strip = { rowSplits, colSplits: [0, to - from] };
    return look(strip, columnsOf(op, weights, from, to), rows, ranges);
  });
  return { sums: ranges.flatMap((_, r) => strips.flatMap((s) => s.slice(r, r + 1))), held };
}

const parts = (splits: readonly number[]): readonly (readonly [number, number])[] =>
  splits.slice(1).map((to, i) => [splits[i] ?? 0, to]);

/** Evenly spaced columns of each row block. */
function someColumns({ rowSplits, colSplits }: Grid, matrix: Float32Array): Seen[] {
  const cols = colSplits.at(-1) ?? 0;
  const step = Math.max(1, Math.floor(cols / COLUMNS_SEEN));
  return parts(rowSplits).flatMap(([from, to]) => {
    const block = matrix.subarray(from * cols, to * cols);
    const count = Math.min(COLUMNS_SEEN, Math.ceil(cols / step));
    return Array.from({ length: count }, (_, i) => columnOf(block, cols, i * step));
  });
}
