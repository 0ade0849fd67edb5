/**
 * raise-embedding: looking up rows of a constant table becomes nn.embedding.
 *
 * Before: Gather along axis 0 of a constant matrix with ids that are computed or given: of real numbers, or of
 *   integers that are made real behind it.
 * After: nn.embedding.
 */

import { intAttr } from "../src/ir/attrs.ts";
import type { Op, Value } from "../src/ir/op.ts";
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
  if (!constant || graph.isConstant(ids) || shape.length < 2) return null;
  const [rows] = op.results;
  if (!rows || !(isFloat(elem) ? !isScale(graph, rows) : isMadeReal(graph, rows))) return null;
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

/** The operations that read a value, behind reshapes of it, and where they read it. */
function readersOf(graph: Graph, v: Value): readonly (readonly [op: Op, at: number])[] {
  return graph.usersOf(v).flatMap((op) => {
    const [result] = op.results;
    if (op.kind === "onnx.Reshape" && result) return readersOf(graph, result);
    return [[op, op.operands.indexOf(v)] as const];
  });
}

const isMadeReal = (graph: Graph, v: Value): boolean =>
  readersOf(graph, v).some(([op, at]) => op.kind === DEQUANTIZE && at === 0);

/** Picked beside the integers that it makes real: no table of its own. */
function isScale(graph: Graph, v: Value): boolean {
  const readers = readersOf(graph, v);
  return readers.length > 0 && readers.every(([op, at]) => op.kind === DEQUANTIZE && at > 0);
}

const DEQUANTIZE = "onnx.DequantizeLinear";

const NAME = "embedding";

export const raiseEmbedding: Pass = {
  name: "raise-embedding",
  summary: "recognise embedding tables",
  needs: ["raised"],
  gives: [],
  run: (module, context) => raiseOps(module, context, lookup),
};
