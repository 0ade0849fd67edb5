/** Steps that send vectors through the tiles of a weight: which rows go, and where their results belong. */

import type { MappedWeight } from "../artifact/mapping.ts";
import type { Buffer, Step } from "../artifact/schedule.ts";
import { fromNumbers, toF32 } from "../tensor/convert.ts";
import { giveBack } from "../tensor/storage.ts";
import { type Elem, float32s, sizeOf, type Tensor } from "../tensor/tensor.ts";
import { type Crossbars, rowStarts } from "./crossbar.ts";
import { type Range, regionOf } from "./domain.ts";
import { showStep } from "./faults.ts";
import { isWhole, staticShape } from "./plan.ts";

/** Which iteration it is. */
interface When {
  /** Number of the inference in the stream. */
  readonly inference: number;
  /** Number of the iteration within the inference. */
  readonly iteration: number;
}

export class Launches {
  private readonly crossbars: Crossbars;
  private readonly weights: ReadonlyMap<string, MappedWeight>;
  private readonly buffers: ReadonlyMap<string, Buffer>;

  constructor(
    crossbars: Crossbars,
    weights: readonly MappedWeight[],
    buffers: ReadonlyMap<string, Buffer>,
  ) {
    this.crossbars = crossbars;
    this.weights = new Map(weights.map((w) => [w.name, w]));
    this.buffers = buffers;
  }

  /**
   * The result [..., cols] of an input [..., rows], behind an axis of partial sums where blocks lie above each other.
   * Rows that the routing [T, E], if there is one, does not send to the weight's expert stay 0.
   */
  run(step: Step, operands: readonly (Tensor | null)[], when: When): Tensor {
    const [x, routing] = operands;
    const weight = this.weights.get(step.weight ?? "");
    if (!x || !weight) throw new Error(`${showStep(step)} has no input or no weight`);
    const count = sizeOf(x.shape) / weight.rows;
    const groups = rowStarts(weight).length;
    const numbers = this.rowNumbers(step, when.iteration, count);
    const sums = (vectors: Float32Array, rows: readonly number[]) =>
      this.crossbars.run(weight, { x: vectors, rows, inference: when.inference });
    let data: Float32Array;
    if (routing) {
      const routed = routedRows(routing, Number(step.attrs["expert"]));
      const vectors = rowsOf(toF32(x), weight.rows, routed);
      const some = sums(
        vectors,
        routed.map((row) => numbers[row] as number),
      );
      data = spread(some, groups, routed, count, weight.cols);
      giveBack(vectors.buffer);
      giveBack(some.buffer);
    } else data = sums(toF32(x), numbers);
    const elem = this.buffers.get(step.writes[0]?.buffer ?? "")?.elem as Elem;
    const shape = [...(groups > 1 ? [groups] : []), ...x.shape.slice(0, -1), weight.cols];
    return elem === "f32" ? { elem, shape, data } : fromNumbers(elem, shape, data);
  }

  /** Numbers of the input's rows in the whole value: the same however it is cut into blocks. */
  private rowNumbers(step: Step, iteration: number, count: number): readonly number[] {
    const region = step.reads[0];
    const buffer = this.buffers.get(region?.buffer ?? "");
    if (!region || !buffer || isWhole(buffer)) return upTo(count);
    const shape = staticShape(buffer);
    // All rows there are, in order.
    if (count * (shape.at(-1) ?? 1) === sizeOf(shape)) return upTo(count);
    const ranges = regionOf(region.select, step.domain, shape, iteration);
    return flatIndices(ranges.slice(0, -1), shape.slice(0, -1));
  }
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Row-major numbers of all elements in the ranges. */
function flatIndices(ranges: readonly Range[], shape: readonly number[]): readonly number[] {
  let indices: readonly number[] = [0];
  for (const [axis, [lo, hi]] of ranges.entries()) {
    const size = shape[axis] ?? 1;
    const along = Array.from({ length: hi - lo }, (_, k) => lo + k);
    indices = indices.flatMap((at) => along.map((k) => at * size + k));
  }
  return indices;
}

/** Rows t with routing[t, expert] other than 0; routing is [T, E]. */
function routedRows(routing: Tensor, expert: number): readonly number[] {
  const [rows = 0, experts = 1] = routing.shape;
  const weights = toF32(routing);
  const chosen: number[] = [];
  for (let t = 0; t < rows; t++) if (weights[t * experts + expert] !== 0) chosen.push(t);
  return chosen;
}

function rowsOf(x: Float32Array, width: number, rows: readonly number[]): Float32Array {
  const out = float32s(rows.length * width);
  for (const [i, row] of rows.entries()) {
    out.set(x.subarray(row * width, (row + 1) * width), i * width);
  }
  return out;
}

/** Puts the computed rows of each group where they belong among `count`; the others are 0. */
function spread(
  sums: Float32Array,
  groups: number,
  rows: readonly number[],
  count: number,
  width: number,
): Float32Array {
  const out = float32s(groups * count * width);
  for (let g = 0; g < groups; g++) {
    for (const [i, row] of rows.entries()) {
      const from = (g * rows.length + i) * width;
      out.set(sums.subarray(from, from + width), (g * count + row) * width);
    }
  }
  return out;
}
