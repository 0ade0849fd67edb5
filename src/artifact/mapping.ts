/**
 * `mapping.json`: where every weight is, and how numbers pass through its converters. A weight is a grid of
 * blocks, which is said by where it is cut: the file does not grow with the number of tiles.
 */

import { z } from "zod";
import { ELEMS } from "../tensor/tensor.ts";

const count = z.int().min(0);
const positive = z.number().positive();

export const MappedWeight = z.strictObject({
  /** Unique: the initializer's name, with `#e` for slice e of a stack of experts. */
  name: z.string(),
  /** The initializer of the ONNX file, and which slice of its leading axis (stacked experts). */
  initializer: z.string(),
  slice: count.optional(),
  /** True when the file holds [out, in] and the blocks are of its transpose. */
  transposed: z.boolean(),
  /** Inputs and outputs of the matrix. */
  rows: count,
  cols: count,
  elem: z.enum(ELEMS),
  module: z.string(),
  kind: z.string(),
  nodes: z.array(z.string()),
  why: z.string(),
  /**
   * Where the matrix is cut: [0, …, rows] and [0, …, cols], rising. Block (r, c) holds rows rowSplits[r] to
   * rowSplits[r + 1] and columns colSplits[c] to colSplits[c + 1]. Lists by block are row-major.
   */
  rowSplits: z.array(count).min(2),
  colSplits: z.array(count).min(2),
  /** The tile of each block; one entry is the first of tiles that follow one another. */
  tiles: z.array(count).min(1),
  /** alpha of the DAC by row of blocks, one entry for all: inputs are clipped to +-alpha. */
  inputRange: z.array(positive).min(1),
  /** Full scale of the ADC by block, one entry for all, in normalised units (10 for the standard model). */
  adcBound: z.array(positive).min(1),
  /** Name in tiles.safetensors: the elements as the file has them [rows * cols], block after block. */
  values: z.string(),
  /**
   * Of integers that are quantised by blocks of rows: the real weight in row r and column c is
   * (value - zero) · scale with those of [floor(r / block), c]. Without, the values are the weights.
   */
  quantised: z
    .strictObject({
      block: z.int().min(1),
      /** Names in tiles.safetensors: floats and integers [ceil(rows / block), cols]; zeros are 0 without. */
      scales: z.string(),
      zeros: z.string().optional(),
    })
    .optional(),
  /** What one unit of the inputs is worth, where a quantiser gives them and so decides the input range. */
  inputScale: positive.optional(),
  /** Name in tiles.safetensors: f32 [R, cols], gamma, the largest absolute weight of a block's column. */
  scales: z.string(),
});
export type MappedWeight = z.infer<typeof MappedWeight>;

/** One block of a weight: what one tile holds. */
export interface Block {
  /** Rows (inputs) and columns (outputs) of the weight, half open. */
  readonly rows: readonly [number, number];
  readonly cols: readonly [number, number];
  /** Tile i is that of node i. */
  readonly tile: number;
  readonly inputRange: number;
  readonly adcBound: number;
  /** Its first element among the weight's values, and its first column among the scales. */
  readonly firstValue: number;
  readonly firstScale: number;
}

/** Rows and columns of the grid. */
export const gridOf = (w: Pick<MappedWeight, "rowSplits" | "colSplits">): [number, number] => [
  w.rowSplits.length - 1,
  w.colSplits.length - 1,
];

/** Number of blocks. */
export function blockCount(w: Pick<MappedWeight, "rowSplits" | "colSplits">): number {
  const [rows, cols] = gridOf(w);
  return rows * cols;
}

/** The tile of block `i`, in a list of tiles of which one entry stands for tiles that follow one another. */
export const tileOf = (tiles: readonly number[], i: number): number =>
  tiles.length === 1 ? (tiles[0] ?? 0) + i : (tiles[i] ?? 0);

/** The blocks, row-major. */
export function blocksOf(w: MappedWeight): Block[] {
  const [rows, cols] = gridOf(w);
  const once = (list: readonly number[], i: number): number => list[i] ?? list[0] ?? 0;
  return Array.from({ length: rows * cols }, (_, i) => {
    const [r, c] = [Math.floor(i / cols), i % cols];
    const [top = 0, bottom = 0] = w.rowSplits.slice(r, r + 2);
    const [left = 0, right = 0] = w.colSplits.slice(c, c + 2);
    return {
      rows: [top, bottom],
      cols: [left, right],
      tile: tileOf(w.tiles, i),
      inputRange: once(w.inputRange, r),
      adcBound: once(w.adcBound, i),
      firstValue: top * w.cols + (bottom - top) * left,
      firstScale: r * w.cols + left,
    };
  });
}

/** A LoRA side-branch: y += scale * (x A) B beside the weight. */
export const LoraBranch = z.strictObject({
  weight: z.string(),
  module: z.string(),
  rank: z.int().min(1),
  scale: z.number(),
  /** Names in lora/adapter_model.safetensors: A [rank, in], B [out, rank]. */
  a: z.string(),
  b: z.string(),
  trained: z.boolean(),
  /** ONNX tensors of the linear's input and of its result, for the reference model. */
  input: z.string().optional(),
  output: z.string().optional(),
});
export type LoraBranch = z.infer<typeof LoraBranch>;

/** A module that stays digital, and why. */
export const DigitalModule = z.strictObject({
  module: z.string(),
  kind: z.string(),
  why: z.string(),
  parameters: count,
  nodes: z.array(z.string()),
});
export type DigitalModule = z.infer<typeof DigitalModule>;

export const Mapping = z.strictObject({
  version: z.literal(1),
  weights: z.array(MappedWeight),
  digital: z.array(DigitalModule),
  lora: z.array(LoraBranch),
});
export type Mapping = z.infer<typeof Mapping>;
