import { expect, test } from "vitest";
import { age, secondsOf } from "../../src/compare/age.ts";

test.each(["0s", "0.5s", "90s", "1m", "2h", "36h", "1d", "1w", "30d", "1y", "10y"])(
  "%s is shown as it was written",
  (text) => {
    expect(age(secondsOf(text) ?? Number.NaN)).toBe(text);
  },
);

test("plain numbers are seconds", () => expect(secondsOf("3600")).toBe(3600));

test.each(["-1s", "1 d", "d", "1mo", "NaN", "Infinity", "1e3", "9".repeat(400)])(
  "'%s' is no time",
  (text) => {
    expect(secondsOf(text)).toBe(null);
  },
);
