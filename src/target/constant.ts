/** A constant of a target or of a device: every one carries its source. */

import { z } from "zod";

/** Far inside of single precision, in which the simulator computes, so that products of some constants are, too. */
const MOST = 1e30;
const LEAST = 1e-30;

export const source = z.string().min(1);

/** A number that stands alone is the mistake that is made most. */
const withSource = <T extends z.ZodType>(value: T) =>
  z.strictObject(
    { value, source },
    {
      error: ({ code, input }) =>
        code === "invalid_type" && input !== undefined
          ? `a constant has a source: { value: ${typeof input === "number" ? input : "…"}, source: "where it is from" }`
          : undefined,
    },
  );

export const number = withSource(z.number().min(-MOST).max(MOST));
export const positive = withSource(
  z.number().min(LEAST, `expected a number above 0, at least ${LEAST}`).max(MOST),
);
export const nonNegative = withSource(z.number().min(0).max(MOST));
export const share = withSource(z.number().min(0).max(1, "expected a share, from 0 to 1"));
export const whole = withSource(z.int().min(1));
/** At least 1. */
export const upTo = (most: number) => withSource(z.int().min(1).max(most));
/** Of a converter: single precision, in which its results are, does not tell more of them apart. */
export const bits = (least: number) => withSource(z.int().min(least).max(32));

/** What is wrong with a choice between several keys, of which a map is to have exactly one; undefined if that is not it. */
export function oneOf(keys: readonly string[], input: unknown): string | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  const present = keys.filter((key) => key in input);
  if (present.length === 1) return undefined;
  return present.length === 0
    ? `it has none of ${keys.join(", ")}: one is needed`
    : `it has ${present.join(" and ")}: only one is possible`;
}
