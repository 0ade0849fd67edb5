/** What programming does to a weight, as one number: for choices that are made before anything is programmed. */

import { evaluateCurve } from "./curve.ts";
import type { Device } from "./device.ts";

const STEPS = 1024;

/**
 * The expected squared error of a weight that is programmed to the share x of the largest conductance, in units of its
 * square: programming noise of both devices of a pair where both are noisy, and conductance levels. The idle device
 * holds max(0, N(0, s)): half of s^2 of one device, and the mean s / sqrt(2 pi) of each where several are averaged.
 */
export function programmingError(device: Device): (x: number) => number {
  const { programming, gMax, devicesPerPolarity, pair, levels } = device;
  const variance = (x: number): number =>
    (evaluateCurve(programming.sigma, x) / gMax.value) ** 2 / devicesPerPolarity.value;
  const idle = variance(0) * (1 / 2 + (devicesPerPolarity.value - 1) / (2 * Math.PI));
  const rest = (pair === "both" ? idle : 0) + (levels ? 1 / (12 * levels.value ** 2) : 0);
  const table = Float64Array.from({ length: STEPS + 1 }, (_, i) => variance(i / STEPS) + rest);
  return (x) => table[Math.round(Math.min(1, x) * STEPS)] as number;
}
