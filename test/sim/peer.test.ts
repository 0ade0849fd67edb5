/**
 * The standard product as AIHWKIT computes it (github.com/IBM/aihwkit, commit 4545f11, built from source): what
 * `npm run bench:peers -- --record` has written down. docs/numerics.md says in what the two differ.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Answer, momentsOf, ours, REQUEST } from "./peer.ts";

const file = join(import.meta.dirname, "aihwkit.json");
const theirs: Answer = JSON.parse(readFileSync(file, "utf8"));
const own = ours(3);

/** The largest difference between numbers at the same place. */
const apart = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] ?? Number.NaN))), 0);

test("converters give the same results", () => {
  expect(own.converted.length).toBe(REQUEST.shown * REQUEST.cols);
  expect(apart(own.converted, theirs.converted)).toBeLessThan(1e-4);
});

test("wires drop as much", () => {
  expect(apart(own.dropped, theirs.dropped)).toBeLessThan(1e-4);
});

// AIHWKIT draws from a list of 32,768 gaussians that it makes before: their deviation is off by 0.4 %, one sigma.
test.each(["read", "output"] as const)("%s noise has the same deviation", (noise) => {
  const { mean } = momentsOf(own[noise].map((v, i) => v / (theirs[noise][i] ?? Number.NaN)));
  expect(Math.abs(mean - 1)).toBeLessThan(0.012);
});

/** What joining the devices of a pair and cutting them in two again changes, in units of the largest weight. */
const JOINED = 0.001;

test.each(REQUEST.times)("devices hold the same at %d s", (time) => {
  const held = own.held[time] ?? [];
  expect(held.length).toBe(REQUEST.edges.length - 1);
  for (const [i, { count, mean, deviation }] of held.entries()) {
    const other = theirs.held[time]?.[i] ?? { count: 0, mean: Number.NaN, deviation: Number.NaN };
    const sampling = deviation * Math.sqrt(1 / count + 1 / other.count);
    expect(Math.abs(mean - other.mean)).toBeLessThan(JOINED + 4 * sampling);
    expect(Math.abs(deviation - other.deviation)).toBeLessThan(JOINED + 3 * sampling);
  }
});

test.each(REQUEST.times)("products err as much at %d s", (time) => {
  const error = (of: Answer) => momentsOf(of.errors[time] ?? []).mean;
  expect(Math.abs(error(own) - error(theirs))).toBeLessThan(0.006);
});
