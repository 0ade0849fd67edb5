/**
 * raise-norm: layer norms and RMS norms, as one operator or written out.
 *
 * Before: LayerNormalization, RMSNormalization or SimplifiedLayerNormalization over the last axis; or
 *   c / sqrt(mean(c²) + epsilon), where c is x (RMS) or x - mean(x) (layer norm), with a quotient, a
 *   reciprocal or a product, and constant rows multiplied and added, before or after.
 * After: nn.layer_norm and nn.rms_norm.
 * Why epsilon is matched inside the root only: beside it, it means something else.
 */

import type { Op, Value } from "../src/ir/op.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { constantName } from "./raise/module-paths.ts";
import { centred, inverseRoot, isMeanOf, type Normed, quotients, squared } from "./raise/norms.ts";
import { difference, inPlaceOf, isRowFor, meanOfRow, orders, same } from "./raise/patterns.ts";
import { rowOf } from "./raise/rows.ts";

/** Whether a mean is taken of a value, or of one behind a sum or a root: what a norm divides by. */
function meanBehind(graph: Graph, v: Value | null | undefined, depth = 5): Op | undefined {
  const op = graph.producer(v);
  if (!op || op.kind === "onnx.ReduceMean" || op.kind === "onnx.ReduceSum") return op ?? undefined;
  if (depth === 0 || !isOnWay(graph, op)) return undefined;
  for (const operand of op.operands) {
    const found = meanBehind(graph, operand, depth - 1);
    if (found) return found;
  }
  return undefined;
}

const TO_ROOT = new Set(
  ["Sqrt", "Add", "Reciprocal", "Pow", "Div", "Cast"].map((n) => `onnx.${n}`),
);

/** It leads from a mean to the root that divides; a quotient does as one over it. */
const isOnWay = (graph: Graph, op: Op): boolean =>
  TO_ROOT.has(op.kind) && (op.kind !== "onnx.Div" || graph.scalar(op.operands[0]) === 1);

const hasRoot = (graph: Graph, v: Value | null | undefined, depth = 4): boolean => {
  const op = graph.producer(v);
  if (!op || !isOnWay(graph, op) || depth === 0) return false;
  const power = op.kind === "onnx.Pow" ? Math.abs(graph.scalar(op.operands[1]) ?? 1) : 1;
  return (
    op.kind === "onnx.Sqrt" ||
    power === 0.5 ||
    op.operands.some((o) => hasRoot(graph, o, depth - 1))
  );
};

/** The divisor that looks like a root of a mean. */
function rootIn(op: Op, graph: Graph): { readonly root: Value; readonly mean: Op } | undefined {
  const [a, b] = op.operands;
  const divisors = op.kind === "onnx.Mul" ? [a, b] : op.kind === "onnx.Div" ? [b] : [];
  for (const root of divisors) {
    const mean = root && hasRoot(graph, root) ? meanBehind(graph, root) : undefined;
    if (root && mean) return { root, mean };
  }
  return undefined;
}

/** Why what is divided by the root of a mean is no norm. */
function nearly(op: Op, graph: Graph): null {
  const found = rootIn(op, graph);
  const [averaged] = found?.mean.operands ?? [];
  const [y] = found?.mean.results ?? [];
  if (!found || !averaged || !y) return null;
  const { root, mean } = found;
  if (mean.kind === "onnx.ReduceSum") {
    return graph.refuse(NAME, "it divides by the root of a sum, not of a mean", mean);
  }
  if (!meanOfRow(graph, y)) {
    return graph.refuse(
      NAME,
      "its mean is not taken over the last axis alone, and kept as one",
      mean,
    );
  }
  if (!squared(graph, averaged)) return graph.refuse(NAME, "its mean is not one of squares", mean);
  if (quotients(graph, op).length === 0) {
    const why = "its root is not that of a mean of squares plus a constant epsilon inside of it";
    return graph.refuse(NAME, why, root);
  }
  return graph.refuse(NAME, "what it divides is not what was squared", op);
}

const NAME = "layer norm or RMS norm";

function writtenOut(op: Op, graph: Graph): readonly Op[] | null {
  for (const q of quotients(graph, op)) {
    if (!same(graph, q.c, q.numerator)) continue;
    const x = centred(graph, q.numerator);
    const kind = x ? "nn.layer_norm" : "nn.rms_norm";
    return normed(op, graph, kind, { ...q, x: x ?? q.numerator });
  }
  return nearly(op, graph);
}

/** The norm of x, with the constants that scale and shift its rows. */
function normed(op: Op, graph: Graph, kind: string, norm: Normed): readonly Op[] | null {
  const [scale, shift] = [norm.row, norm.shift].map((v) => v && rowOf(graph, v, op.results[0]));
  if ((norm.row && !scale) || (norm.shift && !shift)) return null;
  const rows = shift ? [scale?.row ?? null, shift.row] : scale ? [scale.row] : [];
  const name = norm.row && parameterName(graph, norm.row);
  const { epsilon } = norm;
  const whole = inPlaceOf(graph, op, kind, [norm.x, ...rows], { epsilon }, name);
  return [...(scale?.ops ?? []), ...(shift?.ops ?? []), whole];
}

/** x s + (shift - mean(x) s), where s = scale / sqrt(mean((x - mean(x))²) + epsilon), as TensorFlow writes it. */
function folded(op: Op, graph: Graph): readonly Op[] | null {
  for (const [scaled, rest] of op.kind === "onnx.Add" ? orders(op) : []) {
    const [shift, product] = difference(graph, rest) ?? [];
    if (!shift || !product || !graph.isConstant(shift)) continue;
    for (const [x, s] of orders(graph.producer(scaled, "onnx.Mul"))) {
      const found = inverseRoot(graph, s);
      const source = found && centred(graph, found.c);
      const isMean = orders(graph.producer(product, "onnx.Mul")).some(
        ([mean, t]) => same(graph, s, t) && isMeanOf(graph, mean, x),
      );
      if (!found || !source || !isMean || !same(graph, source, x)) continue;
      return normed(op, graph, "nn.layer_norm", { ...found, x, shift });
    }
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
  return rowAlone(op, graph);
}

/** Why a constant row is multiplied or added by itself. */
function rowAlone(op: Op, graph: Graph): null {
  const found = orders(op).find(([y, row]) => isRowFor(graph, row, y) && !graph.isConstant(y));
  const [y, row] = found ?? [];
  if (!y || !row || Number(row.type.shape[0]) < 2) return null;
  const before = graph.producer(y);
  const [name, wanted] =
    op.kind === "onnx.Mul"
      ? ["scale of a norm", "a norm"]
      : ["bias", "a linear layer or a layer norm"];
  const taken = before?.kind === "nn.linear" || before?.kind.endsWith("_norm") === true;
  const from = before ? before.kind.replace(/^\w+\./, "") : "an input";
  const why = taken
    ? `what comes before has one already, or is read by others, too`
    : `its row meets what ${from} gives, which is not ${wanted}`;
  return graph.refuse(name ?? NAME, why, op);
}

const FUSED: Readonly<Record<string, string>> = {
  "onnx.LayerNormalization": "nn.layer_norm",
  "onnx.RMSNormalization": "nn.rms_norm",
  "onnx.SimplifiedLayerNormalization": "nn.rms_norm",
};

function oneOperator(op: Op, graph: Graph): Op | null {
  const kind = FUSED[op.kind];
  const [x, scale, bias] = op.operands;
  if (!kind || !x || !scale) return null;
  const { axis = -1 } = op.attrs;
  const rank = x.type.shape.length;
  const rows = [scale, bias].every((v) => !v || isRowFor(graph, v, x));
  if ((Number(axis) + rank) % rank !== rank - 1) {
    return graph.refuse(NAME, `it is taken from axis ${axis} on, not over the last alone`, op);
  }
  if (!rows) return graph.refuse(NAME, "its scale or bias is no constant row", op);
  const [y, ...others] = op.results;
  if (!y || others.some((v) => graph.uses(v) > 0)) {
    return graph.refuse(NAME, "its mean or deviation is read, too", op);
  }
  // An RMS norm of what is centred already is a layer norm, which ONNX Runtime's optimiser takes apart.
  const source = kind === "nn.rms_norm" ? centred(graph, x) : undefined;
  const operands = [source ?? x, scale, ...(bias ? [bias] : [])];
  const name = parameterName(graph, scale);
  const alone = { ...op, results: [y] };
  return inPlaceOf(graph, alone, source ? "nn.layer_norm" : kind, operands, attrsOf(op), name);
}

export const raiseNorm: Pass = {
  name: "raise-norm",
  summary: "recognise layer norms and RMS norms",
  needs: ["raised"],
  gives: [],
  run: (module, context) =>
    raiseOps(module, context, (op, graph) => {
      const norm = oneOperator(op, graph);
      return norm ? [norm] : (writtenOut(op, graph) ?? folded(op, graph) ?? affine(op, graph));
    }),
};
