/** Every operation there is, by kind. */

import type { OpDef } from "./define.ts";
import { AIMC_OPS } from "./dialects/aimc.ts";
import { NN_OPS } from "./dialects/nn.ts";
import { ONNX_OPS } from "./dialects/onnx.ts";
import { PROGRAM_OPS } from "./dialects/program.ts";

export const OPS: ReadonlyMap<string, OpDef> = new Map(
  [...ONNX_OPS, ...NN_OPS, ...AIMC_OPS, ...PROGRAM_OPS].map((def) => [def.kind, def]),
);

/** The record of a kind that must exist: the verifier has already refused modules where it does not. */
export function defOf(kind: string): OpDef {
  const def = OPS.get(kind);
  if (!def) throw new Error(`no operation is called ${kind}`);
  return def;
}
