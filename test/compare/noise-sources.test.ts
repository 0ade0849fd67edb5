/** A source of noise that is switched off leaves every other one as it was. */

import { expect, test } from "vitest";
import { noiseSources } from "../../src/compare/noise-sources.ts";
import type { Mode } from "../../src/sim/program-tiles.ts";
import { loadTarget } from "../../src/target/load.ts";
import { machineOf, results, uniform } from "../sim/one-tile.ts";

const SIZE = 64;
/** Of a converter without rounding: 24 bits for 64 times its range; and the rounding of sums. */
const HALF_STEP = (10 * 64) / 2 ** 24 + 1e-5;
const x = uniform(SIZE, 2);
const machine = machineOf(loadTarget("ahwa-lora"), {
  weights: new Float32Array(SIZE * SIZE).fill(0.5),
  rows: SIZE,
  cols: SIZE,
  adcBound: 10,
});
const without = (...names: readonly string[]) =>
  noiseSources(machine.target, "noisy")
    .filter(({ name }) => names.includes(name))
    .reduce((changed, { off }) => off(changed), machine);
const others = noiseSources(machine.target, "noisy").map(({ name }) => name);
const at = (timeSeconds: number, mode: Mode = "noisy") => ({ mode, seed: 3, timeSeconds });

test("without any of them the product is the ideal one", () => {
  for (const time of [0, 86_400]) {
    const y = results(without(...others), x, at(time));
    const ideal = results(machine, x, at(time, "ideal"));
    for (const [i, v] of y.entries()) expect(Math.abs(v - (ideal[i] ?? 0))).toBeLessThan(HALF_STEP);
  }
});

test("1/f noise counts from the end of programming, with drift and without", () => {
  const alone = without(...others.filter((name) => name !== "1/f noise"));
  const withDrift = without(...others.filter((name) => !["1/f noise", "drift"].includes(name)));
  const [a, b] = [alone, withDrift].map((m) => results(m, x, at(0)));
  // Nothing has drifted yet.
  expect(a).toEqual(b);
  expect(a).not.toEqual(results(without(...others), x, at(0)));
});
