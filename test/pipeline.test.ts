import { existsSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Fact } from "../passes/facts.ts";
import { PIPELINE } from "../passes/pipeline.ts";
import { LEVELS } from "../src/ir/op.ts";
import { OPS } from "../src/ir/registry.ts";

const passes = PIPELINE.flatMap((s) => s.passes);

describe("the pipeline", () => {
  test("goes through the levels in order", () => {
    expect(PIPELINE.map((s) => s.name)).toEqual(LEVELS);
  });

  test("no pass runs before the facts it needs are given", () => {
    const known = new Set<Fact>();
    for (const pass of passes) {
      for (const fact of pass.needs)
        expect([...known], `${pass.name} needs '${fact}'`).toContain(fact);
      for (const fact of pass.gives) known.add(fact);
    }
  });

  test.each(passes)("$name lives in passes/$name.ts", ({ name, summary }) => {
    expect(existsSync(`passes/${name}.ts`)).toBe(true);
    expect(summary.length).toBeGreaterThan(10);
  });

  test("every file of a pass is in the list", () => {
    const files = readdirSync("passes").filter((f) => f.endsWith(".ts"));
    const rest = files.map((f) => f.slice(0, -3)).filter((f) => !passes.some((p) => p.name === f));
    expect(rest.sort()).toEqual(["facts", "options", "pass", "pipeline"]);
  });
});

test.each([...OPS.values()])("$kind says what it is", ({ kind, doc, levels }) => {
  expect(doc, kind).toMatch(/\w.*\.$/s);
  expect(levels.length).toBeGreaterThan(0);
});
