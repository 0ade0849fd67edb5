/** Noise curves against the values that their papers give. */

import { describe, expect, test } from "vitest";
import { type Curve, evaluateCurve, SpreadCurve } from "../../src/target/curve.ts";
import { loadDevice } from "../../src/target/load.ts";

/** Programming sigma in percent of g_max at x = 0, 0.1, 0.25, 0.5, 0.75, 1 (Rasch 2023; AIHWKIT). */
describe.each([
  ["pcm-like-25us", ["1.05", "1.79", "2.73", "3.81", "4.31", "4.22"]],
  ["hermes-two-device", ["0.80", "2.69", "4.29", "4.79", "4.41", "5.28"]],
  ["hermes-one-device", ["1.52", "3.57", "5.94", "8.36", "9.42", "9.73"]],
  ["afm-pcm", ["1.43", "3.10", "4.35", "4.69", "5.49", "10.67"]],
])("%s", (name, percents) => {
  const { programming, gMax } = loadDevice(name);

  test("relative programming noise", () => {
    const relative = [0, 0.1, 0.25, 0.5, 0.75, 1].map((x) =>
      ((100 * evaluateCurve(programming.sigma, x)) / gMax.value).toFixed(2),
    );
    expect(relative).toEqual(percents);
  });
});

function driftOf(name: string) {
  const { drift } = loadDevice(name);
  if (!drift) throw new Error(`${name} does not drift`);
  return drift;
}

test("drift of the PCM model is clamped to 0.049..0.1", () => {
  const { mean, deviation } = driftOf("pcm-like-25us");
  expect(evaluateCurve(mean, 1)).toBe(0.049);
  expect(evaluateCurve(mean, 0)).toBe(0.1);
  expect(evaluateCurve(mean, 0.1)).toBeCloseTo(-0.0155 * Math.log(0.1) + 0.0244, 12);
  expect(evaluateCurve(deviation, 1)).toBe(0.008);
  expect(evaluateCurve(deviation, 0)).toBe(0.045);
});

test("drift of HERMES changes its piece at 0.0945", () => {
  const { mean } = driftOf("hermes-two-device");
  expect(evaluateCurve(mean, 0.0944)).toBeCloseTo(-0.0387 * Math.log(0.0944) - 0.0182, 12);
  expect(evaluateCurve(mean, 0.0945)).toBeCloseTo(
    -0.0436 * 0.0945 ** 2 - 0.0126 * 0.0945 + 0.0736,
    12,
  );
});

test("read noise of the PCM model is capped", () => {
  const q = loadDevice("pcm-like-25us").flicker?.q;
  if (!q) throw new Error("no 1/f noise");
  expect(evaluateCurve(q, 0)).toBe(0.2);
  expect(evaluateCurve(q, 1)).toBe(0.0088);
});

test("a curve without a piece for x is our own fault", () => {
  const curve: Curve = { pieces: [{ below: 0.5, polynomial: [1] }], source: "none" };
  expect(() => evaluateCurve(curve, 0.5)).toThrow("no piece");
});

test.each([
  [[{ logarithmic: [1e39] }], "finite"],
  [[{ polynomial: [0, 1e300] }], "finite"],
  [[], ">=1"],
])("%j is refused", (pieces, why) => {
  expect(String(SpreadCurve.safeParse({ pieces, source: "x" }).error)).toContain(why);
});
