/**
 * raise-norm: layer norms and RMS norms, as one operator or written out.
 *
 * Before: LayerNormalization, RMSNormalization or SimplifiedLayerNormalization over the last axis; or
 *   c / sqrt(mean(c²) + epsilon), where c is x (RMS) or x - mean(x) (layer norm), with a quotient, a
 *   reciprocal or a product, then constant rows multiplied and added.
 * After: nn.layer_norm and nn.rms_norm.
 * Why epsilon is matched inside the root only: beside it, it means something else.
 */

import type { Op, Value } from "../src/ir/op.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { constantName } from "./raise/module-paths.ts";
import {
  argument,
  inPlaceOf,
  isRowFor,
  meanOfRow,
  orders,
  same,
  withScalar,
} from "./raise/patterns.ts";

/** c where v = c². */
function squared(graph: Graph, v: Value): Value | undefined {
  const power = graph.producer(v, "onnx.Pow");
  if (power)
    return graph.scalar(power.operands[1]) === 2 ? (power.operands[0] ?? undefined) : undefined;
  const [a, b] = graph.producer(v, "onnx.Mul")?.operands ?? [];
  return a && b && same(graph, a, b) ? a : undefined;
}

/** c and epsilon where v = sqrt(mean(c²) + epsilon). */
function rootMeanSquare(graph: Graph, v: Value | null | undefined) {
  const sum = withScalar(graph, argument(graph, v, "onnx.Sqrt"), "onnx.Add");
  const square = sum && meanOfRow(graph, sum.x);
  const c = square && squared(graph, square);
  return c ? { c, epsilon: sum.scalar } : undefined;
}

/** d where v = 1 / d. */
function reciprocal(graph: Graph, v: Value): Value | undefined {
  const direct = argument(graph, v, "onnx.Reciprocal");
  if (direct) return direct;
  const [one, d] = graph.producer(v, "onnx.Div")?.operands ?? [];
  return graph.scalar(one) === 1 ? (d ?? undefined) : undefined;
}

/** Numerator and denominator, however the division is written. */
function quotients(graph: Graph, op: Op): readonly (readonly [Value, Value])[] {
  const [a, b] = op.operands;
  if (op.kind === "onnx.Div" && a && b) return [[a, b]];
  if (op.kind !== "onnx.Mul") return [];
  return orders(op).flatMap(([x, inverse]) => {
    const d = reciprocal(graph, inverse);
    return d ? [[x, d] as const] : [];
  });
}

/** x where c = x - mean(x). */
function centred(graph: Graph, c: Value): Value | undefined {
  const [x, mean] = graph.producer(c, "onnx.Sub")?.operands ?? [];
  const averaged = mean && meanOfRow(graph, mean);
  return x && averaged && same(graph, averaged, x) ? x : undefined;
}

function writtenOut(op: Op, graph: Graph): Op | null {
  for (const [c, d] of quotients(graph, op)) {
    const found = rootMeanSquare(graph, d);
    if (!found || !same(graph, found.c, c)) continue;
    const { epsilon } = found;
    const x = centred(graph, c);
    return x
      ? inPlaceOf(graph, op, "nn.layer_norm", [x], { epsilon })
      : inPlaceOf(graph, op, "nn.rms_norm", [c], { epsilon });
  }
  return null;
}

const parameterName = (graph: Graph, row: Value): string | undefined => {
  const op = graph.producer(row, "onnx.Constant");
  return op && constantName(op);
};

const attrsOf = (op: Op) => ({ epsilon: op.attrs["epsilon"] ?? 1e-5 });

/** A constant row multiplied to a norm that has none yet, or added to a layer norm. */
function affine(op: Op, graph: Graph): Op | null {
  for (const [y, row] of orders(op)) {
    const norm = graph.producer(y);
    const [x, scale, bias] = norm?.operands ?? [];
    if (!norm || !x || graph.uses(y) !== 1 || !isRowFor(graph, row, y)) continue;
    const name = parameterName(graph, row);
    const isLayer = norm.kind === "nn.layer_norm";
    if (op.kind === "onnx.Mul" && (isLayer || norm.kind === "nn.rms_norm") && !scale && !bias) {
      return inPlaceOf(graph, op, norm.kind, [x, row], attrsOf(norm), name);
    }
    if (op.kind === "onnx.Add" && isLayer && !bias) {
      return inPlaceOf(graph, op, norm.kind, [x, scale ?? null, row], attrsOf(norm), name);
    }
  }
  return null;
}

const FUSED: Readonly<Record<string, string>> = {
  "onnx.LayerNormalization": "nn.layer_norm",
  "onnx.RMSNormalization": "nn.rms_norm",
  "onnx.SimplifiedLayerNormalization": "nn.rms_norm",
};

function oneOperator(op: Op, graph: Graph): Op | null {
  const kind = FUSED[op.kind];
  const [x, scale, bias] = op.operands;
  if (!kind || !x || !scale || op.results.length !== 1) return null;
  const { axis = -1 } = op.attrs;
  const rank = x.type.shape.length;
  const rows = [scale, bias].every((v) => !v || isRowFor(graph, v, x));
  if (!rows || (Number(axis) + rank) % rank !== rank - 1) return null;
  const operands = bias ? [x, scale, bias] : [x, scale];
  return inPlaceOf(graph, op, kind, operands, attrsOf(op), parameterName(graph, scale));
}

export const raiseNorm: Pass = {
  name: "raise-norm",
  summary: "recognise layer norms and RMS norms",
  needs: ["raised"],
  gives: [],
  run: (module, { weights }) =>
    raiseOps(module, weights, (op, graph) => {
      const norm = oneOperator(op, graph) ?? writtenOut(op, graph) ?? affine(op, graph);
      return norm && [norm];
    }),
};
