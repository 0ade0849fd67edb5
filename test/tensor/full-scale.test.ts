/** Full scales against their definitions: sorted values, and an exhaustive search with real rounding. */

import { describe, expect, test } from "vitest";
import { gaussianAt } from "../../src/sim/noise-address.ts";
import { columnScales, LEAST_SCALE } from "../../src/tensor/column-scales.ts";
import {
  type Choice,
  Distribution,
  fullScale,
  lossOf,
  rounding,
  seenOf,
} from "../../src/tensor/full-scale.ts";

const gaussians = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) =>
    gaussianAt(i, { seed, stream: 99, row: 0, inference: 0, block: 0 }),
  );

/** Some values far out, as transformers have. */
const heavy = gaussians(20_000, 1).map((v, i) => (i % 1000 === 0 ? 20 * v : v));
const sorted = heavy.map(Math.abs).sort();
const levels = 127;

const binned = (values: Float32Array) => {
  const all = new Distribution();
  all.add(values.subarray(0, 777));
  all.add(values, 777);
  return all.seen();
};

/** What rounding and clipping really do to the values. */
const squaredError = (scale: number): number =>
  heavy.reduce((sum, v) => {
    const x = Math.min(1, Math.max(-1, v / scale));
    return sum + (v - (scale * Math.round(x * levels)) / levels) ** 2;
  }, 0);

describe.each([
  ["each value for itself", seenOf(heavy), 1e-7],
  ["in bins", binned(heavy), 0.008],
])("%s", (_, seen, tolerance) => {
  const scale = (choice: Choice) => fullScale(choice, seen, rounding(levels));
  const close = (found: number, right: number) =>
    expect(Math.abs(found / right - 1)).toBeLessThan(tolerance);

  test("the largest is exact", () => expect(scale({ method: "max" })).toBe(sorted.at(-1)));

  test.each([50, 99, 99.9, 99.99, 100])("percentile %s", (percent) => {
    const right = sorted[Math.ceil((sorted.length * percent) / 100) - 1] as number;
    close(scale({ method: "percentile", percent }), right);
  });

  test("sigma", () => {
    const squares = heavy.reduce((s, v) => s + v * v, 0);
    close(scale({ method: "sigma", count: 3 }), 3 * Math.sqrt(squares / heavy.length));
  });

  test("mse is as good as the best of a fine search with real rounding", () => {
    const tried = Array.from({ length: 400 }, (__, k) => (sorted.at(-1) as number) * 0.985 ** k);
    const best = Math.min(...tried.map(squaredError));
    expect(squaredError(scale({ method: "mse" }))).toBeLessThan(1.03 * best);
  });

  test("the expected loss is the real one", () => {
    for (const at of [4, 20, 60]) {
      const { clipped, error, signal, values } = lossOf(seen, at, rounding(levels));
      expect(values).toBe(heavy.length);
      expect(Math.abs(clipped - heavy.filter((v) => Math.abs(v) > at).length)).toBeLessThan(3);
      expect(error / squaredError(at)).toBeGreaterThan(0.9);
      expect(error / squaredError(at)).toBeLessThan(1.1);
      close(
        signal,
        heavy.reduce((s, v) => s + v * v, 0),
      );
    }
  });
});

test("nothing, zeros and what is no number", () => {
  const ways: Choice[] = [
    { method: "max" },
    { method: "percentile", percent: 99 },
    { method: "sigma", count: 3 },
    { method: "mse" },
  ];
  for (const way of ways) {
    for (const seen of [new Distribution().seen(), seenOf(new Float32Array(8))]) {
      expect(fullScale(way, seen, rounding(127))).toBe(0);
    }
  }
  const odd = new Distribution();
  odd.add(Float32Array.of(1, Number.NaN, Infinity, -2));
  expect(odd.seen()).toMatchObject({ total: 2, largest: 2 });
});

test.each([1e-12, 1e12, 1e36])("values around %s are scaled as others are", (size) => {
  const seen = binned(heavy.map((v) => v * size));
  for (const choice of [{ method: "percentile", percent: 99.9 }, { method: "mse" }] as Choice[]) {
    const scale = fullScale(choice, seen, rounding(levels));
    const { clipped, error, signal } = lossOf(seen, scale, rounding(levels));
    expect(clipped / heavy.length).toBeLessThan(0.01);
    expect(error / signal).toBeLessThan(0.1);
    expect(scale).toBeGreaterThan(size);
  }
});

test("a full scale of several deviations stays in single precision", () => {
  const seen = seenOf(Float32Array.of(2e38, -3e38));
  expect(Math.fround(fullScale({ method: "sigma", count: 4 }, seen, rounding(levels)))).toBe(
    Math.fround(3.4028234e38),
  );
});

describe("columns", () => {
  const weights = gaussians(512 * 6, 3).map((v, i) => (i % 6 === 5 ? 0 : v * ((i % 6) + 1)));
  const errorAt = () => 0.05 ** 2;
  const of = (choice: Choice) => columnScales(weights, 6, { choice, errorAt });
  const column = (j: number) => seenOf(weights.filter((_, i) => i % 6 === j));

  test.each([
    { method: "max" },
    { method: "percentile", percent: 99 },
    { method: "sigma", count: 2.5 },
    { method: "mse" },
  ] as const)("each is chosen for itself: $method", (choice) => {
    const found = of(choice);
    for (let j = 0; j < 5; j++) expect(found[j]).toBe(fullScale(choice, column(j), errorAt));
    expect(found[5]).toBe(LEAST_SCALE);
  });

  test("a column of which all weights are alike is not clipped", () => {
    const alike = new Float32Array(64).fill(0.5);
    for (const method of ["max", "mse"] as const) {
      expect(columnScales(alike, 1, { choice: { method }, errorAt })).toEqual(Float32Array.of(0.5));
    }
    expect(columnScales(alike, 1, { choice: { method: "sigma", count: 2 }, errorAt })[0]).toBe(0.5);
  });

  test("infinite weights and NaN stay visible", () => {
    const odd = Float32Array.of(1, Infinity, Number.NaN);
    expect([...columnScales(odd, 3, { choice: { method: "mse" }, errorAt })]).toEqual([
      1,
      Infinity,
      Number.NaN,
    ]);
  });
});
