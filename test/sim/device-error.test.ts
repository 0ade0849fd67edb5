/** The error that calibration expects of programming, against devices that are programmed. */

import { describe, expect, test } from "vitest";
import { Devices } from "../../src/sim/devices.ts";
import type { Device } from "../../src/target/device.ts";
import { programmingError } from "../../src/target/device-error.ts";
import { loadDevice } from "../../src/target/load.ts";
import { Wasm } from "../../src/wasm/module.ts";

const N = 1 << 16;

/** The mean squared error of N weights that are programmed to x. */
function found(device: Device, x: number): number {
  const weights = new Float32Array(N).fill(x);
  const block = { weights, cols: 64, layerScale: new Float32Array(64).fill(1), number: 0 };
  new Devices(device, new Wasm()).disturb(block, { seed: 4, timeSeconds: 0 });
  return weights.reduce((sum, w) => sum + (w - x) ** 2, 0) / N;
}

describe.each<[string, (d: Device) => void]>([
  ["both devices of a pair", () => undefined],
  [
    "three devices a polarity",
    (d) => {
      d.devicesPerPolarity.value = 3;
    },
  ],
  [
    "one active device",
    (d) => {
      d.pair = "active";
    },
  ],
])("%s", (_, change) => {
  const device = structuredClone(loadDevice("pcm-like-25us"));
  // Idle devices as noisy as the others, to see them.
  device.programming.sigma.pieces = [{ polynomial: [1.2, 0.5] }];
  delete device.flicker;
  delete device.drift;
  change(device);

  test.each([0.4, 0.7, 1])("x = %f", (x) => {
    // The mean square of N gaussian errors is off by 4 sqrt(2 / N), 2 %, once in 16,000 times.
    expect(Math.abs(found(device, x) / programmingError(device)(x) - 1)).toBeLessThan(0.03);
  });
});

test("levels add the error of rounding to the nearest of them", () => {
  const device = structuredClone(loadDevice("ideal"));
  const [L, count] = [9, 9000];
  device.levels = { value: L, source: "a test" };
  let error = 0;
  for (let i = 0; i < count; i++) {
    const x = (i + 0.5) / count;
    error += (x - Math.round(x * L) / L) ** 2 / count;
  }
  expect(programmingError(device)(0.5)).toBeCloseTo(error, 6);
});
