/** What a chip holds, as the operators of a strip take it. */

import { bends } from "../sim/bends.ts";
import type { TileState } from "../sim/program-tiles.ts";
import type { Target } from "../target/schema.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { eachColumn, inputStep, perStep, rowsOf, type Strip, widthOf } from "./strip.ts";

/**
 * Inputs are levels of the DAC and results steps of the ADC, of which a column's normalised 1 is p.
 * - weights: f32 [rows, cols], w p times the step of the DAC;
 * - scales: f32 [cols], what a step is worth in the result, but for a range of the vector's own;
 * - bends: f32 [cols], zeta / p of the S-shaped transfer;
 * - sizes: i8 [rows, cols], |w| as whole numbers of sizeUnits, f32 [cols]; powerUnits are these times p²;
 * - distances: i8 [rows, cols], w (2 r - 1) as whole numbers, r of the IR drop; distanceUnits, f32 [cols], are theirs times p.
 */
export type Part =
  | "weights"
  | "scales"
  | "bends"
  | "sizes"
  | "sizeUnits"
  | "powerUnits"
  | "distances"
  | "distanceUnits";

/**
 * The largest whole number of a weight. Processors without an instruction for it add two products of bytes in 16 bits, and
 * inputs are at most 128.
 */
const MOST = 127;

/** What a column of zeros has as its largest. */
const SMALLEST = 1e-30;

/** 2 r - 1 of row j, with r = 1 - (1 - j/rows)² of the IR drop. */
export const distance = (j: number, rows: number): number => 1 - 2 * (1 - j / rows) ** 2;

/** What differs between chips, of one strip. */
export class StripNumbers {
  private readonly strip: Strip;
  private readonly states: readonly TileState[];
  private readonly target: Target;
  private readonly seed: number;
  /** p of each column. */
  private readonly steps: Float32Array;
  private readonly known = new Map<Part, Tensor>();

  /** `states` are those of the strip's tiles, `seed` is the chip's. */
  constructor(strip: Strip, states: readonly TileState[], target: Target, seed: number) {
    this.strip = strip;
    this.states = states;
    this.target = target;
    this.seed = seed;
    this.steps = perStep(strip, target);
  }

  get(part: Part): Tensor {
    const known = this.known.get(part);
    if (known) return known;
    switch (part) {
      case "weights":
        return this.weights();
      case "scales":
        return this.scales();
      case "bends":
        return this.bends();
      case "distances":
      case "distanceUnits":
        this.makeDistances();
        break;
      default:
        this.makeSizes();
    }
    return this.get(part);
  }

  private weights(): Tensor {
    const all = this.joined();
    const { steps } = this;
    const step = inputStep(this.target);
    const cols = steps.length;
    const unit = steps.map((p) => p * step);
    for (let from = 0; from < all.length; from += cols) {
      for (let c = 0; c < cols; c++) all[from + c] = (all[from + c] ?? 0) * (unit[c] ?? 0);
    }
    return tensor("f32", [all.length / cols, cols], all);
  }

  private scales(): Tensor {
    const isStatic = this.target.tile.dac.range === "static";
    const ranges = eachColumn(this.strip, ({ inputRange }) => (isStatic ? inputRange : 1));
    const gamma = concat(this.states.map(({ scales }) => scales));
    return columns(gamma.map((g, c) => (g * (ranges[c] ?? 1)) / (this.steps[c] ?? 1)));
  }

  private bends(): Tensor {
    const { sShape } = this.target.analog;
    if (!sShape) throw new Error("the target bends nothing");
    const drawn = this.strip.tiles.map(({ block, number }) =>
      bends(sShape, widthOf(block), this.seed >>> 0, number),
    );
    return columns(concat(drawn).map((zeta, c) => zeta / (this.steps[c] ?? 1)));
  }

  private makeSizes(): void {
    const all = this.joined();
    for (let i = 0; i < all.length; i++) all[i] = Math.abs(all[i] ?? 0);
    const { codes, units } = coded(all, this.steps.length);
    this.known.set("sizes", codes);
    this.known.set("sizeUnits", columns(units));
    this.known.set("powerUnits", columns(units.map((u, c) => u * (this.steps[c] ?? 0) ** 2)));
  }

  private makeDistances(): void {
    const all = this.joined();
    const cols = this.steps.length;
    const rows = rowsOf(this.strip);
    for (let j = 0; j < rows; j++) {
      const far = distance(j, rows);
      for (let i = j * cols; i < (j + 1) * cols; i++) all[i] = (all[i] ?? 0) * far;
    }
    const { codes, units } = coded(all, cols);
    this.known.set("distances", codes);
    this.known.set("distanceUnits", columns(units.map((u, c) => u * (this.steps[c] ?? 0))));
  }

  /** A copy of the normalised weights of all tiles, [rows, cols]. */
  private joined(): Float32Array {
    const cols = this.steps.length;
    const rows = rowsOf(this.strip);
    const all = new Float32Array(rows * cols);
    for (const [i, { at, block }] of this.strip.tiles.entries()) {
      const weights = this.states[i]?.weights ?? all;
      const width = widthOf(block);
      for (let j = 0; j < rows; j++) {
        all.set(weights.subarray(j * width, (j + 1) * width), j * cols + at);
      }
    }
    return all;
  }
}

/** Values [rows, cols] as whole numbers of a share of the largest of their column. */
function coded(
  values: Float32Array,
  cols: number,
): { readonly codes: Tensor; readonly units: Float32Array } {
  const largest = new Float32Array(cols).fill(SMALLEST);
  for (let from = 0; from < values.length; from += cols) {
    for (let c = 0; c < cols; c++) {
      const size = Math.abs(values[from + c] ?? 0);
      if (size > (largest[c] ?? 0)) largest[c] = size;
    }
  }
  const by = largest.map((size) => MOST / size);
  const codes = new Int8Array(values.length);
  for (let from = 0; from < values.length; from += cols) {
    for (let c = 0; c < cols; c++) {
      codes[from + c] = Math.round((values[from + c] ?? 0) * (by[c] ?? 0));
    }
  }
  const units = largest.map((size) => size / MOST);
  return { codes: tensor("i8", [values.length / cols, cols], codes), units };
}

const columns = (values: Float32Array): Tensor => tensor("f32", [values.length], values);

function concat(parts: readonly Float32Array[]): Float32Array {
  const [only] = parts;
  if (parts.length === 1 && only) return only;
  return Float32Array.from(parts.flatMap((part) => [...part]));
}
