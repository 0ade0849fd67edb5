/**
 * infer-shapes: give every value its element type and shape.
 *
 * Before: the inputs' dimensions are numbers; other types are whatever the file says.
 * After: every type is what the records infer; only dimensions that depend on data are unknown.
 * Why it evaluates small constants on the way: exporters compute the shapes of reshapes in the graph.
 */

import type { Module } from "../src/ir/op.ts";
import { walk } from "./infer/walk.ts";
import type { Pass } from "./pass.ts";

/** Shapes, axes, ranges and masks of short sequences; weights have more elements. */
const SMALL = 4096;

export const inferShapes: Pass = {
  name: "infer-shapes",
  summary: "give every value its element type and shape",
  needs: [],
  gives: ["typed"],
  run: (module: Module, { weights }): Module =>
    walk(module, { weights, limit: SMALL, replace: (op) => [op] }),
};
