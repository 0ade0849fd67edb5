/** Evaluates the curves of a noise model. Compiler and simulator share this one reading of them. */

import type { Curve } from "./schema.ts";

/** Below this x the logarithms stop growing, as in AIHWKIT's noise/pcm.py (commit 4545f11). */
const SMALLEST = 1e-7;

/** The curve at x = g / g_max, x >= 0, in the unit of the curve. */
export function evaluateCurve(curve: Curve, x: number): number {
  const piece = curve.pieces.find((p) => p.below === undefined || x < p.below);
  if (!piece) throw new Error(`no piece of a noise curve holds at x = ${x}`);
  if ("polynomial" in piece) return piece.polynomial.reduceRight((sum, c) => sum * x + c, 0);
  if ("log" in piece) {
    const { slope, offset, low, high } = piece.log;
    return Math.min(high, Math.max(low, slope * Math.log(Math.max(x, SMALLEST)) + offset));
  }
  const { scale, exponent, cap } = piece.power;
  return Math.min(scale * x ** exponent, cap);
}
