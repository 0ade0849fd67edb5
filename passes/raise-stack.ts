/**
 * raise-stack: products with a stack of constant matrices, one for each head.
 *
 * Before: MatMul of x [..., H, S, in] and constants [H, in, out], as the tables of relative positions that
 *   every head has (Shaw et al., 2018; He et al., DeBERTa, 2021).
 * After: nn.linear for every matrix on its own rows, and Concat.
 * Why after raise-moe: experts are stacks, too, and read better as experts.
 */

import type { Op } from "../src/ir/op.ts";
import { reshape } from "./expand/write.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { delivered } from "./raise/product.ts";
import { MOST_MATRICES, sideBySide, stackIn } from "./raise/stacks.ts";

function fromStack(op: Op, graph: Graph): readonly Op[] | null {
  const [x, w] = op.operands;
  if (op.kind !== "onnx.MatMul" || !x || !w || !graph.isConstant(w)) return null;
  const lead = w.type.shape.slice(0, -2);
  const [count, ...others] = lead.filter((d) => d !== 1);
  const axis = x.type.shape.length - w.type.shape.length + lead.findIndex((d) => d !== 1);
  const [inputs, outputs] = w.type.shape.slice(-2);
  const isAxis = x.type.shape[axis] === count || x.type.shape[axis] === 1;
  if (!count || others.length > 0 || count > MOST_MATRICES || axis < 0 || !isAxis) return null;
  if (!inputs || !outputs || x.type.shape.includes(null)) return null;
  const stack = stackIn(graph, w, [count, inputs, outputs], false);
  if (!stack) return null;
  const b = graph.builder(op);
  const y = sideBySide(graph, b, op, { x, axis, stack });
  // Constants may have axes of size 1 before those of x.
  const shape = op.results[0]?.type.shape.map(Number) ?? [];
  return delivered(b, shape.length > x.type.shape.length ? reshape(b, y, shape) : y, op);
}

export const raiseStack: Pass = {
  name: "raise-stack",
  summary: "recognise products with a matrix for each head as linear layers",
  needs: ["raised"],
  gives: [],
  run: (module, context) => raiseOps(module, context, fromStack),
};
