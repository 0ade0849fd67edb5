/** Small questions about a graph that several raising passes ask. */

import type { Attrs, Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Graph } from "./graph.ts";

type MaybeValue = Value | null | undefined;

/** Both orders of the operands of a two-operand operation. */
export function orders(op: Op | undefined): readonly (readonly [Value, Value])[] {
  const [a, b] = op?.operands ?? [];
  if (!a || !b) return [];
  return [
    [a, b],
    [b, a],
  ];
}

/** The axis along which an operation works that says nothing of it for the first, counted from the front. */
export function axisOf(op: Op): number {
  const rank = op.operands[0]?.type.shape.length ?? 1;
  return (Number(op.attrs["axis"] ?? 0) + rank) % rank;
}

export const close = (a: number | undefined, b: number, relative = 1e-5): boolean =>
  a !== undefined && Math.abs(a - b) <= relative * Math.max(Math.abs(a), Math.abs(b), 1e-30);

export const sameShape = (a: Value, b: Value): boolean =>
  a.type.shape.length === b.type.shape.length &&
  a.type.shape.every((d, i) => d !== null && d === b.type.shape[i]);

/** Equal values, or the same operation on equal values (exporters write some twice). */
export function same(graph: Graph, a: Value, b: Value, depth = 2): boolean {
  const [x, y] = [graph.strip(a), graph.strip(b)];
  if (x === y) return true;
  const [p, q] = [graph.producer(x), graph.producer(y)];
  if (!p || !q || depth === 0 || p.kind !== q.kind) return false;
  const scalar = graph.scalar(x);
  if (scalar !== undefined) return scalar === graph.scalar(y);
  return (
    JSON.stringify(p.attrs) === JSON.stringify(q.attrs) &&
    p.operands.length === q.operands.length &&
    p.operands.every((v, i) => {
      const w = q.operands[i];
      return v && w ? same(graph, v, w, depth - 1) : v === w;
    })
  );
}

/** x where v = f(x) for the operation f. */
export const argument = (graph: Graph, v: MaybeValue, kind: string): Value | undefined =>
  graph.producer(v, kind)?.operands[0] ?? undefined;

/** The other operand of a commutative operation one of whose operands is a constant number. */
export function withScalar(
  graph: Graph,
  v: MaybeValue,
  kind: string,
): { readonly x: Value; readonly scalar: number } | undefined {
  for (const [x, c] of orders(graph.producer(v, kind))) {
    const scalar = graph.scalar(c);
    if (scalar !== undefined) return { x, scalar };
  }
  return undefined;
}

/** x and c where v = c x, written as a product or a quotient. */
export function scaled(
  graph: Graph,
  v: MaybeValue,
): { readonly x: Value; readonly scalar: number } | undefined {
  const product = withScalar(graph, v, "onnx.Mul");
  if (product) return product;
  const [x, divisor] = graph.producer(v, "onnx.Div")?.operands ?? [];
  const by = graph.scalar(divisor);
  return x && by !== undefined && !graph.isConstant(x) ? { x, scalar: 1 / by } : undefined;
}

/** x where v = -x. */
export function negated(graph: Graph, v: MaybeValue): Value | undefined {
  const factor = scaled(graph, v);
  if (factor?.scalar === -1) return factor.x;
  const [zero, x] = graph.producer(v, "onnx.Sub")?.operands ?? [];
  return graph.scalar(zero) === 0 ? (x ?? undefined) : argument(graph, v, "onnx.Neg");
}

/** a and b where v = a - b. */
export function difference(graph: Graph, v: MaybeValue): readonly [Value, Value] | undefined {
  const [a, b] = graph.producer(v, "onnx.Sub")?.operands ?? [];
  if (a && b) return [a, b];
  for (const [x, minus] of orders(graph.producer(v, "onnx.Add"))) {
    const y = negated(graph, minus);
    if (y) return [x, y];
  }
  return undefined;
}

/** a and b where v = a / b, or a · (1 / b). */
export function quotient(graph: Graph, v: MaybeValue): readonly [Value, Value] | undefined {
  const [a, b] = graph.producer(v, "onnx.Div")?.operands ?? [];
  if (a && b) return [a, b];
  for (const [x, inverse] of orders(graph.producer(v, "onnx.Mul"))) {
    const [one, d] = graph.producer(inverse, "onnx.Div")?.operands ?? [];
    const y = graph.scalar(one) === 1 ? d : argument(graph, inverse, "onnx.Reciprocal");
    if (y) return [x, y];
  }
  return undefined;
}

/** x where v is the mean of x over the last axis, which stays as an axis of size one. */
export function meanOfRow(graph: Graph, v: MaybeValue): Value | undefined {
  const op = graph.producer(v, "onnx.ReduceMean");
  const [x, axes] = op?.operands ?? [];
  if (!op || !x || op.attrs["keepdims"] === 0) return undefined;
  const list = axes ? toNumbers(graph.values(axes) ?? NOWHERE) : op.attrs["axes"];
  if (!Array.isArray(list) || list.length !== 1) return undefined;
  const rank = x.type.shape.length;
  return (Number(list[0]) + rank) % rank === rank - 1 ? x : undefined;
}

const NOWHERE = { elem: "i64", shape: [0], data: new BigInt64Array(0) } as const;

/** Whether a value is a constant row as wide as the last axis of x. */
export function isRowFor(graph: Graph, row: Value, x: Value): boolean {
  const { shape } = row.type;
  return graph.isConstant(row) && shape.length === 1 && shape[0] === x.type.shape.at(-1);
}

/**
 * Coefficients of v as a polynomial in x, lowest power first; null when it is none. Products, sums,
 * quotients by numbers and whole powers count, in whatever order the exporter wrote them.
 */
export function polynomial(graph: Graph, v: Value, x: Value): readonly number[] | null {
  if (graph.strip(v) === graph.strip(x)) return [0, 1];
  const c = graph.scalar(v);
  if (c !== undefined) return [c];
  const op = graph.producer(v);
  const [a, b] = op?.operands ?? [];
  const left = a ? polynomial(graph, a, x) : null;
  if (!op || !left) return null;
  if (op.kind === "onnx.Neg") return left.map((k) => -k);
  const right = b && ARITHMETIC.has(op.kind) ? polynomial(graph, b, x) : null;
  return right ? (ARITHMETIC.get(op.kind)?.(left, right) ?? null) : null;
}

type Combination = (a: readonly number[], b: readonly number[]) => readonly number[] | null;

const plus: Combination = (a, b) =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) + (b[i] ?? 0));

function times(a: readonly number[], b: readonly number[]): readonly number[] {
  const product = new Array<number>(a.length + b.length - 1).fill(0);
  for (const [i, p] of a.entries()) {
    for (const [j, q] of b.entries()) product[i + j] = (product[i + j] ?? 0) + p * q;
  }
  return product;
}

const ARITHMETIC: ReadonlyMap<string, Combination> = new Map<string, Combination>([
  ["onnx.Add", plus],
  [
    "onnx.Sub",
    (a, b) =>
      plus(
        a,
        b.map((k) => -k),
      ),
  ],
  ["onnx.Mul", times],
  ["onnx.Div", (a, b) => (b.length === 1 ? a.map((k) => k / (b[0] ?? 1)) : null)],
  [
    "onnx.Pow",
    (a, [power = 0, ...more]) => {
      if (more.length > 0 || !Number.isInteger(power) || power < 1 || power > 4) return null;
      return new Array(power - 1).fill(a).reduce(times, a);
    },
  ],
]);

/** An operation of the nn level in place of `root`, whose result it defines. */
export function inPlaceOf(
  graph: Graph,
  root: Op,
  kind: string,
  operands: readonly (Value | null)[],
  attrs: Attrs,
  parameter?: string,
): Op {
  const origin = graph.originOf(root, operands);
  const path = graph.paths.ofParameter(parameter) ?? graph.paths.ofNodes(origin);
  const module = path === undefined ? {} : { module: path };
  return { kind, operands, results: root.results, attrs: { ...attrs, ...module }, origin };
}
