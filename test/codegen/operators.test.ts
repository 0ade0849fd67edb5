/**
 * Every operator in every form: for each call of a kernel that the compiled node makes there is machine code, and it
 * computes what the kernel of src/tensor does. What has none is listed in gaps.ts, exactly: an entry that has become
 * wrong fails too.
 */

import { describe, expect, test } from "vitest";
import { modelsOf } from "../tensor/operators/judged.ts";
import { TABLES } from "../tensor/operators/tables.ts";
import { judgeAll, missing } from "./every-call.ts";
import { GAPS } from "./gaps.ts";

describe.each(Object.entries(TABLES))("%s", (_, rows) => {
  const operators = [...new Set(rows.map((r) => r.op))];
  test.each(operators)("%s", async (op) => {
    for (const model of await modelsOf(rows.filter((r) => r.op === op))) await judgeAll(model);
  });
});

test("what is listed has no machine code", () => {
  expect([...missing].toSorted()).toEqual(GAPS);
});
