/**
 * raise-linear: matrix products with constant weights become nn.linear.
 *
 * Before: MatMul and Gemm with a constant matrix, a constant row added, and reshapes around them that
 *   only flatten the leading axes and bring them back.
 * After: nn.linear on the unflattened x, with the weight as an attribute in the file's layout.
 * Why an attribute: a weight that lies in a tile is not data that flows.
 */

import type { Op, Value, WeightRef } from "../src/ir/op.ts";
import { isTensorAttr, isWeightRef } from "../src/ir/op.ts";
import { isFloat } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { constantName } from "./raise/module-paths.ts";
import { inPlaceOf, orders, sameShape } from "./raise/patterns.ts";

/** The constant matrix as a reference; small ones join the store. */
function weightOf(graph: Graph, v: Value): WeightRef | undefined {
  if (v.type.shape.length !== 2 || !isFloat(v.type.elem)) return undefined;
  const op = graph.producer(v, "onnx.Constant");
  const value = op?.attrs["value"];
  if (isWeightRef(value)) return value;
  if (!op || !isTensorAttr(value)) return undefined;
  return graph.weights.add(constantName(op) ?? v.id, value);
}

const linear = (
  graph: Graph,
  root: Op,
  operands: readonly (Value | null)[],
  weight: WeightRef,
  transposed: boolean,
): Op => {
  const [, bias] = operands;
  const biasOp = graph.producer(bias, "onnx.Constant");
  const ofBias = biasOp && graph.paths.ofParameter(constantName(biasOp));
  const name = ofBias && !graph.paths.ofParameter(weight.weight) ? constantName(biasOp) : undefined;
  const attrs = { weight, transposed, role: "other" };
  return inPlaceOf(graph, root, "nn.linear", operands, attrs, name ?? weight.weight);
};

function fromMatMul(op: Op, graph: Graph): readonly Op[] | null {
  const [x, w] = op.operands;
  if (!x || !w || graph.isConstant(x)) return null;
  const weight = weightOf(graph, w);
  return weight ? [linear(graph, op, [x], weight, false)] : null;
}

function fromGemm(op: Op, graph: Graph): readonly Op[] | null {
  const [x, w, c] = op.operands;
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = op.attrs;
  if (!x || !w || graph.isConstant(x) || alpha !== 1 || transA !== 0) return null;
  if (c && (beta !== 1 || !isBias(graph, c, op.results[0]))) return null;
  const weight = weightOf(graph, w);
  return weight ? [linear(graph, op, c ? [x, c] : [x], weight, transB === 1)] : null;
}

function isBias(graph: Graph, v: Value, y: Value | undefined): boolean {
  const { shape } = v.type;
  return graph.isConstant(v) && shape.length === 1 && shape[0] === y?.type.shape.at(-1);
}

/** A constant row added to a linear that nobody else reads. */
function withBias(op: Op, graph: Graph): readonly Op[] | null {
  for (const [y, bias] of orders(op)) {
    const inner = graph.producer(y, "nn.linear");
    const [x, present] = inner?.operands ?? [];
    const [result] = op.results;
    if (!inner || !x || present || graph.uses(y) !== 1 || !result) continue;
    if (!isBias(graph, bias, y) || !sameShape(result, y)) continue;
    const { weight, transposed } = inner.attrs;
    if (!isWeightRef(weight)) continue;
    return [linear(graph, op, [x, bias], weight, transposed === true)];
  }
  return null;
}

const sameLead = (a: Value, b: Value): boolean =>
  a.type.shape.length === b.type.shape.length &&
  a.type.shape.slice(0, -1).every((d, i) => d !== null && d === b.type.shape[i]);

/** Reshape, linear, Reshape where the reshapes undo each other on the leading axes. */
function unflattened(op: Op, graph: Graph): readonly Op[] | null {
  const [y] = op.operands;
  const [result] = op.results;
  const inner = graph.producer(y, "nn.linear");
  const [flat, bias] = inner?.operands ?? [];
  const reshape = graph.producer(flat, "onnx.Reshape");
  const [x] = reshape?.operands ?? [];
  if (!inner || !y || !flat || !x || !result || graph.uses(y) !== 1) return null;
  const { weight, transposed } = inner.attrs;
  const widths = [x.type.shape.at(-1), result.type.shape.at(-1)].join();
  const kept = widths === [flat.type.shape.at(-1), y.type.shape.at(-1)].join();
  if (!kept || !sameLead(x, result) || !isWeightRef(weight)) return null;
  return [linear(graph, op, bias ? [x, bias] : [x], weight, transposed === true)];
}

const RULES: Readonly<Record<string, (op: Op, graph: Graph) => readonly Op[] | null>> = {
  "onnx.MatMul": fromMatMul,
  "onnx.Gemm": fromGemm,
  "onnx.Add": withBias,
  "onnx.Reshape": unflattened,
};

export const raiseLinear: Pass = {
  name: "raise-linear",
  summary: "recognise products with constant matrices as linear layers",
  needs: ["typed", "folded"],
  gives: ["raised"],
  run: (module, { weights }) =>
    raiseOps(module, weights, (op, graph) => RULES[op.kind]?.(op, graph) ?? null),
};
