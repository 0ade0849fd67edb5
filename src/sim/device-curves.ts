/** Curves of device models as the inner loops read them. */

import { type Curve, evaluateCurve } from "../target/curve.ts";
import type { Wasm } from "../wasm/module.ts";

const PIECE = 16;

/** A curve in the module's memory, as `curve` of src/wasm/devices.as.ts reads it. */
export interface PlacedCurve {
  readonly at: number;
  readonly pieces: number;
  /** Its value for a device that is to hold nothing. */
  readonly atZero: number;
  /** Whether some piece is a function of ln x. */
  readonly usesLogs: boolean;
}

export function placeCurve(wasm: Wasm, curve: Curve): PlacedCurve {
  const at = wasm.reserve(curve.pieces.length * PIECE);
  const table = wasm.view(at, curve.pieces.length * PIECE);
  for (const [i, piece] of curve.pieces.entries()) {
    const { below = Infinity, low = -Infinity, high = Infinity } = piece;
    const [kind, numbers] = termsOf(piece);
    table.set([below, kind, low, high, numbers.length, ...numbers], i * PIECE);
  }
  const usesLogs = curve.pieces.some((piece) => !("polynomial" in piece));
  return { at, pieces: curve.pieces.length, atZero: evaluateCurve(curve, 0), usesLogs };
}

function termsOf(piece: Curve["pieces"][number]): readonly [number, readonly number[]] {
  if ("polynomial" in piece) return [0, piece.polynomial];
  if ("logarithmic" in piece) return [1, piece.logarithmic];
  return [2, [0, piece.power.exponent, piece.power.scale]];
}
