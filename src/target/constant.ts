/** A constant of a target or of a device: every one carries its source. */

import { z } from "zod";

export const source = z.string().min(1);
export const number = z.strictObject({ value: z.number(), source });
export const positive = z.strictObject({ value: z.number().positive(), source });
export const nonNegative = z.strictObject({ value: z.number().min(0), source });
export const share = z.strictObject({ value: z.number().min(0).max(1), source });
export const whole = z.strictObject({ value: z.int().min(1), source });
