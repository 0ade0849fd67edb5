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
import { rowOf } from "./raise/rows.ts";

/** c where v = c². */
function squared(graph: Graph, v: Value): Value | undefined {
  const power = graph.producer(v, "onnx.Pow");
  if (power)
    return graph.scalar(power.operands[1]) === 2 ? (power.operands[0] ?? undefined) : undefined;
  const [a, b] = graph.producer(v, "onnx.Mul")?.operands ?? [];
  return a && b && same(graph, a, b) ? a : undefined;
}

/** u where v is u to the power of `exponent`. */
function powerOf(graph: Graph, v: Value | null | undefined, exponent: number): Value | undefined {
  const [u, k] = graph.producer(v, "onnx.Pow")?.operands ?? [];
  return u && graph.scalar(k) === exponent ? u : undefined;
}

/** c and epsilon where v = sqrt(u), u = mean(c²) + epsilon. */
function rootMeanSquare(graph: Graph, v: Value | null | undefined) {
  return meanSquare(graph, argument(graph, v, "onnx.Sqrt") ?? powerOf(graph, v, 0.5));
}

/** c and epsilon where u = mean(c²) + epsilon. */
function meanSquare(graph: Graph, u: Value | null | undefined) {
  const sum = withScalar(graph, u, "onnx.Add");
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

/** A numerator, with c and epsilon where the quotient is by sqrt(mean(c²) + epsilon). */
type Quotient = readonly [Value, { readonly c: Value; readonly epsilon: number }];

/** However the division is written: by the root, times its reciprocal, times u to the power -1/2. */
function quotients(graph: Graph, op: Op): readonly Quotient[] {
  const [a, b] = op.operands;
  const pairs: (readonly [Value, ReturnType<typeof meanSquare>])[] = [];
  if (op.kind === "onnx.Div" && a && b) pairs.push([a, rootMeanSquare(graph, b)]);
  for (const [x, inverse] of op.kind === "onnx.Mul" ? orders(op) : []) {
    pairs.push([x, rootMeanSquare(graph, reciprocal(graph, inverse))]);
    pairs.push([x, meanSquare(graph, powerOf(graph, inverse, -0.5))]);
  }
  return pairs.flatMap(([x, found]) => (found ? [[x, found] as const] : []));
}

/** x where c = x - mean(x). */
function centred(graph: Graph, c: Value): Value | undefined {
  const [x, mean] = graph.producer(c, "onnx.Sub")?.operands ?? [];
  const averaged = mean && meanOfRow(graph, mean);
  return x && averaged && same(graph, averaged, x) ? x : undefined;
}

function writtenOut(op: Op, graph: Graph): Op | null {
  for (const [c, found] of quotients(graph, op)) {
    if (!same(graph, found.c, c)) continue;
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

/** Nobody but operations that give it a row reads a norm: several modules may norm one value. */
const isOnlyScaled = (graph: Graph, y: Value): boolean =>
  graph.uses(y) === graph.usersOf(y).length &&
  graph
    .usersOf(y)
    .every((op) => ROWS.has(op.kind) && op.operands.some((v) => v && rowOf(graph, v, y)));

const ROWS = new Set(["onnx.Mul", "onnx.Add"]);

/** Operands of a norm with one more row, when the operation is what its kind still lacks. */
function withRow(op: Op, norm: Op, row: Value): readonly (Value | null)[] | null {
  const [x, scale, bias] = norm.operands;
  const isLayer = norm.kind === "nn.layer_norm";
  if (!x || bias) return null;
  if (op.kind === "onnx.Add") return isLayer ? [x, scale ?? null, row] : null;
  return !scale && (isLayer || norm.kind === "nn.rms_norm") ? [x, row] : null;
}

/** A constant row multiplied to a norm that has none yet, or added to a layer norm. */
function affine(op: Op, graph: Graph): readonly Op[] | null {
  if (!ROWS.has(op.kind)) return null;
  for (const [y, constant] of orders(op)) {
    const norm = graph.producer(y);
    const found = norm && isOnlyScaled(graph, y) ? rowOf(graph, constant, y) : undefined;
    const operands = norm && found ? withRow(op, norm, found.row) : null;
    if (!norm || !found || !operands) continue;
    const name = parameterName(graph, constant);
    return [...found.ops, inPlaceOf(graph, op, norm.kind, operands, attrsOf(norm), name)];
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
  // An RMS norm of what is centred already is a layer norm, which ONNX Runtime's optimiser takes apart.
  const source = kind === "nn.rms_norm" ? centred(graph, x) : undefined;
  const operands = [source ?? x, scale, ...(bias ? [bias] : [])];
  const name = parameterName(graph, scale);
  return inPlaceOf(graph, op, source ? "nn.layer_norm" : kind, operands, attrsOf(op), name);
}

export const raiseNorm: Pass = {
  name: "raise-norm",
  summary: "recognise layer norms and RMS norms",
  needs: ["raised"],
  gives: [],
  run: (module, context) =>
    raiseOps(module, context, (op, graph) => {
      const norm = oneOperator(op, graph) ?? writtenOut(op, graph);
      return norm ? [norm] : affine(op, graph);
    }),
};
