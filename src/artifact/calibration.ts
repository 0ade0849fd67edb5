/** `calibration.json`: what each way of choosing full scales would have cost on the sample inputs, layer by layer. */

import { z } from "zod";

/** One way to choose, and what it costs over all blocks of the weight. */
const Effect = z.strictObject({
  /** `max`, `percentile:99.9`, `sigma:3` or `mse`. */
  method: z.string(),
  /** The smallest and the largest full scale of the weight's blocks, or columns. */
  low: z.number(),
  high: z.number(),
  /** Share of the values that are clipped. */
  clipped: z.number(),
  /** Expected signal-to-noise ratio of clipping and rounding, decibels; null when there is no signal or no error. */
  snrDb: z.number().nullable(),
});
export type Effect = z.infer<typeof Effect>;

const Effects = z.strictObject({ chosen: Effect, others: z.array(Effect) });
export type Effects = z.infer<typeof Effects>;

export const CalibratedWeight = z.strictObject({
  weight: z.string(),
  nodes: z.array(z.string()),
  /** Input values that were seen. */
  inputs: z.int(),
  dac: Effects,
  adc: Effects,
  columns: Effects,
});
export type CalibratedWeight = z.infer<typeof CalibratedWeight>;

export const CalibrationReport = z.strictObject({ weights: z.array(CalibratedWeight) });
export type CalibrationReport = z.infer<typeof CalibrationReport>;
