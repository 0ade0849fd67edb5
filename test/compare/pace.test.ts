import { expect, test } from "vitest";
import { Pace } from "../../src/compare/pace.ts";

test("rate and time left, without what need not run", () => {
  let now = 5000;
  const pace = new Pace(100, () => now);
  pace.skip(20);
  pace.start();
  expect(pace.reach(0)).toEqual([]);
  now += 4000;
  // 10 in 4 s; 70 are left.
  expect(pace.reach(10)).toEqual(["2.5 inferences/s", "28 s left"]);
});

test("minutes and hours", () => {
  let now = 0;
  const pace = new Pace(10_000, () => now);
  pace.start();
  now = 1000;
  expect(pace.reach(20)).toEqual(["20 inferences/s", "8 min 19 s left"]);
  expect(pace.reach(1)).toEqual(["1.0 inferences/s", "2 h 46 min left"]);
});
