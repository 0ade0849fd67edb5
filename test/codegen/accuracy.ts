/** How far a function of machine code is from the same in double precision, over many arguments. */

import { tensor } from "../../src/tensor/tensor.ts";
import { ISAS, run } from "./run-kernel.ts";

const F32_BITS = 23;
const LEAST_EXPONENT = -126;

/** The distance of two neighbours in single precision at a number. */
function ulp(x: number): number {
  const exponent = Math.max(LEAST_EXPONENT, Math.floor(Math.log2(Math.abs(x))));
  return 2 ** (exponent - F32_BITS);
}

/** Every so many bit patterns of single precision: all magnitudes, both signs, infinities, NaN. */
export const allMagnitudes = (count: number): Float32Array =>
  new Float32Array(
    Uint32Array.from({ length: count }, (_, i) => Math.floor((i * 2 ** 32) / count)).buffer,
  );

export const spread = (count: number, from: number, to: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

export interface Judged {
  readonly isa: string;
  /** The largest error in units in the last place of the right result. */
  readonly ulps: number;
  /** The largest error. */
  readonly error: number;
  /** The argument of the former. */
  readonly worst: number;
}

/**
 * Runs a kernel of one operand on both kinds of cores. Results that are not finite have to be exactly right; those
 * smaller than `tiny` may be off by it.
 */
export function accuracy(
  kernel: string,
  attrs: Readonly<Record<string, unknown>>,
  xs: Float32Array,
  right: (x: number) => number,
  tiny = 0,
): readonly Judged[] {
  return ISAS.map((isa) => {
    const [y] = run({ kernel, attrs, operands: [tensor("f32", [xs.length], xs)] }, isa, 1);
    const found = y?.data as Float32Array;
    let [ulps, error, worst] = [0, 0, 0];
    for (const [i, x] of xs.entries()) {
      const wanted = right(x);
      const off = distance(found[i] ?? Number.NaN, wanted, tiny);
      error = Math.max(error, off);
      if (off === 0 || off / ulp(wanted) <= ulps) continue;
      ulps = off / ulp(wanted);
      worst = x;
    }
    return { isa, ulps, error, worst };
  });
}

function distance(found: number, wanted: number, tiny: number): number {
  const single = Math.fround(wanted);
  if (Number.isNaN(wanted) || !Number.isFinite(single)) {
    return Object.is(found, single) ? 0 : Number.POSITIVE_INFINITY;
  }
  const off = Math.abs(found - wanted);
  if (Number.isNaN(off)) return Number.POSITIVE_INFINITY;
  return off <= tiny ? 0 : off;
}
