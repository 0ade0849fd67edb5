/**
 * raise-embedding: looking up rows of a constant table becomes nn.embedding.
 *
 * Before: Gather along axis 0 of a constant matrix with ids that are computed or given.
 * After: nn.embedding.
 */

import { intAttr } from "../src/ir/attrs.ts";
import type { Op } from "../src/ir/op.ts";
import { isFloat } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { constantName } from "./raise/module-paths.ts";
import { inPlaceOf } from "./raise/patterns.ts";

function lookup(op: Op, graph: Graph): readonly Op[] | null {
  const [table, ids] = op.operands;
  if (op.kind !== "onnx.Gather" || !table || !ids) return null;
  const constant = graph.producer(table, "onnx.Constant");
  const { elem, shape } = table.type;
  const axis = (intAttr(op, "axis", 0) + shape.length) % shape.length;
  if (!constant || graph.isConstant(ids) || !isFloat(elem) || shape.length < 2) return null;
  if (axis !== 0)
    return graph.refuse(NAME, `it picks along axis ${axis} of its table, not rows`, op);
  if (shape.length !== 2) {
    return graph.refuse(
      NAME,
      `its table [${shape.join(", ")}] has more axes than rows and columns`,
      op,
    );
  }
  return [inPlaceOf(graph, op, "nn.embedding", [table, ids], {}, constantName(constant))];
}

const NAME = "embedding";

export const raiseEmbedding: Pass = {
  name: "raise-embedding",
  summary: "recognise embedding tables",
  needs: ["raised"],
  gives: [],
  run: (module, context) => raiseOps(module, context, lookup),
};
