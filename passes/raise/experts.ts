/** One expert's network, copied from the rows that chose it onto all rows. */

import type { Attrs, Op, Value, WeightRef } from "../../src/ir/op.ts";
import { isTensorAttr, isWeightRef } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Dim } from "../../src/tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { constantName } from "./module-paths.ts";
import { partOf } from "./parts.ts";
import { orders } from "./patterns.ts";

const SHAPING = new Set([
  "onnx.Reshape",
  "onnx.Expand",
  "onnx.Squeeze",
  "onnx.Unsqueeze",
  "onnx.Flatten",
]);

/** The value before it was only reshaped or repeated. */
export function unshaped(graph: Graph, v: Value): Value {
  let value = graph.strip(v);
  for (let op = graph.producer(value); op && SHAPING.has(op.kind); op = graph.producer(value)) {
    const [from] = op.operands;
    if (!from) break;
    value = graph.strip(from);
  }
  return value;
}

export interface Expert {
  readonly index: number;
  /** [T, E]. */
  readonly routing: Value;
  /** All tokens, [T, H]. */
  readonly x: Value;
  /** Whether a value is what the expert reads. */
  isInput(v: Value): boolean;
  /** The stack [E, …] of which a value holds for every row what belongs to its expert. */
  ownOf?(v: Value): Value | undefined;
  /** What is copied already. */
  readonly copies: Map<Value, Copy>;
}

/** The copied operations, in order, and the value that they end in. */
export interface Copy {
  readonly value: Value;
  readonly ops: readonly Op[];
}

/** One row-wise operation on copied operands. */
function derived(
  graph: Graph,
  op: Op,
  operands: readonly (Value | null)[],
  width: number,
  extra: Attrs,
  rows: Value | null | undefined = operands[0],
): Op {
  const [result] = op.results;
  const elem = result?.type.elem ?? "f32";
  const shape = [rows?.type.shape[0] ?? null, width];
  const value = graph.fresh(result?.id ?? "expert", { elem, shape });
  const attrs = { ...op.attrs, ...extra };
  return { kind: op.kind, operands, results: [value], attrs, origin: op.origin };
}

function joined(parts: readonly Pick<Copy, "ops">[], op: Op): Copy | null {
  const [value] = op.results;
  // Two parts may end in one copy, which is made once.
  return value ? { value, ops: [...new Set(parts.flatMap((p) => p.ops)), op] } : null;
}

/** Copies the network that computes v. Null when it holds anything that is not known to be row-wise. */
export function copied(graph: Graph, v: Value, expert: Expert): Copy | null {
  const known = expert.copies.get(v);
  if (known) return known;
  const copy = copyOf(graph, v, expert);
  if (copy) expert.copies.set(v, copy);
  return copy;
}

function copyOf(graph: Graph, v: Value, expert: Expert): Copy | null {
  if (expert.isInput(v)) return { value: expert.x, ops: [] };
  const op = graph.producer(v);
  const width = widthOf(v, expert);
  if (!op || typeof width !== "number") return null;
  switch (op.kind) {
    case "nn.linear":
      return linear(graph, op, width, expert);
    case "onnx.MatMul":
      return stacked(graph, op, width, expert);
    case "onnx.Slice":
    case "onnx.Split":
      return slice(graph, op, graph.strip(v), expert);
    case "onnx.Squeeze":
    case "onnx.Unsqueeze":
    case "onnx.Reshape":
      return row(graph, op, width, expert);
    case "onnx.Add":
      return biased(graph, op, width, expert) ?? pointwise(graph, op, width, expert);
    default:
      return POINTWISE.has(op.kind) ? pointwise(graph, op, width, expert) : null;
  }
}

const POINTWISE = new Set(
  ["nn.activation", "nn.gated"].concat(
    ["Add", "Sub", "Mul", "Div", "Min", "Max", "Clip", "Sigmoid"].map((name) => `onnx.${name}`),
  ),
);

/** The size of a row: rows that have a matrix each are columns or rows of one. */
function widthOf({ type: { shape } }: Value, expert: Expert): Dim | undefined {
  const isColumn = expert.ownOf !== undefined && shape.length === 3 && shape[2] === 1;
  return isColumn ? shape[1] : shape.at(-1);
}

/** Rows as columns, or as matrices of one row, and back. */
function row(graph: Graph, op: Op, width: number, expert: Expert): Copy | null {
  const [x] = op.operands;
  const [y] = op.results;
  const isRow = x?.type.shape[0] === y?.type.shape[0] && x && widthOf(x, expert) === width;
  return expert.ownOf && x && isRow ? copied(graph, x, expert) : null;
}

/** Numbers stay as they are; rows are copied. */
function pointwise(graph: Graph, op: Op, width: number, expert: Expert): Copy | null {
  const parts = op.operands.map((v) => {
    if (!v || graph.scalar(v) !== undefined) return { value: v, ops: [] };
    return widthOf(v, expert) === width ? copied(graph, v, expert) : null;
  });
  const known = parts.filter((p) => p !== null);
  const rows = known.find((p) => p.value?.type.shape.length === 2)?.value;
  if (known.length < parts.length || !rows) return null;
  const values = known.map((p) => p.value);
  const copy = derived(graph, op, values, width, {}, rows);
  return joined(known, copy);
}

/** A sum with the rows' own biases: a linear with its expert's. */
function biased(graph: Graph, op: Op, width: number, expert: Expert): Copy | null {
  for (const [x, bias] of orders(op)) {
    const stack = expert.ownOf?.(bias);
    const part = stack?.type.shape[1] === width ? copied(graph, x, expert) : null;
    const last = part?.ops.at(-1);
    if (!stack || !part || last?.kind !== "nn.linear" || last.operands[1]) continue;
    const b = graph.builder(op);
    const own = b.op("Gather", [stack, b.ints([expert.index], [])], { axis: 0 });
    const [rows = null, , routing = null] = last.operands;
    const before = { value: part.value, ops: [...part.ops.slice(0, -1), ...b.ops] };
    return joined([before], derived(graph, last, [rows, own, routing], width, {}));
  }
  return null;
}

function linear(graph: Graph, op: Op, width: number, expert: Expert): Copy | null {
  const [x, bias = null] = op.operands;
  const part = x ? copied(graph, x, expert) : null;
  if (!part) return null;
  const attrs = { expert: expert.index, role: "expert" };
  return joined([part], derived(graph, op, [part.value, bias, expert.routing], width, attrs));
}

function stackOf(graph: Graph, v: Value | null | undefined): WeightRef | undefined {
  const op = v?.type.shape.length === 3 ? graph.producer(v, "onnx.Constant") : undefined;
  const value = op?.attrs["value"];
  if (isWeightRef(value)) return value;
  if (!op || !isTensorAttr(value)) return undefined;
  return graph.weights.add(constantName(op) ?? "stack", value);
}

/** A product with the matrices of a stack: with all of them, or with each row's own from either side. */
function productOf({ operands }: Op, { ownOf }: Expert) {
  const [left, right] = operands;
  if (!left || !right) return null;
  if (!ownOf) return { x: left, stack: right, transposed: false };
  const [rows, columns] = [ownOf(left), ownOf(right)];
  if (rows) return { x: right, stack: rows, transposed: true };
  return columns ? { x: left, stack: columns, transposed: false } : null;
}

/** The expert's matrix of a stack, [E, in, out] or [E, out, in]. */
function stacked(graph: Graph, op: Op, width: number, expert: Expert): Copy | null {
  const { x, stack, transposed = false } = productOf(op, expert) ?? {};
  const weight = stackOf(graph, stack);
  const part = x && weight ? copied(graph, x, expert) : null;
  if (!part || !weight || part.value.type.shape[1] !== weight.type.shape[transposed ? 2 : 1]) {
    return null;
  }
  const { index } = expert;
  const module = graph.paths.ofParameter(weight.weight) ?? graph.paths.ofNodes(op.origin);
  const attrs = {
    weight,
    transposed,
    slice: index,
    expert: index,
    role: "expert",
    ...(module === undefined ? {} : { module }),
  };
  const like = { ...op, kind: "nn.linear", attrs: {} };
  const operands = [part.value, null, expert.routing];
  return joined([part], derived(graph, like, operands, width, attrs));
}

/** A part of the last axis, as a slice. */
function slice(graph: Graph, op: Op, v: Value, expert: Expert): Copy | null {
  const cut = partOf(graph, v);
  const part = cut && copied(graph, cut.x, expert);
  if (!cut || !part) return null;
  const bounds = [cut.from, cut.to, -1, cut.step].map((n): Op => {
    const results = [graph.fresh("slice_bound", { elem: "i64", shape: [1] })];
    const attrs = { value: fromNumbers("i64", [1], [n]) };
    return { kind: "onnx.Constant", operands: [], results, attrs, origin: op.origin };
  });
  const like: Op = { ...op, kind: "onnx.Slice", results: [v], attrs: {} };
  const operands = [part.value, ...bounds.map((b) => b.results[0] ?? null)];
  const known = { value: part.value, ops: [...part.ops, ...bounds] };
  return joined(
    [known],
    derived(graph, like, operands, Math.ceil((cut.to - cut.from) / cut.step), {}),
  );
}
