/**
 * Every constant of the bundled devices and of the arrays around them against the formulas of their papers, written out again:
 * a number that was copied wrongly into a YAML file is found here and nowhere else.
 */

import { describe, expect, test } from "vitest";
import { type Curve, evaluateCurve } from "../../src/target/curve.ts";
import { loadDevice, loadTarget } from "../../src/target/load.ts";

type Law = (x: number) => number;

interface Published {
  readonly gMax: number;
  /** Deviation of programming, in the unit of gMax. */
  readonly sigma: Law;
  readonly pair: "both" | "signed";
  readonly relativeTo?: "layer";
  readonly zeroBelow?: number;
  readonly ageing?: {
    readonly t0: number;
    readonly tRead: number;
    readonly mean: Law;
    readonly deviation: Law;
    readonly q: Law;
  };
}

const between = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, v));
const ln = (x: number): number => Math.log(Math.max(x, 1e-7));

/** AIHWKIT HermesNoiseModel (commit 4545f11), whatever the number of devices. */
const hermesMean: Law = (x) =>
  x < 0.0945
    ? between(-0.0387 * ln(x) - 0.0182, 0.072, 0.13)
    : -0.0436 * x ** 2 - 0.0126 * x + 0.0736;

const PUBLISHED: Readonly<Record<string, Published>> = {
  // Rasch et al., Nature Communications 14:5282 (2023); AIHWKIT PCMLikeNoiseModel (commit 4545f11).
  "pcm-like-25us": {
    gMax: 25,
    sigma: (x) => 0.26348 + 1.965 * x - 1.1731 * x ** 2,
    pair: "both",
    ageing: {
      t0: 20,
      tRead: 250e-9,
      mean: (x) => between(-0.0155 * ln(x) + 0.0244, 0.049, 0.1),
      deviation: (x) => between(-0.0125 * ln(x) - 0.0059, 0.008, 0.045),
      q: (x) => Math.min(0.0088 / Math.max(x ** 0.65, 1e-3), 0.2),
    },
  },
  "hermes-two-device": {
    gMax: 20.7,
    sigma: (x) => 0.16603222 + 4.71806468 * x - 8.48101252 * x ** 2 + 4.68961419 * x ** 3,
    pair: "both",
    ageing: {
      t0: 300,
      tRead: 512e-9,
      mean: hermesMean,
      deviation: (x) =>
        x < 0.3055
          ? between(-0.0117 * ln(x) - 0.0057, 0.0091, 0.04)
          : -0.0118 * x ** 2 + 0.0093 * x + 0.0073,
      q: (x) =>
        x < 0.16
          ? between(-0.0117 * ln(x) - 0.0069, 0.015, 0.04)
          : 0.0069 * x ** 3 - 0.028 * x ** 2 + 0.0211 * x + 0.0123,
    },
  },
  "hermes-one-device": {
    gMax: 10.35,
    sigma: (x) => 0.15781817 + 2.32443916 * x - 2.16310839 * x ** 2 + 0.68841818 * x ** 3,
    pair: "both",
    ageing: {
      t0: 200,
      tRead: 512e-9,
      mean: hermesMean,
      deviation: (x) =>
        x < 0.3039
          ? between(-0.012 * ln(x) - 0.0023, 0.0124, 0.04)
          : -0.0165 * x ** 2 + 0.0116 * x + 0.0104,
      q: (x) =>
        x < 0.1591
          ? between(-0.0078 * ln(x) + 0.0038, 0.0179, 0.04)
          : 0.0664 * x ** 3 - 0.1352 * x ** 2 + 0.0768 * x + 0.0088,
    },
  },
  // Analog Foundation Models, arXiv 2505.09663: in w, of which the column's largest is 180.
  "afm-pcm": {
    gMax: 180,
    sigma: (x) => {
      const w = 180 * x;
      return w < 52.5
        ? 2.939751e-5 * w ** 3 - 3.715812e-3 * w ** 2 + 0.22419686 * w + 2.57974
        : 1.232976e-5 * w ** 3 - 3.054993e-3 * w ** 2 + 0.24534871 * w + 2.1103;
    },
    pair: "signed",
    zeroBelow: 0.6,
  },
  // arXiv 2411.17367 v4: 6.7 % of the channel's largest.
  "additive-column": { gMax: 25, sigma: () => 0.067 * 25, pair: "signed" },
  // Joshi et al., Nature Communications 11:2473 (2020): 3.8 % of the layer's largest.
  "additive-layer": { gMax: 25, sigma: () => 0.038 * 25, pair: "signed", relativeTo: "layer" },
  multiplicative: { gMax: 25, sigma: (x) => 0.05 * x * 25, pair: "signed" },
};

/** Between the places where pieces begin, which are at most four decimals long, and at the ends. */
const XS = [0, 1e-9, 1e-6, 1e-4, ...Array.from({ length: 500 }, (_, i) => (i + 0.513) / 500), 1];

function expectLaw(curve: Curve, law: Law, scale = 1): void {
  for (const x of XS) {
    expect(Math.abs(evaluateCurve(curve, x) - law(x)), `x = ${x}`).toBeLessThan(1e-6 * scale);
  }
}

describe.each(Object.entries(PUBLISHED))("%s", (name, said) => {
  const device = loadDevice(name);

  test("programming noise is as published", () => {
    const { programming, gMax, pair } = device;
    expect([gMax.value, pair]).toEqual([said.gMax, said.pair]);
    expectLaw(programming.sigma, said.sigma, gMax.value);
    expect(programming.zeroBelow?.value).toBe(said.zeroBelow);
    expect(programming.relativeTo).toBe(said.relativeTo ?? "column");
    for (const other of [programming.verify, device.levels, device.faults]) {
      expect(other).toBeUndefined();
    }
  });

  test("so is what happens in time", () => {
    const { drift, flicker, compensation } = device;
    const { ageing } = said;
    if (!ageing) {
      for (const one of [drift, flicker, compensation]) expect(one).toBeUndefined();
      return;
    }
    if (!drift || !flicker) throw new Error(`${name} does not age`);
    expect(drift.t0Seconds.value).toBe(ageing.t0);
    expect(flicker.tReadSeconds.value).toBe(ageing.tRead);
    expectLaw(drift.mean, ageing.mean);
    expectLaw(drift.deviation, ageing.deviation);
    expectLaw(flicker.q, ageing.q);
    // AIHWKIT inference/compensation/drift.py (commit 4545f11): one-hot vectors, whenever it is used.
    expect([compensation?.readOut, compensation?.schedule]).toEqual(["one-hot", undefined]);
  });
});

describe("arrays and converters", () => {
  /** Without the sources. */
  const numbersOf = (node: unknown): unknown => {
    if (typeof node !== "object" || node === null) return node;
    if ("value" in node) return node.value;
    const fields = Object.entries(node).filter(([key]) => key !== "source");
    return Object.fromEntries(fields.map(([key, child]) => [key, numbersOf(child)]));
  };

  // Rasch et al.: the standard model; AIHWKIT StandardHWATrainingPreset (commit 4545f11).
  const noise = {
    outputNoise: 0.04,
    readNoise: 0.0175,
    irDrop: { scale: 1, wireOhm: 0.35, gMaxSiemens: 5e-6 },
  };
  const dac = { bits: 8, bound: 1, range: "static" };

  test.each([
    [
      "ahwa-lora",
      { rows: 512, cols: 512, dac },
      { bits: 8, bound: 10, scheme: "symmetric", whenClipped: "saturate" },
      "pcm-like-25us",
    ],
    // Le Gallo et al., arXiv 2212.02872: two counters of 12 bits; their full scale is ours.
    [
      "hermes-64",
      { rows: 256, cols: 256, dac },
      { bits: 12, bound: 24, scheme: "two-counter", whenClipped: "saturate" },
      "hermes-two-device",
    ],
  ])("of %s are as published", (name, size, adc, device) => {
    const target = loadTarget(name);
    expect(numbersOf(target.tile)).toMatchObject({ ...size, adc });
    expect(numbersOf(target.analog)).toEqual(noise);
    expect(target.device.name).toBe(device);
  });
});
