import { expect, test } from "vitest";
import { intervalOf, isTight } from "../../src/statistics/interval.ts";
import { studentCdf, studentQuantile } from "../../src/statistics/student.ts";

// NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2: critical values of Student's t.
test.each([
  [1, 3.078, 6.314, 12.706, 63.657],
  [2, 1.886, 2.92, 4.303, 9.925],
  [3, 1.638, 2.353, 3.182, 5.841],
  [5, 1.476, 2.015, 2.571, 4.032],
  [10, 1.372, 1.812, 2.228, 3.169],
  [30, 1.31, 1.697, 2.042, 2.75],
  [60, 1.296, 1.671, 2.0, 2.66],
  [100, 1.29, 1.66, 1.984, 2.626],
])("quantiles for %i degrees of freedom are the published ones", (degrees, ...published) => {
  const found = [0.9, 0.95, 0.975, 0.995].map((p) => studentQuantile(p, degrees));
  for (const [i, q] of found.entries()) expect(q).toBeCloseTo(published[i] as number, 3);
});

test("many degrees of freedom are the normal distribution", () => {
  expect(studentQuantile(0.975, 20_000)).toBeCloseTo(1.959964, 3);
});

test("one degree of freedom is the Cauchy distribution, two have a closed form", () => {
  for (const t of [-7, -0.3, 0, 0.01, 1, 40]) {
    expect(studentCdf(t, 1)).toBeCloseTo(0.5 + Math.atan(t) / Math.PI, 13);
    expect(studentCdf(t, 2)).toBeCloseTo(0.5 + t / (2 * Math.sqrt(2 + t * t)), 13);
  }
});

test("the distribution is the integral of its density", () => {
  // Density for 5 degrees of freedom: 8 / (3 sqrt(5) pi (1 + t^2 / 5)^3), by Simpson's rule.
  const density = (t: number) => 8 / (3 * Math.sqrt(5) * Math.PI * (1 + (t * t) / 5) ** 3);
  const steps = 2000;
  const h = 1.7 / steps;
  let sum = density(0) + density(1.7);
  for (let i = 1; i < steps; i++) sum += (i % 2 === 0 ? 2 : 4) * density(i * h);
  expect(studentCdf(1.7, 5)).toBeCloseTo(0.5 + (sum * h) / 3, 10);
});

test("the interval of a mean, by hand", () => {
  // 1, 2, 3: deviation 1, t(2) 4.3027, so 4.3027 / sqrt(3).
  const { mean, half, count } = intervalOf([1, 2, 3]);
  expect([mean, count]).toEqual([2, 3]);
  expect(half).toBeCloseTo(4.302653 / Math.sqrt(3), 5);
});

test("one value has no spread that is known, equal ones have none", () => {
  expect(intervalOf([4]).half).toBeNaN();
  expect(intervalOf([Infinity, Infinity])).toEqual({ mean: Infinity, half: 0, count: 2 });
});

test("the interval covers the mean in 95 of 100 samples", () => {
  // Sums of a fixed congruential generator (Numerical Recipes' ranqd1): near enough to normal numbers.
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const normal = () => Array.from({ length: 12 }, uniform).reduce((a, b) => a + b, -6);
  let covered = 0;
  for (let k = 0; k < 4000; k++) {
    const { mean, half } = intervalOf(Array.from({ length: 4 }, normal));
    if (Math.abs(mean) <= half) covered += 1;
  }
  // Four deviations of a binomial count.
  expect(Math.abs(covered / 4000 - 0.95)).toBeLessThan(4 * Math.sqrt((0.95 * 0.05) / 4000));
});

test("two values are never tight, three are when their interval is", () => {
  expect(isTight(intervalOf([1, 1]), 0.5)).toBe(false);
  expect(isTight(intervalOf([1, 1, 1]), 0.001)).toBe(true);
  expect(isTight(intervalOf([1, 2, 3]), 0.01)).toBe(false);
  expect(isTight(intervalOf([-100, -101, -100.5]), 0.02)).toBe(true);
});
