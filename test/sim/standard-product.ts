/**
 * The standard error of a product of Rasch et al., Nature Communications 14:5282 (2023): W ~ N(0, 0.246), clipped at
 * g_max, and x ~ U(-1, 1) on 512 x 512; columns are not rescaled, inputs are within their range of 1, the converter's
 * bound is 10.
 */

import type { Artifact } from "../../src/sim/load.ts";
import type { Target } from "../../src/target/schema.ts";
import { gaussians, machineOf, results, uniform } from "./one-tile.ts";

const SIZE = 512;
const VECTORS = 100;

/** The weights of the standard product on one tile of the target. */
export function standardMachine(target: Target): Artifact {
  const weights = gaussians(SIZE * SIZE, 8).map((g) => Math.max(-1, Math.min(1, 0.246 * g)));
  return machineOf(target, { weights, rows: SIZE, cols: SIZE });
}

/** The mean norm of the error by the mean norm of the exact result. */
export function standardError(
  machine: Artifact,
  chip: { readonly seed: number; readonly timeSeconds: number },
): number {
  const x = uniform(VECTORS * SIZE, 9);
  const ideal = results(machine, x, { ...chip, mode: "ideal" });
  const noisy = results(machine, x, { ...chip, mode: "noisy" });
  let [error, whole] = [0, 0];
  for (let i = 0; i < VECTORS; i++) {
    const vector = (y: Float32Array) => y.subarray(i * SIZE, (i + 1) * SIZE);
    const right = vector(ideal);
    error += Math.hypot(...vector(noisy).map((v, j) => v - (right[j] ?? 0)));
    whole += Math.hypot(...right);
  }
  return error / whole;
}
