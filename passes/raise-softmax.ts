/**
 * raise-softmax: softmax outside of attention.
 *
 * Before: Softmax that no attention has taken up.
 * After: nn.softmax.
 */

import type { Op } from "../src/ir/op.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { inPlaceOf } from "./raise/patterns.ts";

function softmax(op: Op, graph: Graph): readonly Op[] | null {
  const [x] = op.operands;
  if (op.kind !== "onnx.Softmax" || !x) return null;
  const { axis = -1 } = op.attrs;
  return [inPlaceOf(graph, op, "nn.softmax", [x], { axis })];
}

export const raiseSoftmax: Pass = {
  name: "raise-softmax",
  summary: "recognise softmax outside of attention",
  needs: ["raised"],
  gives: [],
  run: (module, context) => raiseOps(module, context, softmax),
};
