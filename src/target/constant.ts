/** A constant of a target or of a device: every one carries its source. */

import { z } from "zod";

/** Far inside of single precision, in which the simulator computes, so that products of some constants are, too. */
const MOST = 1e30;
const LEAST = 1e-30;

export const source = z.string().min(1);
export const number = z.strictObject({ value: z.number().min(-MOST).max(MOST), source });
export const positive = z.strictObject({
  value: z.number().min(LEAST, `expected a number above 0, at least ${LEAST}`).max(MOST),
  source,
});
export const nonNegative = z.strictObject({ value: z.number().min(0).max(MOST), source });
export const share = z.strictObject({ value: z.number().min(0).max(1), source });
export const whole = z.strictObject({ value: z.int().min(1), source });
/** At least 1. */
export const upTo = (most: number) => z.strictObject({ value: z.int().min(1).max(most), source });
/** Of a converter: single precision, in which its results are, does not tell more of them apart. */
export const bits = (least: number) =>
  z.strictObject({ value: z.int().min(least).max(32), source });
