/** Programs of small modules, run by an executor that knows nothing of how they were made. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Relation, Schedule } from "../../src/artifact/schedule.ts";
import { CASES } from "./cases.ts";
import { byNumbers, execute, firstOf, lastOf } from "./executor.ts";
import { compile, compileWith } from "./modules.ts";

const orders = fc.array(fc.nat(1000), { minLength: 1, maxLength: 50 });
const blocks = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });

describe.each(Object.entries(CASES))("%s", (_, make) => {
  test("runs right in every order that waits and credits permit", () => {
    const { schedule } = compile(make(), 2);
    fc.assert(
      fc.property(orders, (numbers) => {
        expect(execute(schedule, 3, byNumbers(numbers))).toBeNull();
      }),
      { numRuns: 12 },
    );
  });

  test("runs right when every cluster has blocks of its own size", () => {
    fc.assert(
      fc.property(blocks, orders, (tokens, numbers) => {
        expect(execute(compileWith(make(), tokens), 2, byNumbers(numbers))).toBeNull();
      }),
      { numRuns: 30 },
    );
  });

  test("runs right with steps that are as early or as late as can be", () => {
    const schedule = compileWith(make(), [1, 3]);
    for (const { id } of schedule.steps) {
      expect(execute(schedule, 3, lastOf(id))).toBeNull();
      expect(execute(schedule, 3, firstOf(id))).toBeNull();
    }
  });

  test("a ring that is smaller than its credits say is noticed", () => {
    const schedule = compile(make(), 2).schedule;
    for (const [i, buffer] of schedule.buffers.entries()) {
      const readers = schedule.steps.filter((s) => s.waits.some((w) => w.buffer === buffer.id));
      if (buffer.capacity === 1 || readers.length === 0) continue;
      const smaller = { ...buffer, capacity: buffer.capacity - 1 };
      const mutant = { ...schedule, buffers: schedule.buffers.with(i, smaller) };
      // The inputs' rings hold three inferences' blocks only one after the other, so four are run.
      const faults = readers.map((r) => execute(mutant, 4, lastOf(r.id)));
      expect(
        faults.some((f) => f?.includes(`of ${buffer.id}, but finds`)),
        buffer.id,
      ).toBe(true);
    }
  });

  test("a ring that is smaller with its credits may stop the program, but never harms it", () => {
    const schedule = compile(make(), 2).schedule;
    for (const buffer of schedule.buffers.filter((b) => b.capacity > 1)) {
      const mutant = shrunk(schedule, buffer.id);
      expect(execute(mutant, 2, byNumbers([5, 3, 8, 1])) ?? "deadlock").toMatch(/^deadlock/);
    }
  });
});

function shrunk(s: Schedule, buffer: string): Schedule {
  const credits = <T extends { buffer: string; distance: number }>(list: readonly T[]): T[] =>
    list.map((c) => (c.buffer === buffer ? { ...c, distance: c.distance - 1 } : c));
  return {
    ...s,
    inputs: s.inputs.map((i) => ({ ...i, credits: credits(i.credits ?? []) })),
    buffers: s.buffers.map((b) => (b.id === buffer ? { ...b, capacity: b.capacity - 1 } : b)),
    steps: s.steps.map((x) => ({ ...x, credits: credits(x.credits) })),
  };
}

/** One iteration less, or null where there is none before the first. */
function weaker(r: Relation, s: Schedule, writer: string, buffer: string): Relation | null {
  const domain =
    s.steps.find((x) => x.id === writer)?.domain ?? s.buffers.find((b) => b.id === buffer)?.domain;
  if (!domain || r.token === "first") return null;
  if (typeof r.token === "object") {
    return { ...r, token: { ...r.token, add: r.token.add - r.token.div } };
  }
  const before = Math.ceil(domain.tokens / domain.block) - 2;
  return { ...r, token: { mul: 0, add: before, div: 1 } };
}

/** Waits that can be one iteration shorter, and what goes wrong if they are, or if they are not there. */
function weakened(schedule: Schedule) {
  const found: { wait: string; shorter: string | null; without: string | null }[] = [];
  for (const [i, step] of schedule.steps.entries()) {
    for (const [k, wait] of step.waits.entries()) {
      const newest = weaker(wait.newest, schedule, wait.step, wait.buffer);
      if (!newest) continue;
      const late = lastOf(wait.step === "host" ? `host:${wait.buffer}` : wait.step);
      const run = (waits: typeof step.waits) =>
        execute({ ...schedule, steps: schedule.steps.with(i, { ...step, waits }) }, 2, late);
      found.push({
        wait: `${step.id} for ${wait.buffer}`,
        shorter: run(step.waits.with(k, { ...wait, newest })),
        without: run(step.waits.toSpliced(k, 1)),
      });
    }
  }
  return found;
}

test.each(Object.entries(CASES))("%s: a wait that is one iteration short is noticed", (_, make) => {
  const found = weakened(compile(make(), 2).schedule);
  expect(found.length).toBeGreaterThan(1);
  for (const { wait, shorter, without } of found) {
    // A wait that could as well be absent follows from the step's other waits.
    if (without !== null) expect(shorter, wait).not.toBeNull();
  }
  expect(found.filter((f) => f.shorter !== null).length).toBeGreaterThan(found.length / 2);
});
