/** Read noise that is drawn for every device, against the formula that adds it to results. */

import { describe, expect, test } from "vitest";
import { DeviceReads } from "./device-reads.ts";
import { correlation, expectDistribution, normal } from "./distribution.ts";
import { expectGaussian, quiet } from "./noise.ts";
import { gaussians, through, uniform } from "./one-tile.ts";

const [ROWS, COLS, COUNT, SIGMA] = [45, 24, 8192, 0.0175];
/** Of all sizes, and some that are nothing. */
const weights = gaussians(ROWS * COLS, 14).map((w, i) => (i % 7 === 0 ? 0 : Math.tanh(w / 2)));
const vector = uniform(ROWS, 15).map((v, i) => (i % 5 === 0 ? 0 : v));

/** What each of the two ways gives for the same vector again and again, [COLS][COUNT]. */
const ways: Readonly<Record<string, () => readonly (readonly number[])[]>> = {
  "drawn for every device": () => {
    const reads = new DeviceReads({ weights, rows: ROWS, cols: COLS, sigma: SIGMA });
    return columnsOf(
      Array.from({ length: COUNT }, (_, i) => reads.sums(vector, i, 21)).map((s) => [...s]),
    );
  },
  "added to results": () => {
    const target = quiet((t) => {
      t.analog.readNoise.value = SIGMA;
    });
    const x = new Float32Array(COUNT * ROWS);
    for (let i = 0; i < COUNT; i++) x.set(vector, i * ROWS);
    const y = through(target, { weights, rows: ROWS, cols: COLS }, x, "noisy");
    return columnsOf(
      Array.from({ length: COUNT }, (_, i) => [...y.subarray(i * COLS, (i + 1) * COLS)]),
    );
  },
};

const columnsOf = (rows: readonly (readonly number[])[]): number[][] =>
  Array.from({ length: COLS }, (_, c) => rows.map((row) => row[c] ?? 0));

/** The exact sum of a column, and the deviation that the formula gives it. */
function law(c: number): { readonly mean: number; readonly deviation: number } {
  let [mean, power] = [0, 0];
  for (const [r, v] of vector.entries()) {
    const w = weights[r * COLS + c] ?? 0;
    mean += w * v;
    power += Math.abs(w) * v * v;
  }
  return { mean, deviation: SIGMA * Math.sqrt(power) };
}

describe.each(Object.entries(ways))("read noise %s", (_, way) => {
  const columns = way();

  test("has the mean and the deviation of the formula in every column", () => {
    for (const [c, found] of columns.entries()) {
      const { mean, deviation } = law(c);
      // The simulator's converters have 20 and 24 bits here: their error is far below these bounds.
      expectGaussian(
        found.map((v) => v - mean),
        0,
        deviation,
      );
    }
  });

  test("is gaussian in every column", () => {
    for (const [c, found] of columns.entries()) {
      const { mean, deviation } = law(c);
      expectDistribution(found, normal(mean, deviation));
    }
  });

  test("is another one in each column and vector", () => {
    const [a = [], b = []] = columns;
    expect(Math.abs(correlation(a, b))).toBeLessThan(4 / Math.sqrt(COUNT));
    const next = correlation(a.slice(1), a.slice(0, -1));
    expect(Math.abs(next)).toBeLessThan(4 / Math.sqrt(COUNT));
  });
});
