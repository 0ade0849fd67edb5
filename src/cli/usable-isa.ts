/** Whether programs can be made for the clusters of a target. */

import { isaFault } from "../codegen/isa.ts";
import { fail, inFile } from "../diag/diagnostic.ts";
import type { Target } from "../target/schema.ts";

const HINT =
  "write an ISA string as `isa: rv32imaf` under `cluster:`, with extensions that docs/isa.md lists";

/** `name` is how the target was named. Errors: A210. */
export function checkIsa({ cluster: { isa } }: Target, name: string): void {
  const fault = isaFault(isa);
  if (fault !== null)
    fail("A210", `the ISA string '${isa}' of the clusters ${fault}`, inFile(name), HINT);
}

/** Errors: A211 for a target that has no matrix engine. */
export function checkEngine({ cluster }: Target, name: string): void {
  if (cluster.matrixEngine) return;
  const hint = "leave --matrix-engine out, or describe one under `cluster.matrixEngine:`";
  fail("A211", "the clusters have no matrix engine", inFile(name), hint);
}
