/**
 * Every operator in every form: for each call of a kernel that the compiled node makes there is machine code, and it
 * computes what the kernel of src/tensor does. What has no machine code is listed, exactly.
 */

import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { KernelGap } from "../../src/codegen/kernel.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import { compileCase, readCase } from "../tensor/node-case.ts";
import { modelsOf, type RowModel } from "../tensor/operators/judged.ts";
import { TABLES } from "../tensor/operators/tables.ts";
import { callsOf, kindOf } from "./recorded.ts";
import { type Call, isClose } from "./run-kernel.ts";

/** Tests have many calls in common. */
const seen = new Set<string>();

/** What is wrong with the machine code for a call; "" for nothing. */
function fault(call: Call): string {
  const what = `${call.kernel} of ${call.operands.map((t) => t?.elem ?? "none").join(", ")}`;
  try {
    isClose(call, "rv32imaf", 1, WITHIN);
    return "";
  } catch (e) {
    if (e instanceof KernelGap) return `${what}: ${e.message}`;
    return `${what}: WRONG ${String(e).slice(0, 300)} ${kindOf(call).slice(0, 400)}`;
  }
}

const WITHIN = 1e-5;

function faultsOf(calls: readonly Call[]): string[] {
  const fresh = calls.filter((call) => !seen.has(kindOf(call)));
  for (const call of fresh) seen.add(kindOf(call));
  return fresh.map(fault).filter((text) => text !== "");
}

async function ofModel({ model, parts }: RowModel): Promise<readonly Call[]> {
  try {
    return await callsOf(await compileCase(model));
  } catch (e) {
    if (!(e instanceof InputError)) throw e;
    const calls = [];
    for (const part of parts) calls.push(...(await ofModel(part)));
    return calls;
  }
}

describe.each(Object.entries(TABLES))("%s", (_, rows) => {
  const operators = [...new Set(rows.map((r) => r.op))];
  test.each(operators)("%s", async (op) => {
    const faults = [];
    for (const model of modelsOf(rows.filter((r) => r.op === op))) {
      faults.push(...faultsOf(await ofModel(model)));
    }
    expect([...new Set(faults)]).toEqual([]);
  });
});

const ROOT = "test/onnx-node-tests";

describe("ONNX's tests", () => {
  test.each(readdirSync(ROOT))("%s", async (name) => {
    const calls = await callsOf(await compileCase(readCase(`${ROOT}/${name}`)));
    expect([...new Set(faultsOf(calls))]).toEqual([]);
  });
});
