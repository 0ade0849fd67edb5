/** `manifest.json`: what was compiled, for what, by which version. */

import { z } from "zod";
import { ELEMS } from "../tensor/tensor.ts";

export const PortSpec = z.strictObject({
  name: z.string(),
  elem: z.enum(ELEMS),
  shape: z.array(z.int().nullable()),
  /** Names of the free dimensions of the file, by axis; null for a fixed one. */
  dims: z.array(z.string().nullable()),
  /** For integer inputs that index an embedding: values lie in [0, below). */
  below: z.int().optional(),
  /** For inputs that were set while compiling, which the program does not read: all values, or one for all. */
  fixed: z.array(z.number()).optional(),
});
export type PortSpec = z.infer<typeof PortSpec>;

export const Manifest = z.strictObject({
  format: z.literal("aimcc-artifact"),
  version: z.literal(1),
  compiler: z.string(),
  model: z.strictObject({
    /** As given on the command line; `sha256` decides whether a file is this model. */
    path: z.string(),
    sha256: z.string(),
    producer: z.string(),
    opset: z.int(),
    parameters: z.int(),
    inputs: z.array(PortSpec),
    outputs: z.array(PortSpec),
    /** Bound free dimensions. */
    dims: z.record(z.string(), z.int()),
  }),
  /** False when the values of weights and constants were left out; they are there otherwise. */
  images: z.boolean().optional(),
  /** The resolved target, whole: the simulator needs no other file. */
  target: z.unknown(),
  options: z.record(z.string(), z.unknown()),
  remarks: z.array(
    z.strictObject({ pass: z.string(), text: z.string(), nodes: z.array(z.string()) }),
  ),
});
export type Manifest = z.infer<typeof Manifest>;
