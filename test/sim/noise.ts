/** What the tests of noise share: a target without noise, and honest bounds for gaussian samples. */

import { expect } from "vitest";
import { loadDevice, loadTarget } from "../../src/target/load.ts";
import type { Target } from "../../src/target/schema.ts";

/** The standard target with every noise off and fine converters, then changed. */
export function quiet(change: (t: Target) => void = () => undefined): Target {
  const target = structuredClone(loadTarget("ahwa-lora"));
  target.device = structuredClone(loadDevice("ideal"));
  target.analog.readNoise.value = 0;
  target.analog.outputNoise.value = 0;
  target.analog.irDrop.scale.value = 0;
  target.tile.dac.bits.value = 20;
  target.tile.adc.bits.value = 24;
  change(target);
  return target;
}

export function moments(values: ArrayLike<number>): { mean: number; deviation: number } {
  const list = Array.from(values);
  const mean = list.reduce((a, b) => a + b, 0) / list.length;
  const variance = list.reduce((a, b) => a + (b - mean) ** 2, 0) / list.length;
  return { mean, deviation: Math.sqrt(variance) };
}

/** Within four standard errors of a gaussian sample's mean and standard deviation. */
export function expectGaussian(values: ArrayLike<number>, mean: number, deviation: number): void {
  const found = moments(values);
  const n = values.length;
  expect(Math.abs(found.mean - mean)).toBeLessThan((4 * deviation) / Math.sqrt(n));
  expect(Math.abs(found.deviation - deviation)).toBeLessThan((4 * deviation) / Math.sqrt(2 * n));
}
