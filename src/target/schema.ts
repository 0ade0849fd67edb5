/**
 * What a machine is. Every number carries its unit in its name and, in the YAML, its source: a constant is
 * `{ value, source }`. Nothing here is code, and the compiler contains no chip's name.
 */

import { z } from "zod";

const source = z.string().min(1);
const number = z.strictObject({ value: z.number(), source });
const positive = z.strictObject({ value: z.number().positive(), source });
const whole = z.strictObject({ value: z.int().min(1), source });

/**
 * A function of the normalised conductance x = g / g_max, in pieces: the first piece with x < `below`
 * holds (the last has no bound). A piece is a polynomial (coefficients of x^0, x^1, …), a clamped
 * logarithm clamp(slope * ln x + offset; low..high), or a capped power min(scale * x^exponent, cap).
 */
const Piece = z.union([
  z.strictObject({ below: z.number().optional(), polynomial: z.array(z.number()).min(1) }),
  z.strictObject({
    below: z.number().optional(),
    log: z.strictObject({
      slope: z.number(),
      offset: z.number(),
      low: z.number(),
      high: z.number(),
    }),
  }),
  z.strictObject({
    below: z.number().optional(),
    power: z.strictObject({ scale: z.number(), exponent: z.number(), cap: z.number() }),
  }),
]);
const Curve = z.strictObject({ pieces: z.array(Piece).min(1), source });
export type Curve = z.infer<typeof Curve>;

const Converter = z.strictObject({
  bits: whole,
  /** Full scale in normalised units: 1 for the DAC, 10 for the ADC of the standard model. */
  bound: positive,
});

const Noise = z.strictObject({
  name: z.string(),
  /** Where the model as a whole is from: the choice of `pair` and `driftCompensation` too. */
  source,
  /** Standard deviation of programming, in microsiemens. */
  programming: Curve,
  drift: z.strictObject({
    t0Seconds: positive,
    /** Mean and standard deviation of the exponent nu. */
    mean: Curve,
    deviation: Curve,
  }),
  read: z.strictObject({
    /** 1/f noise: sigma = g * Q(x) * sqrt(ln((t + t0 + tRead) / (2 tRead))). */
    tReadSeconds: positive,
    q: Curve,
    /** Short-term read noise: sigma * sqrt(sum |w| x^2), per vector. */
    shortTerm: number,
  }),
  /** Additive, per ADC read, in normalised units. */
  output: number,
  irDrop: z.strictObject({
    scale: number,
    wireOhm: positive,
    gMaxSiemens: positive,
  }),
  /** Both devices of the pair drift and are noisy, or only the one that carries the weight. */
  pair: z.enum(["both", "active"]),
  /** Global drift compensation, one factor a tile. */
  driftCompensation: z.boolean(),
});

const Tile = z.strictObject({
  rows: whole,
  cols: whole,
  gMaxMicrosiemens: positive,
  /** Conductance levels a polarity; absent: continuous. */
  levels: whole.optional(),
  dac: Converter,
  adc: Converter,
  /** One MVM: DAC, integration and ADC. */
  mvmNs: positive,
  mvmNj: positive,
  /** Digital affine stage after the ADC: one value a column takes this long. */
  affineNsPerColumn: number,
});

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
  /** Cycles to start a kernel or a tile. */
  launchCycles: positive,
  /** Energy of one cycle of the whole cluster, nanojoules. */
  njPerCycle: positive,
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

export const Target = z.strictObject({
  $schema: z.string().optional(),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  summary: z.string(),
  /** One node: one tile and one cluster. `as-needed` grows with the model. */
  nodes: z.strictObject({ count: z.union([z.literal("as-needed"), z.int().min(1)]), source }),
  tile: Tile,
  cluster: Cluster,
  fabric: Fabric,
  noise: Noise,
});
export type Target = z.infer<typeof Target>;
