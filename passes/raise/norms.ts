/** What norms are made of when they are written out: roots of means of squares, and what they divide. */

import type { Op, Value } from "../../src/ir/op.ts";
import type { Graph } from "./graph.ts";
import { argument, difference, meanOfRow, orders, same, withScalar } from "./patterns.ts";

/** c and epsilon of sqrt(mean(c²) + epsilon), and a constant that multiplies the quotient. */
export interface Root {
  readonly c: Value;
  readonly epsilon: number;
  readonly row?: Value;
}

/** A numerator over such a root. */
export interface Quotient extends Root {
  readonly numerator: Value;
}

/** What is normed, and the constants that scale and shift it. */
export interface Normed extends Root {
  readonly x: Value;
  readonly shift?: Value;
}

/** c where v = c². */
export function squared(graph: Graph, v: Value): Value | undefined {
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
const rootMeanSquare = (graph: Graph, v: Value | null | undefined): Root | undefined =>
  meanSquare(graph, argument(graph, v, "onnx.Sqrt") ?? powerOf(graph, v, 0.5));

/** c and epsilon where u = mean(c²) + epsilon. */
function meanSquare(graph: Graph, u: Value | null | undefined): Root | undefined {
  const sum = withScalar(graph, u, "onnx.Add");
  const square = sum && meanOfRow(graph, sum.x);
  const c = square && squared(graph, square);
  return c ? { c, epsilon: sum.scalar } : undefined;
}

/** y and a constant that it is multiplied with, of more than one element. */
function timesRow(graph: Graph, v: Value): readonly (readonly [Value, Value])[] {
  const isRow = (w: Value) => graph.isConstant(w) && graph.scalar(w) === undefined;
  return orders(graph.producer(v, "onnx.Mul")).filter(([y, w]) => isRow(w) && !graph.isConstant(y));
}

/** v = 1 / sqrt(mean(c²) + epsilon), or that times a constant. */
export function inverseRoot(graph: Graph, v: Value): Root | undefined {
  const plain =
    rootMeanSquare(graph, argument(graph, v, "onnx.Reciprocal")) ??
    meanSquare(graph, powerOf(graph, v, -0.5));
  if (plain) return plain;
  const [one, d] = graph.producer(v, "onnx.Div")?.operands ?? [];
  const root = one && graph.isConstant(one) ? rootMeanSquare(graph, d) : undefined;
  const factor = graph.scalar(one);
  if (root && one && (factor === 1 || factor === undefined)) {
    return factor === 1 ? root : { ...root, row: one };
  }
  const [found] = timesRow(graph, v).flatMap(([y, row]) => {
    const inner = inverseRoot(graph, y);
    return inner && !inner.row ? [{ ...inner, row }] : [];
  });
  return found;
}

/** However the division is written, and with a constant multiplied to either side of it. */
export function quotients(graph: Graph, op: Op): readonly Quotient[] {
  const [a, b] = op.operands;
  const pairs: (readonly [Value, Root | undefined])[] = [];
  if (op.kind === "onnx.Div" && a && b) pairs.push([a, rootMeanSquare(graph, b)]);
  for (const [x, inverse] of op.kind === "onnx.Mul" ? orders(op) : []) {
    pairs.push([x, inverseRoot(graph, inverse)]);
  }
  return pairs.flatMap(([numerator, root]) => {
    if (!root) return [];
    const whole = { ...root, numerator };
    const inner = root.row ? [] : timesRow(graph, numerator);
    return [whole, ...inner.map(([y, row]) => ({ ...root, numerator: y, row }))];
  });
}

/** x where c = x - mean(x). */
export function centred(graph: Graph, c: Value): Value | undefined {
  const [x, mean] = difference(graph, c) ?? [];
  return x && mean && isMeanOf(graph, mean, x) ? x : undefined;
}

export function isMeanOf(graph: Graph, mean: Value, x: Value): boolean {
  const averaged = meanOfRow(graph, mean);
  return averaged !== undefined && same(graph, averaged, x);
}
