/**
 * What the devices of a cell do to the weight that is programmed into them: a device model is a data file under
 * `devices/`, or one of the user's. Nothing here is code. docs/numerics.md has the formulas.
 */

import { z } from "zod";
import { nonNegative, number, oneOf, positive, share, source, upTo, whole } from "./constant.ts";
import { ExponentCurve, largestOf, SpreadCurve } from "./curve.ts";

/** Addresses of noise (src/sim/noise-address.ts) have 8 bits for the device, and 16 for the attempt. */
const MOST_DEVICES = 256;
/** Chips are given up on after 30 or 55; each one costs a draw for every device. */
const MOST_ITERATIONS = 1000;

const Programming = z.strictObject({
  /** Standard deviation of what is programmed, in the device's unit, as a function of the target x. */
  sigma: SpreadCurve,
  /**
   * What `sigma` is a share of: of the conductance scale of the column, or of the largest weight of the whole
   * matrix, so that columns with small weights suffer more.
   */
  relativeTo: z.enum(["column", "layer"]),
  /** Targets below this many units are programmed as 0 without noise. */
  zeroBelow: nonNegative.optional(),
  /** Programming is repeated until the device is within `margin` of its target, at most so often. */
  verify: z.strictObject({ margin: positive, iterations: upTo(MOST_ITERATIONS) }).optional(),
});

const Drift = z.strictObject({
  /** g(t) = g_P ((t + t0) / t0)^-nu with nu = |N(mean(x), deviation(x))|. */
  t0Seconds: positive,
  mean: ExponentCurve,
  deviation: SpreadCurve,
});

const Flicker = z.strictObject({
  /** sigma = g Q(g_P / g_max) sqrt(ln((t + t0 + tRead) / (2 tRead))): the 1/f noise until time t. */
  tReadSeconds: positive,
  q: SpreadCurve,
});

const Faults = z
  .strictObject({
    /** Shares of all devices that hold 0, and g_max, whatever is programmed. */
    stuckOff: share,
    stuckOn: share,
  })
  .refine(
    ({ stuckOff, stuckOn }) => stuckOff.value + stuckOn.value <= 1,
    "stuckOff and stuckOn are shares of all devices: together at most 1",
  );

const Compensation = z.strictObject({
  /**
   * One digital factor a tile, the ratio of its response after programming to that when it was last measured: to
   * one-hot inputs, one row at a time, or to all rows at once.
   */
  readOut: z.enum(["one-hot", "all-ones"]),
  /** When it is measured, since the end of programming: so often, or at these times. Absent: right before every use. */
  schedule: z
    .union(
      [
        z.strictObject({ everySeconds: positive }),
        z.strictObject({ atSeconds: z.array(z.number().positive()).min(1), source }),
      ],
      { error: ({ input }) => oneOf(["everySeconds", "atSeconds"], input) },
    )
    .optional(),
  source,
});
export type Compensation = z.infer<typeof Compensation>;

/** When the tiles were last measured before a time; null when they were not yet. */
export function lastMeasured({ schedule }: Compensation, timeSeconds: number): number | null {
  if (!schedule) return timeSeconds;
  const times =
    "atSeconds" in schedule
      ? schedule.atSeconds.filter((t) => t <= timeSeconds)
      : [schedule.everySeconds.value * Math.floor(timeSeconds / schedule.everySeconds.value)];
  const last = Math.max(0, ...times);
  return last > 0 ? last : null;
}

const described = z.strictObject({
  $schema: z.string().optional(),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  summary: z.string(),
  source,
  /** The unit of `gMax`, of programming noise and of margins. */
  unit: z.enum(["microsiemens", "counts"]),
  /** Conductance of one device at the largest weight. */
  gMax: positive,
  /** Devices in parallel a polarity; they share the weight evenly, and each draws its own noise. */
  devicesPerPolarity: upTo(MOST_DEVICES),
  /**
   * How a signed weight is held: by a differential pair of which both devices are noisy, by one of which only the
   * device that carries the weight is, or as a signed number whose noise may change its sign (`signed`).
   */
  pair: z.enum(["both", "active", "signed"]),
  /** Conductance levels a polarity; absent: continuous. */
  levels: whole.optional(),
  programming: Programming,
  drift: Drift.optional(),
  flicker: Flicker.optional(),
  faults: Faults.optional(),
  compensation: Compensation.optional(),
});

/** Times gMax: what is programmed with a larger deviation holds nothing. */
const MOST_SPREAD = 100;

export const Device = described
  .refine(({ programming: { zeroBelow }, gMax }) => (zeroBelow?.value ?? 0) < gMax.value, {
    path: ["programming", "zeroBelow"],
    error: "it is not below gMax: no weight would be programmed",
  })
  .refine(({ programming: { sigma }, gMax }) => largestOf(sigma) <= MOST_SPREAD * gMax.value, {
    path: ["programming", "sigma"],
    error: `more than ${MOST_SPREAD} times gMax: sigma is in the unit of gMax, as a function of x = g / gMax`,
  });
export type Device = z.infer<typeof Device>;

/** What the array and its periphery add to every product, in normalised units: weights and inputs in [-1, 1]. */
export const Analog = z.strictObject({
  source,
  /** Additive, per read of an ADC. */
  outputNoise: nonNegative,
  /** Short-term read noise of the devices: sigma sqrt(sum |w| x^2), per vector. */
  readNoise: nonNegative,
  irDrop: z.strictObject({ scale: nonNegative, wireOhm: positive, gMaxSiemens: positive }),
  /** S-shaped transfer z / (1 + zeta |z|), zeta = |N(mean, deviation)| once a column. Absent: linear. */
  sShape: z.strictObject({ mean: number, deviation: nonNegative }).optional(),
});
export type Analog = z.infer<typeof Analog>;
