/** `mapping.json`: where every weight is, block by block, and how numbers pass through its converters. */

import { z } from "zod";

const count = z.int().min(0);

export const Block = z.strictObject({
  /** Rows (inputs) and columns (outputs) of the weight, half open. */
  rows: z.tuple([count, count]),
  cols: z.tuple([count, count]),
  node: count,
  tile: count,
  /** Names in tiles.safetensors: the weights [rows, cols] as the file has them. */
  values: z.string(),
  /** Name in tiles.safetensors: f32 [cols], the largest absolute weight of each column, gamma. */
  scales: z.string(),
  /** alpha of the DAC: inputs are clipped to +-input_range. */
  inputRange: z.number().positive(),
  /** Full scale of the ADC in normalised units (facts: output bound 10 for the standard model). */
  adcBound: z.number().positive(),
});
export type Block = z.infer<typeof Block>;

export const MappedWeight = z.strictObject({
  /** Unique: the initializer's name, with `#e` for slice e of a stack of experts. */
  name: z.string(),
  /** The initializer of the ONNX file, and which slice of its leading axis (stacked experts). */
  initializer: z.string(),
  slice: count.optional(),
  /** True when the file holds [out, in] and the blocks are of its transpose. */
  transposed: z.boolean(),
  rows: count,
  cols: count,
  elem: z.string(),
  module: z.string(),
  kind: z.string(),
  nodes: z.array(z.string()),
  why: z.string(),
  blocks: z.array(Block),
});
export type MappedWeight = z.infer<typeof MappedWeight>;

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
