import { describe, expect, test } from "vitest";
import { accuracy, allMagnitudes, spread } from "./accuracy.ts";

const FLUSHED = 1.5 * 2 ** -125;

describe("the exponential in machine code", () => {
  test.each([
    ["all magnitudes, infinities and NaN", allMagnitudes(300_000)],
    ["the usual arguments", spread(300_000, -20, 20)],
    ["to the ends of the range", spread(300_000, -110, 95)],
    ["around overflow and underflow", spread(50_000, 88.7, 88.74)],
    ["around the smallest result", spread(50_000, -88, -86)],
  ])("is within 1 ulp: %s", (_, xs) => {
    for (const { isa, ulps, worst } of accuracy("Exp", {}, xs, Math.exp, FLUSHED)) {
      expect(ulps, `${isa}, worst at ${worst}`).toBeLessThan(1);
    }
  });
});
