/**
 * The addresses of noise: which numbers of the generator (src/tensor/philox.ts) disturb what. Nothing is drawn
 * in sequence, so results depend neither on order nor on threads.
 *
 * Key: (seed, stream). Counter: (element group, row, inference, block).
 * - stream: the purpose; of devices also which of the pair and which of the parallel ones; of a vector or a write
 *   that is repeated, the attempt (`streamOf`);
 * - block: number of the weight's block, counted over mapping.json in order;
 * - inference, row: number of the inference in the stream and row of the input within it for noise that
 *   is new with every vector; of noise that is new at every time, the time (`momentOf`); 0 for what is programmed once;
 * - element: index in the array that is filled. Element e takes word floor(e / 4) mod 4 of element group
 *   4 * floor(e / 16) + e mod 4, which is the order in which four lanes of SIMD write.
 * A gaussian needs two words: elements e and e + 4 (of an even and the next quarter) share theirs.
 */

import { philox } from "../tensor/philox.ts";

export const PURPOSE = {
  programming: 1,
  driftExponent: 2,
  flicker: 3,
  /** Per vector and column: output noise, and with it the short-term read noise unless they enter apart. */
  conversion: 4,
  /** Per vector and column: short-term read noise where it passes the S-shaped transfer first. */
  read: 5,
  /** Per vector and column: the second counter of a converter that has two. */
  secondCounter: 6,
  /** Uniform: which devices are stuck. */
  fault: 7,
  /** Per column: the bend of its S-shaped transfer. */
  bend: 8,
} as const;

/** The second word of the key. `side` 1 is the negative device of a pair, `device` counts those in parallel. */
export const streamOf = (purpose: number, side = 0, device = 0, attempt = 0): number =>
  purpose + (side << 4) + (device << 8) + (attempt << 16);

/** Row and inference of noise that is new at every time: the halves of the time as a double. Both are 0 at once. */
export function momentOf(timeSeconds: number): readonly [row: number, inference: number] {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, timeSeconds);
  return [bits.getUint32(4), bits.getUint32(0)];
}

export interface Address {
  readonly seed: number;
  readonly stream: number;
  readonly row: number;
  readonly inference: number;
  readonly block: number;
}

/** Gaussian number `element` of an array, in double precision: what the fast one is tested against. */
export function gaussianAt(element: number, at: Address): number {
  const group = 4 * Math.floor(element / 16) + (element % 4);
  const words = philox([group, at.row, at.inference, at.block], [at.seed >>> 0, at.stream]);
  const quarter = Math.floor(element / 4) % 4;
  const first = quarter < 2 ? 0 : 2;
  const u = ((words[first] as number) + 0.5) / 2 ** 32;
  const angle = (((words[first + 1] as number) | 0) * Math.PI) / 2 ** 31;
  const r = Math.sqrt(-2 * Math.log(u));
  return quarter % 2 === 0 ? r * Math.cos(angle) : r * Math.sin(angle);
}
