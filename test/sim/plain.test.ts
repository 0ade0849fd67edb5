/** The fast simulator against the plain slow one, for every choice that a target or a device model can make. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Devices } from "../../src/sim/devices.ts";
import type { Device } from "../../src/target/device.ts";
import { listDevices, loadDevice, loadTarget } from "../../src/target/load.ts";
import type { Target } from "../../src/target/schema.ts";
import { Wasm } from "../../src/wasm/module.ts";
import { gaussians, through, uniform } from "./one-tile.ts";
import { type PlainTile, plainDevices, plainProduct } from "./plain.ts";

const YEAR = 31536000;
const source = "a test";

/** Largest difference of two lists. */
const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] as number))), 0);

describe("devices", () => {
  const [rows, cols] = [45, 19];
  const weights = gaussians(rows * cols, 1).map((w) => Math.max(-1, Math.min(1, w / 3)));
  // Exact zeros of both signs, the largest weights, some below all that curves tell apart, and the edge of a dead zone.
  weights.set([0, -0, 1, -1, 1e-3, -1e-3, 1e-6, -1e-8, 0.125, -0.125]);
  const layerScale = Float32Array.from({ length: cols }, (_, j) => 1 + j / 7);

  const agree = (device: Device, timeSeconds: number, compensatedSeconds?: number | null) => {
    const when = { seed: 7, timeSeconds };
    const block = { weights: weights.slice(), cols, layerScale, number: 5 };
    const gain = new Devices(device, new Wasm()).disturb(block, when);
    const plain = plainDevices(device, weights, cols, layerScale, 5, {
      ...when,
      ...(compensatedSeconds !== undefined && { compensatedSeconds }),
    });
    // Single precision and its exponential: a few units in the last place of numbers up to about 1.
    expect(apart(block.weights, plain.weights)).toBeLessThan(4e-6);
    expect(Math.abs(gain / plain.gain - 1)).toBeLessThan(1e-5);
  };

  test.each(listDevices())("%s", (name) => {
    for (const time of [0, 3600, YEAR]) agree(loadDevice(name), time);
  });

  const changed = (change: (d: Device) => void): Device => {
    const device = structuredClone(loadDevice("pcm-like-25us"));
    change(device);
    return device;
  };

  test.each<[string, (d: Device) => void]>([
    [
      "one active device a pair",
      (d) => {
        d.pair = "active";
      },
    ],
    [
      "a signed number",
      (d) => {
        d.pair = "signed";
      },
    ],
    [
      "three devices a polarity",
      (d) => {
        d.devicesPerPolarity.value = 3;
      },
    ],
    [
      "noise relative to the layer",
      (d) => {
        d.programming.relativeTo = "layer";
      },
    ],
    [
      "all rows read at once",
      (d) => {
        d.compensation = { readOut: "all-ones", source };
      },
    ],
    [
      "write and verify",
      (d) => {
        const verify = { margin: { value: 0.4, source }, iterations: { value: 6, source } };
        d.programming.verify = verify;
      },
    ],
    [
      "stuck devices",
      (d) => {
        d.faults = { stuckOff: { value: 0.1, source }, stuckOn: { value: 0.05, source } };
      },
    ],
    [
      "a dead zone",
      (d) => {
        d.programming.zeroBelow = { value: 3.125, source };
      },
    ],
    [
      "curves without clamps, which end where x is 1e-7",
      (d) => {
        const pieces = [{ power: { scale: 0.02, exponent: -0.2 } }];
        d.programming.sigma = { pieces, source };
        if (d.drift) d.drift.mean = { pieces: [{ logarithmic: [0.02, -0.01] }], source };
        if (d.flicker) d.flicker.q = { pieces, source };
      },
    ],
  ])("%s", (_, change) => {
    agree(changed(change), YEAR);
  });

  describe("compensation", () => {
    const DAY = 86_400;
    const scheduled = (schedule: NonNullable<Device["compensation"]>["schedule"]) =>
      changed((d) => {
        d.compensation = { readOut: "one-hot", source, schedule };
      });

    test.each([
      [YEAR, 3600],
      [3600, 3600],
      [3599, 10],
      [9, null],
      [0, null],
    ])("measured at chosen times, after %i s", (time, last) => {
      agree(scheduled({ atSeconds: [3600, 10], source }), time, last);
    });

    test.each([
      [YEAR, YEAR],
      [1.5 * DAY, DAY],
      [0.5 * DAY, null],
    ])("measured every day, after %f s", (time, last) => {
      agree(scheduled({ everySeconds: { value: DAY, source } }), time, last);
    });
  });
});

describe("products", () => {
  const choice = fc.record({
    range: fc.constantFrom("static" as const, "abs-max" as const),
    scheme: fc.constantFrom("symmetric" as const, "two-counter" as const),
    whenClipped: fc.constantFrom("saturate" as const, "retry" as const),
    bend: fc.boolean(),
    irDrop: fc.boolean(),
    readNoise: fc.constantFrom(0, 0.0175),
    outputNoise: fc.constantFrom(0, 0.04),
    isNoisy: fc.boolean(),
    bits: fc.constantFrom(6, 8, 12),
    adcBound: fc.constantFrom(0.5, 3, 20),
    rows: fc.integer({ min: 1, max: 40 }),
    cols: fc.integer({ min: 1, max: 20 }),
    count: fc.integer({ min: 1, max: 5 }),
    seed: fc.nat(1000),
  });

  test("agree for every choice of converters and noise, but for ties", () => {
    fc.assert(
      fc.property(choice, (c) => {
        const target = targetOf(c);
        const weights = gaussians(c.rows * c.cols, c.seed).map((w) => w / 3);
        const x = uniform(c.count * c.rows, c.seed + 1);
        const tile = { weights, rows: c.rows, cols: c.cols, inputRange: 0.9, adcBound: c.adcBound };
        const mode = c.isNoisy ? "noisy" : "quantized";
        const fast = through(target, tile, x, mode, 0, c.seed);
        const plain = Array.from({ length: c.count }, (_, i) =>
          plainProduct(
            target,
            { ...tile, weights: Array.from(weights, clipped), seed: c.seed },
            x.subarray(i * c.rows, (i + 1) * c.rows),
            i,
            c.isNoisy,
          ),
        ).flat();
        // A sum within rounding of a tie falls on either side: one step, of each counter.
        const step = c.adcBound / (2 ** (c.bits - 1) - 1);
        const differing = plain.filter((v, k) => Math.abs(v - (fast[k] as number)) > 1e-4);
        expect(differing.length).toBeLessThanOrEqual(1);
        expect(apart(fast, plain)).toBeLessThan(
          1e-4 + (differing.length > 0 ? 1.01 * step * 64 : 0),
        );
      }),
      { numRuns: 400, seed: 20261121 },
    );
  });

  /** With a converter so fine that results are the sums. */
  const standard = (whenClipped: "saturate" | "retry"): Target => {
    const noise = { irDrop: true, readNoise: 0.0175, outputNoise: 0.04, bits: 8 };
    const target = targetOf({
      range: "static",
      scheme: "symmetric",
      whenClipped,
      bend: false,
      ...noise,
    });
    target.tile.adc.bits.value = 24;
    target.analog.irDrop.wireOhm.value = 0.35;
    return target;
  };

  const vectors = (
    target: Target,
    tile: Omit<PlainTile, "seed">,
    x: Float32Array,
  ): readonly number[] =>
    Array.from({ length: x.length / tile.rows }, (_, i) =>
      plainProduct(
        target,
        { ...tile, seed: 5 },
        x.subarray(i * tile.rows, (i + 1) * tile.rows),
        i,
        true,
      ),
    ).flat();

  test("no current is below 0, however large the noise before the counters", () => {
    const target = targetOf({
      ...{ range: "static", scheme: "two-counter", whenClipped: "saturate", bend: false },
      ...{ irDrop: false, readNoise: 0.5, outputNoise: 0.04, bits: 24 },
    });
    const [rows, cols] = [1, 20];
    const weights = gaussians(rows * cols, 3).map((w) => clipped(w / 2));
    const x = uniform(8, 4);
    const tile = { rows, cols, inputRange: 1, adcBound: 5 };
    const fast = through(target, { ...tile, weights }, x, "noisy");
    const plain = vectors(target, { ...tile, weights: Array.from(weights) }, x);
    expect(apart(fast, plain)).toBeLessThan(1e-5);
  });

  test.each([1, 3, 6])("long columns agree, of %i vectors", (count) => {
    const [rows, cols] = [509, 20];
    const weights = gaussians(rows * cols, 3).map((w) => clipped(w / 4));
    // One column with a single large weight among small ones, and one of nothing.
    for (let r = 0; r < rows; r++) weights[r * cols] = r === 7 ? 1 : 1e-3 * Math.sin(r);
    for (let r = 0; r < rows; r++) weights[r * cols + 1] = 0;
    const x = uniform(count * rows, 4);
    const tile = { rows, cols, inputRange: 1, adcBound: 60 };
    const fast = through(standard("saturate"), { ...tile, weights }, x, "noisy");
    const plain = vectors(standard("saturate"), { ...tile, weights: Array.from(weights) }, x);
    expect(apart(fast, plain)).toBeLessThan(3e-5);
  });

  test("columns longer than a run of integers agree", () => {
    const [rows, cols] = [1100, 3];
    const weights = gaussians(rows * cols, 3).map((w) => clipped(w / 4));
    const x = uniform(2 * rows, 4);
    const tile = { rows, cols, inputRange: 1, adcBound: 60 };
    const fast = through(standard("saturate"), { ...tile, weights }, x, "noisy");
    const plain = vectors(standard("saturate"), { ...tile, weights: Array.from(weights) }, x);
    expect(apart(fast, plain)).toBeLessThan(5e-5);
  });

  test("each of four vectors is read again by itself", () => {
    const [rows, cols] = [40, 16];
    const weights = gaussians(rows * cols, 3).map((w) => clipped(w / 4));
    const x = uniform(4 * rows, 4);
    const tile = { rows, cols, inputRange: 1, adcBound: 1.5 };
    const fast = through(standard("retry"), { ...tile, weights }, x, "noisy");
    const plain = vectors(standard("retry"), { ...tile, weights: Array.from(weights) }, x);
    expect(apart(fast, plain)).toBeLessThan(3e-5);
  });

  // Weights of 16 bits and one distance for eight rows (docs/numerics.md): noise is the same on both sides.
  test("what sums of levels round is below 2 % of a step of the standard converter", () => {
    const [rows, cols] = [512, 64];
    const weights = gaussians(rows * cols, 3).map((w) => clipped(0.246 * w));
    const x = uniform(4 * rows, 4);
    const tile = { rows, cols, inputRange: 1, adcBound: 60 };
    const fast = through(standard("saturate"), { ...tile, weights }, x, "noisy");
    const exact = { ...tile, weights: Array.from(weights), exact: true };
    const plain = vectors(standard("saturate"), exact, x);
    const step = 10 / 127;
    const errors = plain.map((v, i) => (v - (fast[i] as number)) / step);
    const rms = Math.sqrt(errors.reduce((a, e) => a + e * e, 0) / errors.length);
    expect(apart(fast, plain) / step).toBeLessThan(0.02);
    expect(rms).toBeLessThan(0.006);
    // They are there: the bound is not of something else.
    expect(rms).toBeGreaterThan(0.002);
  });
});

/** No device holds more than its largest conductance. */
const clipped = (w: number): number => Math.min(1, Math.max(-1, w));

interface Choice {
  readonly range: "static" | "abs-max";
  readonly scheme: "symmetric" | "two-counter";
  readonly whenClipped: "saturate" | "retry";
  readonly bend: boolean;
  readonly irDrop: boolean;
  readonly readNoise: number;
  readonly outputNoise: number;
  readonly bits: number;
}

function targetOf(c: Choice): Target {
  const target = structuredClone(loadTarget("ahwa-lora"));
  target.device = loadDevice("ideal");
  target.tile.dac.range = c.range;
  target.tile.dac.bits.value = c.bits;
  target.tile.adc.bits.value = c.bits;
  target.tile.adc.scheme = c.scheme;
  target.tile.adc.whenClipped = c.whenClipped;
  const { analog } = target;
  analog.irDrop.scale.value = c.irDrop ? 1 : 0;
  // A wire so long that every term of the drop is seen on a small tile.
  analog.irDrop.wireOhm.value = 700;
  analog.readNoise.value = c.readNoise;
  analog.outputNoise.value = c.outputNoise;
  if (c.bend) {
    analog.sShape = { mean: { value: 0.25, source }, deviation: { value: 0.1, source } };
  }
  return target;
}
