/**
 * raise-linear: matrix products with constant weights become nn.linear.
 *
 * Before: MatMul and Gemm with a constant matrix on either side, real or of integers behind
 *   DequantizeLinear; a constant row added, also to a sum that the product is part of; and reshapes
 *   around them that only flatten the leading axes and bring them back.
 * After: nn.linear on the unflattened x, with the weight as an attribute in the file's layout and element
 *   type; the scales of integer weights are multiplied afterwards.
 * Why an attribute: a weight that lies in a tile is not data that flows.
 */

import type { Attrs, Op, Value } from "../src/ir/op.ts";
import { isFloat } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { orders, sameShape } from "./raise/patterns.ts";
import { delivered, inputOf, linear, type Product, rangeOf, written } from "./raise/product.ts";
import { rowOf } from "./raise/rows.ts";
import { MOST_MATRICES } from "./raise/stacks.ts";
import { type Matrix, matrixIn, matrixOf, real } from "./raise/weights.ts";

/** Scales come out of a product of integers with integers; else they stay with the weights. */
function suited(graph: Graph, x: Value, matrix: Matrix): Matrix {
  const [, scale] = graph.producer(x, "onnx.DequantizeLinear")?.operands ?? [];
  return scale?.type.shape.every((d) => d === 1) ? matrix : real(matrix);
}

/** A linear in place of `op`: one operation when its weights are real, else with what rescales them. */
function raised(graph: Graph, op: Op, x: Value, stored: Matrix, bias?: Value): readonly Op[] {
  const found = bias && rowOf(graph, bias, op.results[0]);
  const matrix = suited(graph, x, stored);
  if (!matrix.scale && (found || !bias)) {
    const input = { x, known: rangeOf(graph, x) };
    const whole = linear(graph, op, { input, matrix, bias: found?.row });
    return [...(found?.ops ?? []), whole];
  }
  const b = graph.builder(op);
  const input = inputOf(graph, b, x, matrix);
  return delivered(b, written(graph, b, op, { input, matrix, bias }), op);
}

function fromMatMul(op: Op, graph: Graph): readonly Op[] | null {
  const [x, w] = op.operands;
  if (!x || !w) return null;
  if (graph.isConstant(x)) return fromLeft(op, graph, x, w);
  const matrix = matrixOf(graph, w);
  const rank = op.results[0]?.type.shape.length;
  if (matrix && rank === x.type.shape.length) return raised(graph, op, x, matrix);
  return graph.refuse(NAME, obstacleTo(graph, x, w), op);
}

/** Why a product is none of a constant matrix. */
function obstacleTo(graph: Graph, x: Value, w: Value): string {
  const shape = `[${w.type.shape.join(", ")}]`;
  const [integers] = graph.producer(w, "onnx.DequantizeLinear")?.operands ?? [];
  if (integers && !graph.isConstant(integers)) {
    return "both of its factors are computed, and rounded to integers on the way, which keeps attention in its parts";
  }
  if (integers)
    return `its integers ${shape} have scales of a form that no tile or digital product applies`;
  if (!graph.isConstant(w)) return "neither of its factors is a constant";
  if (!isFloat(w.type.elem)) return `its constant is of ${w.type.elem}`;
  const count = w.type.shape.slice(0, -2).find((d) => d !== 1);
  if (w.type.shape.length < 2) return `its constant ${shape} is no matrix`;
  if (!count) return `its constant ${shape} has more axes than [${x.type.shape.join(", ")}]`;
  return Number(count) > MOST_MATRICES
    ? `its constant holds ${count} matrices, more than heads: one for each position`
    : `its constant ${shape} holds matrices for more than one axis of [${x.type.shape.join(", ")}]`;
}

const NAME = "linear layer";

/** W x = (xᵀ Wᵀ)ᵀ over the last two axes of x. */
function fromLeft(op: Op, graph: Graph, w: Value, x: Value): readonly Op[] | null {
  const stored =
    graph.isConstant(x) || w.type.shape.length !== 2 ? undefined : matrixOf(graph, w, true);
  const rank = x.type.shape.length;
  if (!stored || (stored.scale && !stored.blocks) || rank < 2) {
    const shape = `[${w.type.shape.join(", ")}]`;
    const why = `its constant ${shape} stands on the left and is no single matrix of real numbers`;
    return graph.isConstant(x) ? null : graph.refuse(NAME, why, op);
  }
  const axes = x.type.shape.map((_, i) => i);
  const perm = [...axes.slice(0, -2), rank - 1, rank - 2];
  const b = graph.builder(op);
  const turned = b.op("Transpose", [x], { perm });
  const matrix = real(stored);
  const y = written(graph, b, op, { input: { x: turned, known: rangeOf(graph, x) }, matrix });
  return delivered(b, b.op("Transpose", [y], { perm }), op);
}

/** alpha A' B' + beta C, where ' is a transposition or nothing. */
function fromGemm(op: Op, graph: Graph): readonly Op[] | null {
  const [x, w, c] = op.operands;
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = op.attrs;
  const stored = x && w && !graph.isConstant(x) ? matrixOf(graph, w, transB === 1) : undefined;
  if (x && w && !stored) return graph.refuse(NAME, obstacleTo(graph, x, w), op);
  if (!x || !stored) return null;
  const matrix = suited(graph, x, stored);
  if (alpha === 1 && transA === 0 && (!c || beta === 1)) {
    return raised(graph, op, x, matrix, c ?? undefined);
  }
  const b = graph.builder(op);
  const rows = transA === 1 ? b.op("Transpose", [x], { perm: [1, 0] }) : x;
  const times = (v: Value, by: unknown) =>
    by === 1 ? v : b.op("Mul", [v, b.number(v.type.elem, Number(by))]);
  const y = times(written(graph, b, op, { input: inputOf(graph, b, rows, matrix), matrix }), alpha);
  return delivered(b, c ? b.op("Add", [y, times(c, beta)]) : y, op);
}

/** What a linear says of its input. */
function knownIn({ attrs }: Op): Attrs {
  const { input_bound: bound, input_scale: worth } = attrs;
  return {
    ...(bound !== undefined && { input_bound: bound }),
    ...(worth !== undefined && { input_scale: worth }),
  };
}

/** A linear without a bias that nobody else reads, with its parts. */
function bare(graph: Graph, y: Value): Product | undefined {
  const inner = graph.producer(y, "nn.linear");
  const [x, present] = inner?.operands ?? [];
  if (!inner || !x || present || graph.uses(y) !== 1) return undefined;
  const matrix = matrixIn(inner);
  // A bias behind a product of integers comes after its scale.
  if (!matrix || !(isFloat(matrix.weight.type.elem) || matrix.blocks)) return undefined;
  return { input: { x, known: knownIn(inner) }, matrix };
}

/** A constant row added to a linear, or to the sum of a linear and something else. */
function withBias(op: Op, graph: Graph): readonly Op[] | null {
  for (const [y, bias] of orders(op)) {
    const found = rowOf(graph, bias, y);
    if (!found || !op.results.every((r) => sameShape(r, y))) continue;
    const product = bare(graph, y);
    if (!product) return reassociated(op, graph, y, found.row);
    const whole = linear(graph, op, { ...product, bias: found.row });
    return [...found.ops, whole];
  }
  return null;
}

/** (x W + r) + bias = (x W + bias) + r. */
function reassociated(op: Op, graph: Graph, sum: Value, bias: Value): readonly Op[] | null {
  const inner = graph.producer(sum, "onnx.Add");
  if (!inner || graph.uses(sum) !== 1 || !graph.isConstant(bias)) return null;
  for (const [y, other] of orders(inner)) {
    const product = bare(graph, y);
    if (!product || !sameShape(y, sum) || graph.isConstant(other)) continue;
    const value = graph.fresh(`${y.id}_biased`, y.type);
    const whole = linear(graph, { ...inner, results: [value] }, { ...product, bias });
    return [
      { ...whole, origin: inner.origin },
      { ...op, operands: [value, other] },
    ];
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
  const matrix = matrixIn(inner);
  const widths = [x.type.shape.at(-1), result.type.shape.at(-1)].join();
  const kept = widths === [flat.type.shape.at(-1), y.type.shape.at(-1)].join();
  if (!kept || !sameLead(x, result) || !matrix) return null;
  const input = { x, known: knownIn(inner) };
  return [linear(graph, op, { input, matrix, bias: bias ?? undefined })];
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
  run: (module, context) =>
    raiseOps(module, context, (op, graph) => RULES[op.kind]?.(op, graph) ?? null),
};
