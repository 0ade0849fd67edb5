/** The aimc dialect: what analog tiles do. A weight's blocks are one operation, however many there are. */

import { fromNumbers } from "../../tensor/convert.ts";
import type { Dim, TensorType } from "../../tensor/tensor.ts";
import { type Access, ALL, point } from "../access.ts";
import { intAttr, intsAttr } from "../attrs.ts";
import { attr, type Known, type OnnxGraph, type OpDef, optional } from "../define.ts";
import type { Op } from "../op.ts";
import { LINEAR_ROLES, linearSize, matrixToOnnx, scaleFaults } from "./nn/linear.ts";

/** How many parts a grid has: R row blocks by C column blocks. */
export function gridSize(op: Op): readonly [number, number] {
  return [intsAttr(op, "row_splits").length - 1, intsAttr(op, "col_splits").length - 1];
}

/** The node of each block, row-major; a list of one is the first of consecutive ones. */
export function tilesOf(op: Op): readonly number[] {
  const tiles = intsAttr(op, "tiles", []);
  const [rows, cols] = gridSize(op);
  const [first = 0] = tiles;
  return tiles.length === 1 ? Array.from({ length: rows * cols }, (_, i) => first + i) : tiles;
}

/** The DAC's full scale for each row block, and the ADC's for each block; a list of one stands for all. */
export function rangesOf(op: Op): {
  readonly input: readonly number[];
  readonly adc: readonly number[];
} {
  const [rows, cols] = gridSize(op);
  const spread = (list: readonly number[], length: number): readonly number[] =>
    list.length === 1 ? new Array(length).fill(list[0]) : list;
  return {
    input: spread(intsAttr(op, "input_range"), rows),
    adc: spread(intsAttr(op, "adc_bound"), rows * cols),
  };
}

function* verifyMvm(op: Op): Iterable<string> {
  const size = linearSize(op);
  if (size === null) {
    yield "the weight must be a matrix, or a slice of a stack of matrices";
    return;
  }
  const [x, routing] = op.operands;
  if (x && x.type.shape.at(-1) !== size[0]) yield `the last axis of x must be ${size[0]} wide`;
  const role = op.attrs["role"];
  if (!LINEAR_ROLES.some((r) => r === role)) yield `there is no role '${String(role)}'`;
  yield* scaleFaults(op);
  yield* splitFaults("row_splits", intsAttr(op, "row_splits"), size[0]);
  yield* splitFaults("col_splits", intsAttr(op, "col_splits"), size[1]);
  const [rows, cols] = gridSize(op);
  yield* lengthFaults(op, "input_range", rows);
  yield* lengthFaults(op, "adc_bound", rows * cols);
  yield* lengthFaults(op, "tiles", rows * cols);
  const tiles = op.attrs["tiles"];
  if (Array.isArray(tiles) && new Set(tiles).size < tiles.length) yield "names a tile twice";
  if (!routing) return;
  if (x?.type.shape.length !== 2 || routing.type.shape.length !== 2) {
    yield "with routing, x must be [T, in]";
  }
  if (typeof op.attrs["expert"] !== "number") yield "with routing, 'expert' must say which column";
}

function* splitFaults(name: string, splits: readonly number[], end: number): Iterable<string> {
  const rising = splits.every((s, i) => i === 0 || s > (splits[i - 1] ?? 0));
  if (splits.length < 2 || splits[0] !== 0 || splits.at(-1) !== end || !rising) {
    yield `${name} must rise from 0 to ${end}`;
  }
}

function* lengthFaults(op: Op, name: string, length: number): Iterable<string> {
  const list = op.attrs[name];
  if (list === undefined || !Array.isArray(list)) return;
  if (list.length !== length && list.length !== 1)
    yield `${name} must have ${length} entries, or 1`;
  const least = name === "tiles" ? 0 : Number.MIN_VALUE;
  if (list.some((v) => typeof v !== "number" || v < least))
    yield `${name} has an entry below range`;
}

function inferMvm(op: Op, [x]: readonly (Known | null)[]): readonly TensorType[] {
  const size = linearSize(op);
  if (!x || !size) return op.results.map((r) => r.type);
  const [rows] = gridSize(op);
  const partials: readonly Dim[] = rows > 1 ? [rows] : [];
  return [{ elem: x.type.elem, shape: [...partials, ...x.type.shape.slice(0, -1), size[1]] }];
}

/** A row of the result needs its row of x in full; the axis of partial sums, if any, comes first. */
function accessMvm(op: Op): Access {
  const shift = gridSize(op)[0] > 1 ? 1 : 0;
  return op.operands.map((v, i) => {
    if (v === null) return null;
    if (i === 1) return [point(shift), ALL];
    return v.type.shape.map((_, axis, all) =>
      axis === all.length - 1 ? ALL : point(axis + shift),
    );
  });
}

const ints = (graph: OnnxGraph, values: readonly number[]): string =>
  graph.constant(fromNumbers("i64", [values.length], values));

/** Name of rows `from` to `to` of the [in, out] matrix. */
function matrixRows(op: Op, graph: OnnxGraph, x: string): (from: number, to: number) => string {
  const name = matrixToOnnx(op, graph, x);
  return (from, to) =>
    graph.node("Slice", [name, ints(graph, [from]), ints(graph, [to]), ints(graph, [0])]);
}

/** One product for each block of rows, stacked. Column blocks of one row block are one product. */
function mvmToOnnx(op: Op, graph: OnnxGraph, inputs: readonly string[], output: string): void {
  const [x = "", routing = ""] = inputs;
  const splits = intsAttr(op, "row_splits");
  const rows = matrixRows(op, graph, x);
  const last = routing === "" ? { outputs: [output] } : {};
  const partials = splits.slice(1).map((to, r) => {
    const from = splits[r] ?? 0;
    const part = graph.node("Slice", [
      x,
      ints(graph, [from]),
      ints(graph, [to]),
      ints(graph, [-1]),
    ]);
    return [part, rows(from, to)];
  });
  const [only] = partials;
  let y: string;
  if (partials.length === 1 && only) y = graph.node("MatMul", only, {}, last);
  else {
    const stacked = partials.map((pair) =>
      graph.node("Unsqueeze", [graph.node("MatMul", pair), ints(graph, [0])]),
    );
    y = graph.node("Concat", stacked, { axis: { int: 0 } }, last);
  }
  if (routing !== "") idleRowsToZero(op, graph, y, routing, output);
}

/** Rows of y whose weight in the expert's column is zero become zero: they are not computed. */
function idleRowsToZero(op: Op, graph: OnnxGraph, y: string, routing: string, out: string): void {
  const chosen = graph.node("Gather", [routing, ints(graph, [intAttr(op, "expert")])], {
    axis: { int: 1 },
  });
  const zeroOf = (elem: TensorType["elem"]) => graph.constant(fromNumbers(elem, [], [0]));
  const idle = graph.node("Equal", [chosen, zeroOf(op.operands[1]?.type.elem ?? "f32")]);
  const zero = zeroOf(op.results[0]?.type.elem ?? "f32");
  graph.node("Where", [idle, zero, y], {}, { outputs: [out] });
}

const mvm: OpDef = {
  kind: "aimc.mvm",
  levels: ["aimc"],
  doc:
    "Multiplies x by a weight held in a grid of tiles. Block (r, c) holds rows row_splits[r] to " +
    "row_splits[r+1] and columns col_splits[c] to col_splits[c+1] of the [in, out] matrix; lists by " +
    "block are row-major. With more than one row block the result has a leading axis of partial sums. " +
    "Rows t with routing[t, expert] = 0 are zero and are not computed. input_range is the DAC's full " +
    "scale for each row block, adc_bound the ADC's for each block in normalised units (Rasch et al., " +
    "2023), tiles the node that holds each block. A list of one entry stands for all: the same scale, or " +
    "nodes that follow one another. block, scales, zeros, input_bound and " +
    "input_scale are nn.linear's.",
  operands: ["x", "routing?"],
  results: ["y"],
  attrs: {
    weight: attr.weight,
    transposed: attr.bool,
    slice: optional(attr.int),
    expert: optional(attr.int),
    role: attr.string,
    row_splits: attr.ints,
    col_splits: attr.ints,
    block: optional(attr.int),
    scales: optional(attr.weight),
    zeros: optional(attr.weight),
    input_bound: optional(attr.float),
    input_scale: optional(attr.float),
    input_range: optional(attr.floats),
    adc_bound: optional(attr.floats),
    tiles: optional(attr.ints),
  },
  verify: verifyMvm,
  infer: inferMvm,
  access: accessMvm,
  toOnnx: (op, graph, inputs, [output = ""]) => mvmToOnnx(op, graph, inputs, output),
};

const sum: OpDef = {
  kind: "aimc.sum",
  levels: ["aimc"],
  doc: "Adds the partial sums of row blocks: the digital tree over axis 0.",
  operands: ["partials"],
  results: ["y"],
  attrs: {},
  *verify(op) {
    if ((op.operands[0]?.type.shape.length ?? 0) < 2) yield "partials need an axis to add over";
  },
  infer: (op, [partials]) =>
    partials
      ? [{ elem: partials.type.elem, shape: partials.type.shape.slice(1) }]
      : op.results.map((r) => r.type),
  access: (op) => [
    (op.operands[0]?.type.shape ?? []).map((_, axis) => (axis === 0 ? ALL : point(axis - 1))),
  ],
  toOnnx(_, graph, [partials = ""], outputs) {
    graph.node("ReduceSum", [partials, ints(graph, [0])], { keepdims: { int: 0 } }, { outputs });
  },
};

export const AIMC_OPS: readonly OpDef[] = [mvm, sum];
