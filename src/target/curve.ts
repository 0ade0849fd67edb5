/**
 * Curves of device models: functions of the normalised conductance x = g / g_max >= 0, in pieces. The first
 * piece with x < `below` holds, the last has no bound. Compiler, simulator and drawings share this one reading
 * of them; the simulator's fast one (src/sim/device-curves.ts) is tested against it.
 */

import { z } from "zod";
import { oneOf, source } from "./constant.ts";

const bounds = { below: z.number().positive().optional() };
const clamp = { low: z.number().optional(), high: z.number().optional() };
const coefficients = z.array(z.number()).min(1).max(10);

/**
 * A piece is a polynomial in x (coefficients of x^0, x^1, …), a polynomial in ln x, or a power scale * x^exponent;
 * each may be clamped to low..high. In logarithms and powers x is at least 1e-7.
 */
const Piece = z.union(
  [
    z.strictObject({ ...bounds, polynomial: coefficients, ...clamp }),
    z.strictObject({ ...bounds, logarithmic: coefficients, ...clamp }),
    z.strictObject({
      ...bounds,
      power: z.strictObject({ scale: z.number(), exponent: z.number() }),
      ...clamp,
    }),
  ],
  { error: ({ input }) => oneOf(["polynomial", "logarithmic", "power"], input) },
);
export type Piece = z.infer<typeof Piece>;

const Pieces = z
  .array(Piece)
  .min(1)
  .max(8)
  .refine(
    (pieces) => pieces.every(({ below }, i) => (below === undefined) === (i === pieces.length - 1)),
    { error: "every piece but the last needs a 'below'", abort: true },
  )
  .refine(
    (pieces) =>
      pieces.every(
        ({ below }, i) => i === 0 || below === undefined || below > (pieces[i - 1]?.below ?? 0),
      ),
    { error: "the 'below' of the pieces must grow", abort: true },
  )
  .refine((pieces) => pieces.every(({ low = -Infinity, high = Infinity }) => low <= high), {
    error: "the 'low' of a piece must not be above its 'high'",
    abort: true,
  });

/** Places between 0 and 1 at which a curve is looked at. */
const LOOKS = 1024;

/** Where a curve is negative or no number; of one without pieces, which is refused by their number, nothing is asked. */
function firstWrong(pieces: Piece[]): number | undefined {
  const places = Array.from({ length: pieces.length === 0 ? 0 : LOOKS + 1 }, (_, i) => i / LOOKS);
  return places.find((x) => {
    const value = evaluateCurve({ pieces }, x);
    return !(value >= 0 && Math.fround(value) < Infinity);
  });
}

/** A curve of what has no sign. */
const unsigned = (what: string) =>
  z.strictObject({
    pieces: Pieces.superRefine((pieces, { addIssue }) => {
      const x = firstWrong(pieces);
      if (x === undefined) return;
      const found = `it is ${Number(evaluateCurve({ pieces }, x).toPrecision(4))} at x = ${x}`;
      addIssue({
        code: "custom",
        message: `${what} must be finite and not negative for x from 0 to 1: ${found}`,
        continue: false,
      });
    }),
    source,
  });

export const SpreadCurve = unsigned("a standard deviation");
export type Curve = z.infer<typeof SpreadCurve>;

/** Devices lose conductance: of an exponent that is drawn the magnitude counts. */
export const ExponentCurve = unsigned("a mean drift exponent");

/** The largest value of a curve for x from 0 to 1; of one without pieces, which is refused by their number, 0. */
export const largestOf = ({ pieces }: Pick<Curve, "pieces">): number => {
  const places = Array.from({ length: pieces.length === 0 ? 0 : LOOKS + 1 }, (_, i) => i / LOOKS);
  return Math.max(0, ...places.map((x) => evaluateCurve({ pieces }, x)));
};

/** Below this x logarithms and powers stop growing, as in AIHWKIT's noise/pcm.py (commit 4545f11). */
export const SMALLEST_X = 1e-7;

/** The curve at x >= 0, in the unit of the curve. */
export function evaluateCurve(curve: Pick<Curve, "pieces">, x: number): number {
  const piece = curve.pieces.find((p) => p.below === undefined || x < p.below);
  if (!piece) throw new Error(`no piece of a curve holds at x = ${x}`);
  const { low = -Infinity, high = Infinity } = piece;
  return Math.min(high, Math.max(low, unclamped(piece, x)));
}

function unclamped(piece: Piece, x: number): number {
  if ("polynomial" in piece) return horner(piece.polynomial, x);
  const positive = Math.max(x, SMALLEST_X);
  if ("logarithmic" in piece) return horner(piece.logarithmic, Math.log(positive));
  return piece.power.scale * positive ** piece.power.exponent;
}

const horner = (coefficients: readonly number[], x: number): number =>
  coefficients.reduceRight((sum, c) => sum * x + c, 0);
