import { describe, expect, test } from "vitest";
import { Devices } from "../../src/sim/devices.ts";
import { gaussianAt } from "../../src/sim/noise-address.ts";
import type { Device } from "../../src/target/device.ts";
import { loadDevice } from "../../src/target/load.ts";
import { Wasm } from "../../src/wasm/module.ts";
import { erfc } from "./distribution.ts";
import { expectGaussian, moments } from "./noise.ts";

describe("devices", () => {
  const N = 1 << 17;
  const NONE = { pieces: [{ polynomial: [0] }], source: "a test" };
  const standard = loadDevice("pcm-like-25us");
  /** N devices of conductance x at time t, silent and alone in their pairs until changed. */
  const devices = (x: number, time: number, change: (d: Device) => void, seed = 77) => {
    const device = structuredClone(loadDevice("ideal"));
    device.pair = "active";
    change(device);
    const weights = new Float32Array(N).fill(x);
    const block = { weights, cols: 64, layerScale: new Float32Array(64).fill(1), number: 3 };
    const gain = new Devices(device, new Wasm()).disturb(block, { seed, timeSeconds: time });
    return { weights, gain };
  };

  test.each([0.25, 0.5, 1])("programming of x = %f scatters by the published polynomial", (x) => {
    const { weights } = devices(x, 0, (d) => {
      d.programming = standard.programming;
    });
    // Rasch 2023: sigma = 0.26348 + 1.9650 x - 1.1731 x^2 microsiemens of 25.
    expectGaussian(weights, x, (0.26348 + 1.965 * x - 1.1731 * x * x) / 25);
  });

  test("a negative weight is the mirror image with noise of its own", () => {
    const on = (d: Device) => {
      d.programming = standard.programming;
    };
    const [up, down] = [devices(0.5, 0, on).weights, devices(-0.5, 0, on).weights];
    expectGaussian(down, -0.5, (0.26348 + 1.965 * 0.5 - 1.1731 * 0.25) / 25);
    expect(up.every((v, i) => v !== -(down[i] ?? 0))).toBe(true);
  });

  test("an idle pair is noisy in the model of both devices", () => {
    const { weights } = devices(0, 0, (d) => {
      d.programming = standard.programming;
      d.pair = "both";
    });
    // The difference of two half-clamped gaussians: variance 2 (1/2 - 1/(2 pi)) sigma^2.
    const sigma = (0.26348 / 25) * Math.sqrt(1 - 1 / Math.PI);
    const found = moments(weights);
    expect(Math.abs(found.mean)).toBeLessThan((4 * sigma) / Math.sqrt(N));
    // Its kurtosis is below 6, so the standard error of the deviation is below sigma sqrt(5 / 4 n).
    expect(Math.abs(found.deviation - sigma)).toBeLessThan(4 * sigma * Math.sqrt(5 / (4 * N)));
  });

  test.each([0.01, 0.2, 1])("drift of x = %f follows its power law", (x) => {
    const time = 86400;
    const { weights } = devices(x, time, (d) => {
      d.drift = standard.drift;
    });
    const between = (v: number, low: number, high: number) => Math.min(high, Math.max(low, v));
    const mean = between(-0.0155 * Math.log(x) + 0.0244, 0.049, 0.1);
    const deviation = between(-0.0125 * Math.log(x) - 0.0059, 0.008, 0.045);
    const nu = weights.map((g) => -Math.log(g / x) / Math.log((time + 20) / 20));
    // nu is |N|: below zero in 1 of 80 devices at most here, so compare its own mean and deviation.
    const z = mean / deviation;
    const phi = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    const tail = 0.5 * erfc(z / Math.SQRT2);
    const folded = 2 * deviation * phi + mean * (1 - 2 * tail);
    expectGaussian(nu, folded, Math.sqrt(mean ** 2 + deviation ** 2 - folded ** 2));
  });

  test("compensation restores the mean response of a tile", () => {
    const { weights, gain } = devices(0.4, 1e6, (d) => {
      d.drift = standard.drift && { ...standard.drift, deviation: NONE };
      d.compensation = standard.compensation;
    });
    const nu = -0.0155 * Math.log(0.4) + 0.0244;
    const left = ((1e6 + 20) / 20) ** -Math.max(0.049, nu);
    expect(weights[0]).toBeCloseTo(0.4 * left, 6);
    expect(gain).toBeCloseTo(1 / left, 4);
  });

  test.each(["one-hot", "all-ones"] as const)(
    "a response below the floor is not made smaller, %s",
    (readOut) => {
      const device = structuredClone(loadDevice("ideal"));
      device.compensation = { readOut, source: "a test" };
      const one = (w: number, timeSeconds: number, drift?: Device["drift"]) => {
        // One weight in a tile of which nothing else is used: its mean response is below 1e-4.
        const weights = new Float32Array(1 << 14);
        weights[5] = w;
        const block = {
          weights,
          cols: 1 << 14,
          layerScale: new Float32Array(1 << 14).fill(1),
          number: 0,
        };
        return new Devices({ ...device, drift }, new Wasm()).disturb(block, {
          seed: 1,
          timeSeconds,
        });
      };
      expect(one(1, 0)).toBe(1);
      expect(one(1, 1e6)).toBe(1);
      // As soon as it reaches 1e-4, it counts: 1.8 of 16,384 are above it before, and below it after.
      const steep = { pieces: [{ polynomial: [1] }], source: "a test" };
      const drift = { t0Seconds: { value: 1, source: "a test" }, mean: steep, deviation: NONE };
      expect(one(1.8, 99, drift)).toBeCloseTo(1.8 / (1e-4 * 2 ** 14), 5);
    },
  );

  test.each([0, 3600, 31536000])("1/f noise after %i s", (time) => {
    const x = 0.3;
    const { weights } = devices(x, time, (d) => {
      d.flicker = standard.flicker;
      d.drift = standard.drift && { ...standard.drift, mean: NONE, deviation: NONE };
    });
    const q = Math.min(0.0088 * x ** -0.65, 0.2);
    const spread = Math.sqrt(Math.log((time + 20 + 250e-9) / (2 * 250e-9)));
    expectGaussian(weights, x, x * q * spread);
  });
});

test("the reference generator gives independent values for each purpose", () => {
  const at = { seed: 1, stream: 1, row: 0, inference: 0, block: 0 };
  const list = (stream: number) =>
    Array.from({ length: 500 }, (_, e) => gaussianAt(e, { ...at, stream }));
  const [a, b] = [list(1), list(2)];
  const correlation = a.reduce((s, v, i) => s + v * (b[i] ?? 0), 0) / a.length;
  expect(Math.abs(correlation)).toBeLessThan(4 / Math.sqrt(a.length));
});
