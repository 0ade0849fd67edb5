/**
 * Runs a list of passes: verifies before and after each, and stops at the first that reports faults.
 * Touches no file, clock or console: `watch` is where dumps, timing and checks hang.
 */

import type { Pass, PassContext, Remark } from "../../passes/pass.ts";
import type { Stage } from "../../passes/pipeline.ts";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import type { Module } from "../ir/op.ts";
import { verify } from "../ir/verify.ts";

export interface Step {
  readonly stage: string;
  readonly pass: Pass;
  /** Position of the pass in the whole pipeline, from 1. */
  readonly index: number;
  readonly before: Module;
  readonly after: Module;
  readonly remarks: readonly Remark[];
}

export type Watch = (step: Step) => void | Promise<void>;

/** Everything a pass may see, but for the two callbacks that the runner provides. */
export type Surroundings = Omit<PassContext, "report" | "remark">;

export async function runPasses(
  source: Module,
  stages: readonly Stage[],
  surroundings: Surroundings,
  watch: Watch,
): Promise<Module> {
  let module = source;
  let index = 0;
  check(module, "reading");
  for (const stage of stages) {
    for (const pass of stage.passes) {
      const before = module;
      const errors: Diagnostic[] = [];
      const remarks: Remark[] = [];
      module = await pass.run(module, {
        ...surroundings,
        report: (d) => errors.push(d),
        remark: (r) => remarks.push(r),
      });
      if (errors.length > 0) throw new InputError(errors);
      check(module, pass.name);
      index += 1;
      await watch({ stage: stage.name, pass, index, before, after: module, remarks });
    }
  }
  return module;
}

/** A module that does not verify is our own fault, so it is no diagnostic. */
function check(module: Module, after: string): void {
  const faults = [...verify(module)].slice(0, 5);
  if (faults.length === 0) return;
  const lines = faults.map(({ op, text }) => `  ${text}${op ? ` [${op.origin.join(", ")}]` : ""}`);
  throw new Error(`after ${after}, the module does not verify:\n${lines.join("\n")}`);
}
