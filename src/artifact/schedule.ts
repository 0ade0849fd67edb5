/**
 * `schedule.json`: the program. What every cluster executes, on which data, after what.
 *
 * This file and its neighbours are the contract between compiler and simulator: both read it, and
 * neither knows the other.
 *
 * Iterations. A step repeats over (batch b, token block t), b-major: iteration i has b = floor(i / n)
 * and t = i mod n, with n = ceil(tokens / block). It handles tokens t*block .. min(tokens, (t+1)*block).
 * A one-shot step has batch = tokens = block = 1. A new inference starts over; iterations are then
 * counted on: iteration i of inference k is number k * (batch * n) + i.
 */

import { z } from "zod";
import { ELEMS } from "../tensor/tensor.ts";

const count = z.int().min(0);
const positive = z.int().min(1);

export const Domain = z.strictObject({ batch: positive, tokens: positive, block: positive });
export type Domain = z.infer<typeof Domain>;

/**
 * Which indices of one axis an iteration touches:
 * `all` the whole axis; `batch` index b; `token` the iteration's tokens; `row` the flattened
 * b * tokens + token; `upto` 0 up to the last of its tokens plus offset; `window` the last `width`
 * indices before and including (token + offset), over all its tokens.
 */
export const Select = z.union([
  z.literal("all"),
  z.literal("batch"),
  z.literal("token"),
  z.literal("row"),
  z.strictObject({ upto: z.int() }),
  z.strictObject({ window: positive, offset: z.int() }),
]);
export type Select = z.infer<typeof Select>;

/** A region of a buffer or of a constant of `digital.safetensors`: one selection per axis. */
export const Region = z.strictObject({
  buffer: z.string().optional(),
  constant: z.string().optional(),
  select: z.array(Select),
});
export type Region = z.infer<typeof Region>;

/**
 * An iteration of another step as a function of this step's (b, t):
 * batch: `same` b, `first` 0, `last` the last one; token: clamp(floor((mul*t + add) / div), 0, n-1)
 * where n is the other step's number of token blocks, or `first`, `last`.
 */
export const Relation = z.strictObject({
  batch: z.enum(["same", "first", "last"]),
  token: z.union([
    z.literal("first"),
    z.literal("last"),
    z.strictObject({ mul: z.int(), add: z.int(), div: positive }),
  ]),
});
export type Relation = z.infer<typeof Relation>;

/**
 * `waits[k]` guards `reads[k]`, in the order of the reads that name buffers: the step starts an iteration
 * only when `step` has finished iteration `newest` of the same inference. Graph inputs are written by
 * step "host".
 */
export const Wait = z.strictObject({ buffer: z.string(), step: z.string(), newest: Relation });
export type Wait = z.infer<typeof Wait>;

/**
 * Before writing block number g of a buffer (counted over inferences), the step waits until `reader` has
 * finished the iteration that reads block g - distance for the last time: `release` gives it from the
 * (b, t) of that block. Graph outputs have the reader "host", which takes each block as it is written: its
 * iterations are the blocks of that buffer.
 */
export const Credit = z.strictObject({
  buffer: z.string(),
  reader: z.string(),
  distance: positive,
  release: Relation,
});
export type Credit = z.infer<typeof Credit>;

export const Step = z.strictObject({
  id: z.string(),
  /** `mvm` launches tiles; every other name is a digital kernel: `Add`, `Softmax`, `nn.attention`, … */
  kernel: z.string(),
  /** The kernel's attributes, as its operation has them. */
  attrs: z.record(z.string(), z.unknown()),
  /** The cluster whose cores run the kernel, or which starts the tiles. */
  cluster: count,
  /** Only for `mvm`: the weight in mapping.json. */
  weight: z.string().optional(),
  /** Only for `mvm`: the tile of each block; one entry is the first of tiles that follow one another. */
  tiles: z.array(count).optional(),
  domain: Domain,
  /** Operands in order; null for an absent one. */
  reads: z.array(Region.nullable()),
  /** Results in order. */
  writes: z.array(Region),
  waits: z.array(Wait),
  credits: z.array(Credit),
  /** Buffers whose readers are told when an iteration is finished. */
  signals: z.array(z.string()),
  /** Module path of the network, and ONNX nodes. */
  module: z.string(),
  nodes: z.array(z.string()),
  /** Predicted time of one full iteration in nanoseconds, from the target's cost tables. */
  cost: z.strictObject({ digitalNs: z.number(), tileNs: z.number(), energyNj: z.number() }),
});
export type Step = z.infer<typeof Step>;

export const Buffer = z.strictObject({
  id: z.string(),
  elem: z.enum(ELEMS),
  /** Logical shape of one inference; null where only the data decides (never in a ring of blocks). */
  shape: z.array(z.int().nullable()),
  /** Step that writes it; "host" for graph inputs. */
  writer: z.string(),
  /** Domain of the writer: one block per iteration. */
  domain: Domain,
  select: z.array(Select),
  /** Blocks that the ring holds: block number g lies in slot g mod capacity. */
  capacity: positive,
  /** Cluster whose TCDM holds it. */
  cluster: count,
  /** The ONNX tensor with the same values, if there is one. */
  tensor: z.string().optional(),
  nodes: z.array(z.string()),
});
export type Buffer = z.infer<typeof Buffer>;

const ClusterProgram = z.strictObject({
  cluster: count,
  /** Step ids in order of priority: the cluster runs the first whose next iteration may start. */
  steps: z.array(z.string()),
});

export const Schedule = z.strictObject({
  version: z.literal(1),
  /**
   * Graph inputs, written by step "host". Their rings hold a whole inference; `credits` say when the
   * blocks of a later inference may overwrite them.
   */
  inputs: z.array(
    z.strictObject({
      name: z.string(),
      buffer: z.string(),
      credits: z.array(Credit).optional(),
    }),
  ),
  outputs: z.array(
    z.strictObject({
      name: z.string(),
      buffer: z.string().optional(),
      constant: z.string().optional(),
    }),
  ),
  buffers: z.array(Buffer),
  steps: z.array(Step),
  clusters: z.array(ClusterProgram),
});
export type Schedule = z.infer<typeof Schedule>;
