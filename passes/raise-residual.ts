/**
 * raise-residual: sums of two computed values of one shape.
 *
 * Before: Add of two values of one shape, neither of them constant.
 * After: nn.residual.
 */

import type { Op } from "../src/ir/op.ts";
import { isFloat } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { inPlaceOf, sameShape } from "./raise/patterns.ts";

function sum(op: Op, graph: Graph): readonly Op[] | null {
  const [a, b] = op.operands;
  if (op.kind !== "onnx.Add" || !a || !b || !isFloat(a.type.elem)) return null;
  if (graph.isConstant(a) || graph.isConstant(b) || !sameShape(a, b)) return null;
  return [inPlaceOf(graph, op, "nn.residual", [a, b], {})];
}

export const raiseResidual: Pass = {
  name: "raise-residual",
  summary: "recognise residual sums",
  needs: ["raised"],
  gives: [],
  run: (module, context) => raiseOps(module, context, sum),
};
