/** What is computed on the rows that the data chose, copied onto all rows, of which only those count. */

import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Dim, TensorType } from "../../src/tensor/tensor.ts";
import { sizeOf } from "../../src/tensor/tensor.ts";
import type { Builder } from "../expand/builder.ts";
import { dimsOf, reshape } from "../expand/write.ts";
import { coordinates, gatheredWeights } from "./expert-loop.ts";
import type { Graph } from "./graph.ts";
import { axisOf } from "./patterns.ts";

/** The rows of one expert. */
export interface Chosen {
  readonly graph: Graph;
  readonly b: Builder;
  /** It lists the chosen pairs (slot, token). */
  readonly nonZero: Op;
  readonly expert: number;
  /** All tokens. */
  readonly tokens: number;
  /** Truths [T, 1]: whether the expert was chosen. */
  readonly isChosen: Value;
  /** Truths [T, K]: in which slot. */
  readonly slots: Value;
  /** 1 where an expert was chosen, else 0: [T, E]. */
  readonly members: Value;
  /** What depends on the choice, up to where it is scattered. */
  readonly region: ReadonlySet<Value>;
  readonly copies: Map<Value, Value | null>;
}

/** All that is computed from an operation's results, before it is scattered. */
export function regionOf(graph: Graph, op: Op): ReadonlySet<Value> {
  const region = new Set(op.results);
  for (const v of region) {
    for (const user of graph.usersOf(v)) {
      if (user.kind !== "onnx.ScatterElements") for (const r of user.results) region.add(r);
    }
  }
  return region;
}

/** The value on all rows; null where an operation is not known to take every row by itself. */
export function onAllRows(c: Chosen, v: Value): Value | null {
  const known = c.copies.get(v);
  if (known !== undefined) return known;
  const copy = copyOf(c, v);
  c.copies.set(v, copy);
  return copy;
}

function copyOf(c: Chosen, v: Value): Value | null {
  const { graph } = c;
  const op = graph.producer(v);
  if (!op) return null;
  const rule = RULES[op.kind];
  if (rule) return rule(c, op, v);
  return ROWWISE.has(op.kind) ? rowwise(c, op) : null;
}

/** Where the rows are; -1 where there are none, or several together. */
function rowAxis({ type: { shape } }: Value): number {
  const axis = shape.indexOf(null);
  return shape.slice(0, Math.max(0, axis)).every((d) => d === 1) ? axis : -1;
}

/** The rows that the expert reads, or their weights. */
function gathered(c: Chosen, op: Op, v: Value): Value | null {
  const { graph, b, nonZero, tokens, slots } = c;
  const [x, at] = op.operands;
  const place = at && op.kind === "onnx.Gather" ? coordinates(graph, at) : undefined;
  if (x && at && place) {
    const axis = axisOf(op);
    const isRow =
      x.type.shape[axis] === tokens && x.type.shape.slice(0, axis).every((d) => d === 1);
    const own = place.nonZero === nonZero && place.row === 1 && at.type.shape.length === 1;
    return own && isRow && !c.region.has(x) ? x : null;
  }
  const weights = gatheredWeights(graph, v, nonZero);
  if (!weights || c.region.has(weights)) return null;
  const own = b.op("Where", [slots, weights, b.number(weights.type.elem, 0)]);
  const column = b.op("ReduceSum", [own, b.ints([1])], { keepdims: 1 });
  return shaped(c, column, v);
}

/** The same elements in the shape of a value with all rows; null where rows would not stay together. */
function shaped(c: Chosen, x: Value, like: Value): Value | null {
  const axis = rowAxis(like);
  if (axis < 0) return null;
  const shape: Dim[] = like.type.shape.with(axis, c.tokens);
  const unknown = shape.indexOf(null);
  const rest = sizeOf(shape.map((d) => d ?? 1));
  const size = sizeOf(dimsOf(x));
  const full = unknown < 0 ? shape : shape.with(unknown, size / rest);
  const dims = full.map((d) => d ?? 0);
  if (sizeOf(dims) !== size || dims.some((d) => !Number.isInteger(d))) return null;
  return dims.join() === x.type.shape.join() ? x : reshape(c.b, x, dims);
}

function reshaped(c: Chosen, op: Op, v: Value): Value | null {
  const [from] = op.operands;
  const x = from && rowAxis(from) >= 0 ? onAllRows(c, from) : null;
  return x && shaped(c, x, v);
}

/** A static operand of an operation on every element: the same for all rows. */
function isShared(v: Value, rows: Value): boolean {
  const fromEnd = rows.type.shape.length - rowAxis(rows);
  return v.type.shape.length < fromEnd || v.type.shape.at(-fromEnd) === 1;
}

/** Scales of quantisers count axes of their own. */
function isOwnScale({ kind, attrs }: Op, v: Value, rows: Value): boolean {
  if (kind !== "onnx.QuantizeLinear" && kind !== "onnx.DequantizeLinear") return false;
  const rank = rows.type.shape.length;
  const axis = (Number(attrs["axis"] ?? 1) + rank) % rank;
  return v.type.shape.length === 1 && axis !== rowAxis(rows) && !attrs["block_size"];
}

/** Numbers that belong to no row, as a range's, are as those that they are computed from. */
function rowwise(c: Chosen, op: Op): Value | null {
  const rows = op.operands.find((v) => v && c.region.has(v) && v.type.shape.includes(null));
  if (rows && rowAxis(rows) < 0) return null;
  const operands: (Value | null)[] = [];
  for (const v of op.operands) {
    const own = v && c.region.has(v) ? onAllRows(c, v) : v;
    const isKnown = !v || !rows || c.region.has(v) || isShared(v, rows) || isOwnScale(op, v, rows);
    if (!isKnown || (v && !own)) return null;
    operands.push(own);
  }
  const [first] = operands;
  return first ? rewritten(c, op, operands, first.type.shape) : null;
}

/** The operation on other operands; those of ONNX find their shape themselves. */
function rewritten(
  { b, graph }: Chosen,
  op: Op,
  operands: readonly (Value | null)[],
  shape: TensorType["shape"],
  attrs = op.attrs,
): Value {
  if (op.kind.startsWith("onnx.")) return b.op(op.kind.slice("onnx.".length), operands, attrs);
  const [result] = op.results;
  const value = graph.fresh(result?.id ?? "rows", { elem: result?.type.elem ?? "f32", shape });
  b.ops.push({ ...op, operands, attrs, results: [value] });
  return value;
}

/** Tokens that did not choose the expert are not computed. */
function linear(c: Chosen, op: Op): Value | null {
  const [from, bias = null, routing] = op.operands;
  const x = from ? onAllRows(c, from) : null;
  const width = op.results[0]?.type.shape.at(-1);
  if (x?.type.shape.length !== 2 || routing || !width) return null;
  const attrs = { ...op.attrs, expert: c.expert, role: "expert" };
  return rewritten(c, op, [x, bias, c.members], [c.tokens, width], attrs);
}

/** A product with a matrix that all rows share. */
function product(c: Chosen, op: Op): Value | null {
  const [from, w, ...rest] = op.operands;
  const x = from && rowAxis(from) >= 0 ? onAllRows(c, from) : null;
  const others = rest.map((v) => (v && c.region.has(v) ? onAllRows(c, v) : v));
  if (!x || !w || c.region.has(w) || w.type.shape.length !== 2) return null;
  const isOne = others.every((v, i) => (rest[i] ? v?.type.shape.every((d) => d === 1) : true));
  return isOne ? rewritten(c, op, [x, w, ...others], []) : null;
}

/** A sum along the features. */
function summed(c: Chosen, op: Op): Value | null {
  const [from, axes] = op.operands;
  const x = from && rowAxis(from) >= 0 ? onAllRows(c, from) : null;
  const given = axes && c.graph.values(axes);
  const rank = from?.type.shape.length ?? 0;
  const list = given ? toNumbers(given).map((a) => (a + rank) % rank) : [];
  const isRow = from && list.length > 0 && !list.includes(rowAxis(from));
  return x && isRow ? rewritten(c, op, [x, axes ?? null], []) : null;
}

/** The range of the rows that count: it holds 0, so that zeros in place of the others leave it as it is. */
function quantised(c: Chosen, op: Op, v: Value): Value | null {
  const [from] = op.operands;
  const x = from ? onAllRows(c, from) : null;
  const axis = from ? rowAxis(from) : -1;
  if (!x || axis < 0) return null;
  const { b } = c;
  const column = x.type.shape.map((_, i) => (i === axis ? c.tokens : 1));
  const isChosen = reshape(b, c.isChosen, column);
  const own = b.op("Where", [isChosen, x, b.number(x.type.elem, 0)]);
  const parts = b.several("DynamicQuantizeLinear", [own], op.results.length);
  for (const [i, r] of op.results.entries()) c.copies.set(r, parts[i] ?? null);
  return c.copies.get(c.graph.strip(v)) ?? null;
}

type Rule = (c: Chosen, op: Op, v: Value) => Value | null;

const RULES: Readonly<Record<string, Rule>> = {
  "onnx.Gather": gathered,
  "onnx.GatherND": gathered,
  "onnx.Reshape": reshaped,
  "onnx.Squeeze": reshaped,
  "onnx.Unsqueeze": reshaped,
  "onnx.Flatten": reshaped,
  "onnx.Expand": reshaped,
  "onnx.MatMul": product,
  "onnx.MatMulInteger": product,
  "onnx.ReduceSum": summed,
  "onnx.DynamicQuantizeLinear": quantised,
  "nn.linear": linear,
};

/** Every element by itself. */
const ROWWISE = new Set([
  "nn.activation",
  "nn.gated",
  ...["Add", "Sub", "Mul", "Div", "Min", "Max", "Clip", "Pow", "Sqrt", "Neg", "Exp", "Cast"].map(
    (name) => `onnx.${name}`,
  ),
  ...["Sigmoid", "Tanh", "Erf", "Relu", "QuantizeLinear", "DequantizeLinear"].map(
    (name) => `onnx.${name}`,
  ),
]);
