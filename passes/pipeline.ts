/** The whole compiler, top to bottom. Reordering this list is the only way to reorder it. */

import type { Level } from "../src/ir/op.ts";
import { foldConstants } from "./fold-constants.ts";
import { inferShapes } from "./infer-shapes.ts";
import type { Pass } from "./pass.ts";
import { simplify } from "./simplify.ts";

export interface Stage {
  /** The level that the stage's last pass leaves: its dump always goes into the artifact. */
  readonly name: Level;
  readonly passes: readonly Pass[];
}

export const PIPELINE: readonly Stage[] = [
  { name: "onnx", passes: [inferShapes, foldConstants, simplify] },
];
