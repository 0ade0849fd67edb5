/**
 * What a machine is. Every number carries its unit in its name and, in the YAML, its source: a constant is
 * `{ value, source }`. Nothing here is code, and the compiler contains no chip's name.
 */

import { z } from "zod";
import { bits, nonNegative, number, positive, source, whole } from "./constant.ts";
import { Analog, Device } from "./device.ts";

const Dac = z.strictObject({
  source,
  bits: bits(2),
  /** Full scale in normalised units. */
  bound: positive,
  /** The input range of a block: fixed by calibration, or the largest |x| of each vector. */
  range: z.enum(["static", "abs-max"]),
});

const Adc = z
  .strictObject({
    source,
    bits: bits(1),
    /** Full scale in normalised units: no block's may be larger. */
    bound: positive,
    /** One signed conversion, or one of the positive and one of the negative current, subtracted after it. */
    scheme: z.enum(["symmetric", "two-counter"]),
    /** A vector that clips is taken as it is, or read again with its inputs halved until nothing clips. */
    whenClipped: z.enum(["saturate", "retry"]),
  })
  .refine((adc) => adc.scheme === "two-counter" || adc.bits.value > 1, {
    path: ["bits"],
    error: "a symmetric converter needs 2 bits: with one it has no step",
  });

const Tile = z.strictObject({
  rows: whole,
  cols: whole,
  dac: Dac,
  adc: Adc,
  /** One MVM: DAC, integration and ADC. */
  mvmNs: positive,
  mvmNj: positive,
  /** Digital affine stage after the ADC: one value a column takes this long. */
  affineNsPerColumn: number,
});

/**
 * Cycles of what the cores do when programs run as machine code. Latencies are from the issue of an instruction until
 * one that needs its result may be issued; a core issues one instruction a cycle, in order.
 */
const Timing = z.strictObject({
  /** Where the kind of the cores is from. */
  source,
  /** Of a load from the TCDM. */
  loadLatency: whole,
  multiplyLatency: whole,
  divideLatency: whole,
  floatLatency: whole,
  /** Division and square root of floating point. */
  floatDivideLatency: whole,
  /** What a branch takes more when it is taken. */
  takenBranch: nonNegative,
  /** Of a load from main memory. */
  mainLatency: whole,
  tcdmBanks: whole,
  /** From the arrival of the last core until all go on. */
  barrierCycles: nonNegative,
  /** From the start of a transfer until its first bytes move. */
  dmaStartCycles: nonNegative,
  /** What a core's vector unit does in a cycle, where it has one. */
  vectorBytesPerCycle: whole.optional(),
  /**
   * Instructions that the vector unit holds at most, from when a core hands one over until it is done, while the core
   * goes on. Left out: a vector instruction keeps its core until the unit has done it.
   */
  vectorQueue: whole.optional(),
});

/**
 * An array of multiply-add units beside the cores that computes X W + Z in the TCDM, programmed by registers
 * (src/artifact/matrix-engine.ts).
 */
const MatrixEngine = z.strictObject({
  /** Where its kind and format are from. */
  source,
  kind: z.literal("redmule"),
  format: z.literal("fp16"),
  /** Units that a sum passes one after the other, and rows that are computed side by side. */
  height: whole,
  width: whole,
  /** Of each unit: a sum is ready for the next one a cycle later. */
  pipelineRegisters: whole,
  /** From the trigger of a job until its first operands are asked for. */
  startCycles: nonNegative,
  /** Between the tiles of a job. */
  tileCycles: nonNegative,
});

export const KERNEL_COSTS = ["table", "measured"] as const;
export type KernelCosts = (typeof KERNEL_COSTS)[number];

const Cluster = z.strictObject({
  /** Where the cluster's kind and `isa` are from. */
  source,
  cores: whole,
  isa: z.string(),
  clockMHz: positive,
  tcdmKiB: whole,
  dmaBytesPerCycle: positive,
  /** Multiply-accumulates per cycle of the matrix engine (or of the cores, if there is none), and the share used. */
  macsPerCycle: positive,
  macUtilisation: positive,
  /** Cycles per element of a kernel on the whole cluster, by family; `elementwise` is the fallback. */
  cyclesPerElement: z.record(z.string(), positive),
  /** Whether the scheduler believes this table, or measures kernels' machine code; `table` where it is left out. */
  kernelCosts: z.enum(KERNEL_COSTS).optional(),
  /** Cycles to start a kernel or a tile. */
  launchCycles: positive,
  /** Energy of one cycle of the whole cluster, nanojoules. */
  njPerCycle: positive,
  /** Needed to run machine code. */
  timing: Timing.optional(),
  /** Used by what was compiled with `--matrix-engine`. */
  matrixEngine: MatrixEngine.optional(),
});

const Fabric = z.strictObject({
  /** Where `topology` and `multicast` are from. */
  source,
  topology: z.enum(["mesh", "5pp", "full", "bus"]),
  linkBytesPerNs: positive,
  hopNs: number,
  njPerByte: number,
  multicast: z.boolean(),
});

const machine = {
  $schema: z.string().optional(),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  summary: z.string(),
  /** One node: one tile and one cluster. `as-needed` grows with the model. */
  nodes: z.strictObject({ count: z.union([z.literal("as-needed"), z.int().min(1)]), source }),
  tile: Tile,
  cluster: Cluster,
  fabric: Fabric,
  analog: Analog,
};

/** A target as a file says it: the device model by name, by the path of its file, or written out. */
export const TargetFile = z.strictObject({ ...machine, device: z.union([z.string(), Device]) });
export type TargetFile = z.infer<typeof TargetFile>;

/** A target with nothing left to look up. */
export const Target = z.strictObject({ ...machine, device: Device });
export type Target = z.infer<typeof Target>;
