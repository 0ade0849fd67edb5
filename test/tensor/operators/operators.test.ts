/**
 * Every operator in every form: what ONNX Runtime computes for a node, folding computes, and so does the
 * simulated machine, whose results have the inferred shapes.
 */

import { describe, expect, test } from "vitest";
import { verdictOn } from "./judged.ts";
import { TABLES } from "./tables.ts";

describe.each(Object.entries(TABLES))("%s", (_, rows) => {
  const operators = [...new Set(rows.map((r) => r.op))];
  test.each(operators)("%s", async (op) => {
    expect(await verdictOn(rows.filter((r) => r.op === op))).toEqual([]);
  });
});
