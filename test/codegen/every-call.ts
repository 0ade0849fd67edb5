/** Every call of a kernel that a model makes, in machine code against the kernel of src/tensor. */

import { expect } from "vitest";
import { KernelGap } from "../../src/codegen/kernel.ts";
import { compileCase, type NodeCase } from "../tensor/node-case.ts";
import { GAPS, ONNX_GAPS } from "./gaps.ts";
import { callsOf, kindOf } from "./recorded.ts";
import { type Call, isClose } from "./run-kernel.ts";

/** Of the largest magnitude of a result. */
const WITHIN = 1e-5;

/** Models have many calls in common. */
const seen = new Set<string>();

/** What was found to have no machine code. */
export const missing = new Set<string>();

/** Notes why there is no machine code for a call; fails where there is and computes something else. */
function judge(call: Call): void {
  const { kernel, operands } = call;
  try {
    isClose(call, "rv32imaf", WITHIN);
  } catch (e) {
    if (!(e instanceof KernelGap)) throw e;
    const gap = `${kernel} of ${operands.map((t) => t?.elem ?? "none").join(", ")}: ${e.message}`;
    expect([...GAPS, ...ONNX_GAPS]).toContain(gap);
    missing.add(gap);
  }
}

/** Results whose shape only the data decides are no call that machine code is made for. */
export async function judgeAll(model: NodeCase): Promise<void> {
  for (const call of await callsOf(await compileCase(model))) {
    const kind = kindOf(call);
    if (call.isOpen || seen.has(kind)) continue;
    seen.add(kind);
    judge(call);
  }
}
