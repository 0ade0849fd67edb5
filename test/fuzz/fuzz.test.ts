/**
 * A bounded run of the fuzzer with fixed seeds: damaged input of every kind ends in a coded message or in a right
 * answer, within bounds of time and memory. `npm run fuzz` goes on for as long as one likes: docs/guide/fuzz.md.
 */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool, smallest } from "./pool.ts";
import { type Case, SURFACES } from "./surfaces.ts";

let pools: readonly Pool[] = [];
beforeAll(async () => {
  pools = await Promise.all([createPool(), createPool()]);
});
afterAll(() => {
  for (const pool of pools) pool.close();
});

/** How many of each surface; structure-aware mutations of models have most ways of being wrong. */
const CASES: Readonly<Record<string, number>> = {
  model: 100,
  bytes: 40,
  artifact: 15,
  ir: 25,
  yaml: 15,
  adapter: 15,
  tensor: 15,
  command: 25,
};

test("every surface is tried", () => {
  expect(Object.keys(CASES).toSorted()).toEqual(Object.keys(SURFACES).toSorted());
});

describe.each(Object.entries(SURFACES))("damaged input: %s", (name, surface) => {
  const cases: readonly Case[] = fc.sample(surface.cases, {
    seed: 2026,
    numRuns: CASES[name] ?? 0,
  });

  test("ends in a message or in a right answer", async () => {
    const queue = [...cases];
    const finds: unknown[] = [];
    await Promise.all(
      pools.map(async (pool) => {
        for (let c = queue.shift(); c; c = queue.shift()) {
          const { find } = await pool.attempt(c);
          if (find !== undefined) finds.push((await smallest(c, pool)) ?? { case: c, what: find });
        }
      }),
    );
    expect(finds).toEqual([]);
  });
});

describe("the watch itself", () => {
  const watched = (surface: string): Case => ({ surface, file: "none", edits: [] });

  test("a worker that cannot do what it is told is a find, and the next one works", async () => {
    const [pool] = pools;
    const { find } = (await pool?.attempt(watched("no such surface"))) ?? {};
    expect(find).toMatch(/the process died/);
    expect(await pool?.attempt(watched("command"))).toMatchObject({ outcomes: ["refused"] });
  });

  test("a case that never ends is a find", async () => {
    const [pool] = pools;
    const { find } = (await pool?.attempt(watched("hang"))) ?? {};
    expect(find).toMatch(/^a hang: 1\d s of computing/);
  });

  test("memory without end is a find", async () => {
    const [pool] = pools;
    const { find } = (await pool?.attempt(watched("hoard"))) ?? {};
    expect(find).toMatch(/^memory: /);
  });
});
