/** What programming does to a weight, as one number: for choices that are made before anything is programmed. */

import { evaluateCurve } from "./curve.ts";
import type { Device } from "./device.ts";

const STEPS = 1024;

/**
 * The expected squared error of a weight that is programmed to the share x of the largest conductance, in units of its
 * square: programming noise of both devices of a pair where both are noisy, and conductance levels.
 */
export function programmingError(device: Device): (x: number) => number {
  const { programming, gMax, devicesPerPolarity, pair, levels } = device;
  const variance = (x: number): number =>
    (evaluateCurve(programming.sigma, x) / gMax.value) ** 2 / devicesPerPolarity.value;
  const rest = (pair === "both" ? variance(0) : 0) + (levels ? 1 / (12 * levels.value ** 2) : 0);
  const table = Float64Array.from({ length: STEPS + 1 }, (_, i) => variance(i / STEPS) + rest);
  return (x) => table[Math.round(Math.min(1, x) * STEPS)] as number;
}
