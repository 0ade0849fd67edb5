import fc from "fast-check";
import { expect, test } from "vitest";
import type { Schedule } from "../../src/artifact/schedule.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import { linksOf } from "../../src/sim/links.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { Memory } from "../../src/sim/memory.ts";
import { simulate } from "../../src/sim/simulate.ts";
import { type Parts, smallAnswer, smallInput, smallParts, writeParts } from "./small-artifact.ts";

type Step = Schedule["steps"][number];
const step = (parts: Parts, id: string) => parts.schedule.steps.find((s) => s.id === id) as Step;
const buffer = (parts: Parts, id: string) =>
  parts.schedule.buffers.find((b) => b.id === id) as Schedule["buffers"][number];

test("the shadow of a ring stops what the checks would have to let through", () => {
  const parts = smallParts();
  const links = linksOf(parts.schedule);
  const memory = new Memory({ directory: "", model: "small.onnx" }, links.steps);
  const soft = step(parts, "soft");
  const h = buffer(parts, "h");
  const region = soft.reads[0];
  if (!region) throw new Error("soft reads nothing");
  expect(() => memory.read(h, soft, region, 0, 0)).toThrow(
    /A409.*step 'soft'.*iteration 0, reads block 0 of buffer 'h'.*holds nothing yet of step 'sum'/,
  );
  const value = { elem: "f32", shape: [1, 1, 2, 4], data: new Float32Array(8) } as const;
  for (const g of [0, 1, 2]) memory.write(h, g, value);
  expect(memory.read(h, soft, region, 0, 2).shape).toEqual([1, 1, 1, 4]);
  expect(() => memory.read(h, soft, region, 0, 0)).toThrow(
    /A409.*block 0 of buffer 'h' \(t_h\), whose slot holds block 2 of step 'sum'/,
  );
});

const relation = fc.record({
  batch: fc.constantFrom("same" as const, "first" as const, "last" as const),
  token: fc.oneof(
    fc.constantFrom("first" as const, "last" as const),
    fc.record({
      mul: fc.integer({ min: 0, max: 2 }),
      add: fc.integer({ min: -1, max: 1 }),
      div: fc.integer({ min: 1, max: 2 }),
    }),
  ),
});
const change = fc.record({
  step: fc.nat({ max: 4 }),
  what: fc.constantFrom("wait" as const, "credit" as const, "capacity" as const),
  relation,
  distance: fc.integer({ min: 1, max: 6 }),
  times: fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 5, maxLength: 5 }),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** The small artifact with other times and one wait, credit or ring changed. */
function changed(c: Change): Parts {
  const parts = smallParts();
  for (const [i, s] of parts.schedule.steps.entries()) s.cost.digitalNs = c.times[i] ?? 0;
  const victim = parts.schedule.steps[c.step] as Step;
  if (c.what === "wait") Object.assign(victim.waits[0] ?? {}, { newest: c.relation });
  if (c.what === "capacity") buffer(parts, victim.writes[0]?.buffer ?? "").capacity = c.distance;
  if (c.what === "credit") {
    Object.assign(victim.credits[0] ?? {}, { release: c.relation, distance: c.distance });
  }
  return parts;
}

/** Codes of the faults for which the artifact is refused; none when it ran and its results are right. */
async function judged(parts: Parts): Promise<readonly string[]> {
  const inputs = [0, 1, 2].map((k) => new Map([["x", smallInput(k)]]));
  try {
    const artifact = loadArtifact(writeParts(parts));
    const { outputs } = await simulate(artifact, { inputs, mode: "ideal", threads: 1 });
    for (const [k, values] of outputs.entries()) {
      const found = values.get("out")?.data ?? [];
      const wrong = smallAnswer(smallInput(k)).findIndex(
        (v, i) => !(Math.abs(v - Number(found[i])) < 1e-6),
      );
      expect(wrong).toBe(-1);
    }
    return [];
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.diagnostics.map((d) => d.code);
  }
}

test("a schedule that passes the checks computes the right values, whatever the times", async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(change, async (c) => {
      const codes = await judged(changed(c));
      if (codes.length === 0) accepted++;
      // Refused before it ran, or stuck; never a hazard (A409) that only the run found.
      for (const code of codes) expect(["A405", "A406", "A407", "A408"]).toContain(code);
    }),
    { numRuns: 150, seed: 1 },
  );
  expect(accepted).toBeGreaterThan(20);
});
