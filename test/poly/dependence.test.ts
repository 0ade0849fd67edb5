/** Dependence relations against brute force and against isl. */

import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Domain, Select } from "../../src/artifact/schedule.ts";
import { apply, dependence } from "../../src/poly/dependence.ts";
import { iterationAt, iterationsOf, type Side } from "../../src/poly/domain.ts";
import { evaluate, floorDiv, plus } from "../../src/poly/floor.ts";
import { showRegion, showRelation } from "../../src/poly/isl.ts";
import { compileAgainstIsl, judgedBy } from "../judges.ts";
import { elements } from "./regions.ts";

interface Case {
  readonly writer: Side;
  readonly reader: Side;
  readonly shape: readonly number[];
}

const small = (max: number) => fc.integer({ min: 1, max });

const FORMS = [
  "point",
  "token-all",
  "batch-all",
  "upto",
  "window",
  "row",
  "row-all",
  "gather",
  "scatter",
  "batch-only",
] as const;

/** Keys may be more than queries by `offset`, as behind a cache. */
const cases: fc.Arbitrary<Case> = fc
  .record({
    batch: small(3),
    tokens: small(9),
    offset: fc.integer({ min: 0, max: 3 }),
    blocks: fc.tuple(small(10), small(10)),
    width: small(6),
    form: fc.constantFrom(...FORMS),
  })
  .map(({ batch, tokens, offset, blocks: [p, c], width, form }) => {
    const keys = form === "upto" || form === "window" ? tokens + offset : tokens;
    const writer: Domain = { batch, tokens: keys, block: Math.min(p, keys) };
    const reader: Domain = { batch, tokens, block: Math.min(c, tokens) };
    const one: Domain = { batch: 1, tokens: 1, block: 1 };
    const sides = (w: readonly Select[], r: readonly Select[], shape: readonly number[]): Case => ({
      writer: { domain: writer, select: w },
      reader: { domain: reader, select: r },
      shape,
    });
    const blocked = ["batch", "token"] as const;
    const forms: Record<(typeof FORMS)[number], Case> = {
      point: sides(blocked, blocked, [batch, keys]),
      "token-all": sides(blocked, ["batch", "all"], [batch, keys]),
      "batch-all": sides(blocked, ["all", "token"], [batch, keys]),
      upto: sides(blocked, ["batch", { upto: offset }], [batch, keys]),
      window: sides(blocked, ["batch", { window: width, offset }], [batch, keys]),
      row: sides(["row"], ["row"], [batch * keys]),
      "row-all": sides(["row", "all"], ["all", "all"], [batch * keys, 2]),
      gather: {
        ...sides(blocked, ["all", "all"], [batch, keys]),
        reader: { domain: one, select: ["all", "all"] },
      },
      scatter: {
        ...sides(["all", "all"], blocked, [batch, keys]),
        writer: { domain: one, select: ["all", "all"] },
      },
      "batch-only": {
        ...sides(blocked, ["batch", "all"], [batch, keys]),
        reader: { domain: { batch, tokens: 1, block: 1 }, select: ["batch", "all"] },
      },
    };
    return forms[form];
  });

const overlap = (a: Set<string>, b: Set<string>): boolean => [...a].some((e) => b.has(e));

/** For each consumer iteration the producer iterations that it needs. */
function needs({ writer, reader, shape }: Case): number[][] {
  const written = [...Array(iterationsOf(writer.domain)).keys()].map((i) =>
    elements(writer.domain, writer.select, shape, i),
  );
  return [...Array(iterationsOf(reader.domain)).keys()].map((j) => {
    const read = elements(reader.domain, reader.select, shape, j);
    return written.flatMap((w, i) => (overlap(w, read) ? [i] : []));
  });
}

describe("against brute force", () => {
  test("newest is the newest producer iteration that is read", () => {
    fc.assert(
      fc.property(cases, (c) => {
        const d = dependence(c.writer, c.reader);
        if (d === null) throw new Error("inexpressible");
        for (const [j, needed] of needs(c).entries()) {
          const { b, t } = iterationAt(c.reader.domain, j);
          expect(apply(d.newest, c.writer.domain, b, t)).toBe(Math.max(...needed));
        }
      }),
      { numRuns: 800 },
    );
  });

  test("release is the last consumer iteration that reads", () => {
    fc.assert(
      fc.property(cases, (c) => {
        const d = dependence(c.writer, c.reader);
        if (d === null) throw new Error("inexpressible");
        const needed = needs(c);
        for (let i = 0; i < iterationsOf(c.writer.domain); i++) {
          const readers = needed.flatMap((list, j) => (list.includes(i) ? [j] : []));
          if (readers.length === 0) continue;
          const { b, t } = iterationAt(c.writer.domain, i);
          expect(apply(d.release, c.reader.domain, b, t)).toBe(Math.max(...readers));
        }
      }),
      { numRuns: 800 },
    );
  });

  test("span is enough, and exact once the blocks have met in every way", () => {
    fc.assert(
      fc.property(cases, (c) => {
        const d = dependence(c.writer, c.reader);
        if (d === null) throw new Error("inexpressible");
        const widest = Math.max(...needs(c).map((l) => Math.max(...l) - Math.min(...l) + 1));
        expect(d.span).toBeGreaterThanOrEqual(widest);
        // Reading two batches at once leaves a hole that a ring cannot use: all blocks are counted.
        const holes = c.reader.select[0] === "all" && c.reader.domain.batch > 1;
        const long = c.writer.domain.block * c.reader.domain.block + 6;
        if (c.reader.domain.tokens >= long && !holes) expect(d.span).toBe(widest);
      }),
      { numRuns: 800 },
    );
  });

  test("span is exact on long domains", () => {
    fc.assert(
      fc.property(small(6), small(6), small(7), (p, c, window) => {
        const tokens = 2 * p * c + window + p + c;
        const domain = { batch: 1, tokens, block: p };
        const reader = { domain: { ...domain, block: c }, select: [{ window, offset: 0 }] };
        const one = { writer: { domain, select: ["token" as const] }, reader, shape: [tokens] };
        const widest = Math.max(...needs(one).map((l) => Math.max(...l) - Math.min(...l) + 1));
        expect(dependence(one.writer, one.reader)?.span).toBe(widest);
      }),
    );
  });
});

test("what selections cannot express is refused", () => {
  const domain = { batch: 2, tokens: 4, block: 2 };
  const rows: Side = { domain, select: ["row"] };
  expect(dependence(rows, { domain, select: ["token"] })).toBeNull();
  expect(dependence(rows, { domain, select: ["batch"] })).toBeNull();
  expect(
    dependence(rows, { domain: { batch: 4, tokens: 2, block: 1 }, select: ["row"] }),
  ).toBeNull();
  expect(
    dependence({ domain, select: ["batch", "token"] }, { domain, select: ["token", "batch"] }),
  ).toBeNull();
});

test("floors merge exactly", () => {
  const n = fc.integer({ min: -20, max: 20 });
  fc.assert(
    fc.property(n, n, small(8), small(8), n, fc.integer({ min: 0, max: 9 }), (m, a, d, e, c, t) => {
      const f = { mul: m, add: a, div: d };
      expect(evaluate(floorDiv(f, e), t)).toBe(Math.floor(evaluate(f, t) / e));
      expect(evaluate(plus(f, c), t)).toBe(evaluate(f, t) + c);
    }),
  );
});

describe("against isl", () => {
  const judge = compileAgainstIsl("test/poly/isl-judge.c");
  const judged = judgedBy(judge, "isl with a C compiler", "libisl-dev gcc");

  const line = (c: Case, tamper = 0): string => {
    const d = dependence(c.writer, c.reader);
    if (d === null) throw new Error("inexpressible");
    const token = d.newest.token;
    const newest =
      typeof token === "object"
        ? { ...d.newest, token: { ...token, add: token.add - tamper * token.div } }
        : d.newest;
    return [
      showRegion(c.writer, c.shape),
      showRegion(c.reader, c.shape),
      showRelation(newest, c.reader.domain, c.writer.domain),
      showRelation(d.release, c.writer.domain, c.reader.domain),
    ].join(" | ");
  };

  const ask = (lines: readonly string[]): string[] =>
    execFileSync(judge ?? "", { input: `${lines.join("\n")}\n`, encoding: "utf8" })
      .trim()
      .split("\n");

  judged("newest and release are isl's lexicographic maxima", () => {
    const lines = fc.sample(cases, { numRuns: 300, seed: 7 }).map((c) => line(c));
    const answers = ask(lines);
    expect(answers.length).toBe(lines.length);
    for (const [i, answer] of answers.entries()) expect(answer, lines[i]).toBe("= =");
  });

  judged("isl notices a relation that is off by one", () => {
    const domain = { batch: 2, tokens: 12, block: 3 };
    const select = ["batch", "token"] as const;
    const one = { writer: { domain, select }, reader: { domain, select }, shape: [2, 12] };
    expect(ask([line(one), line(one, 1)])).toEqual(["= =", expect.stringMatching(/^\{.*\} =$/)]);
  });

  test("relations print in isl's notation", () => {
    const from = { batch: 2, tokens: 14, block: 2 };
    const to = { batch: 2, tokens: 14, block: 4 };
    expect(showRelation({ batch: "same", token: { mul: 1, add: 0, div: 2 } }, from, to)).toBe(
      "{ [b, t] -> [b, max(0, min(3, floor((t)/2)))] : 0 <= b < 2 and 0 <= t < 7 }",
    );
  });
});
