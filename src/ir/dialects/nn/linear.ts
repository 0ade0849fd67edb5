/** Matrix products with constant weights: what an analog tile can take, and the side-branch beside it. */

import { fromNumbers } from "../../../tensor/convert.ts";
import { type Dim, sizeOf, type Tensor, type TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, type AxisAccess, broadcast, point } from "../../access.ts";
import { boolAttr, floatAttr, intAttr, weightAttr } from "../../attrs.ts";
import { attr, type Known, type OnnxGraph, type OpDef, optional } from "../../define.ts";
import { isWeightRef, type Op, type WeightRef } from "../../op.ts";

export const LINEAR_ROLES = [
  "attention-projection",
  "feed-forward",
  "expert",
  "router",
  "head",
  "patch",
  "other",
] as const;

export type LinearRole = (typeof LINEAR_ROLES)[number];

/**
 * [in, out] of a linear's weight, whatever the layout in the file; null when its rank is wrong. Axes
 * beyond two count as one, in the file's order of elements: filters [out, c, h, w] are [out, c · h · w].
 */
export function linearSize(op: Op): readonly [number, number] | null {
  const weight = weightAttr(op, "weight");
  const shape = "weight" in weight ? weight.type.shape : weight.shape;
  const sliced = op.attrs["slice"] !== undefined;
  if (sliced ? shape.length !== 3 : shape.length < 2) return null;
  const [a, b] = boolAttr(op, "transposed")
    ? [shape.at(sliced ? 1 : 0) ?? 0, sizeOf(shape.slice(sliced ? 2 : 1))]
    : [sizeOf(shape.slice(sliced ? 1 : 0, -1)), shape.at(-1) ?? 0];
  return boolAttr(op, "transposed") ? [b, a] : [a, b];
}

/**
 * What makes the integers of a weight real, if not the operations behind the product: a scale, and a zero point
 * if any, for each block of inputs of each output. Both lie as the weight does, its inputs' axis shortened.
 */
export function blockScalesOf(op: Op): BlockScaling | null {
  if (op.attrs["scales"] === undefined) return null;
  const zeros = op.attrs["zeros"] === undefined ? null : weightAttr(op, "zeros");
  return { scales: weightAttr(op, "scales"), zeros, block: intAttr(op, "block") };
}

export interface BlockScaling {
  readonly scales: WeightRef | Tensor;
  readonly zeros: WeightRef | Tensor | null;
  /** How many inputs share a scale. */
  readonly block: number;
}

const shapeOf = (c: WeightRef | Tensor): readonly number[] =>
  isWeightRef(c) ? c.type.shape : c.shape;

export function* scaleFaults(op: Op): Iterable<string> {
  const found = blockScalesOf(op);
  const size = linearSize(op);
  if (!found || !size) return;
  const blocks = Math.ceil(size[0] / found.block);
  const own = boolAttr(op, "transposed") ? [size[1], blocks] : [blocks, size[1]];
  const { shape: stack } = { shape: shapeOf(weightAttr(op, "weight")) };
  const expected = op.attrs["slice"] === undefined ? own : [stack[0] ?? 0, ...own];
  for (const part of [found.scales, found.zeros]) {
    const wrong = part && shapeOf(part).join("x") !== expected.join("x");
    if (wrong)
      yield `scales and zeros must be ${expected.join("x")}, not ${shapeOf(part).join("x")}`;
  }
}

/** A linear reads one row of x per row of its result, in full. */
function rowAccess(op: Op): Access {
  const rank = op.results[0]?.type.shape.length ?? 0;
  const rows: AxisAccess[] = [];
  for (let i = 0; i < rank - 1; i++) rows.push(point(i));
  return op.operands.map((v, i) => {
    if (v === null) return null;
    if (i === 0) return [...rows, ALL];
    return i === 1 ? [point(rank - 1)] : [point(0), ALL];
  });
}

function* verifyLinear(op: Op): Iterable<string> {
  const size = linearSize(op);
  if (size === null) {
    yield op.attrs["slice"] === undefined
      ? "the weight must have two axes or more"
      : "the weight of a slice must have three axes";
    return;
  }
  const [x, bias, routing] = op.operands;
  const rank = x?.type.shape.length ?? 0;
  if (rank < 1) yield "x must have at least one axis";
  if (x && x.type.shape.at(-1) !== size[0]) yield `the last axis of x must be ${size[0]} wide`;
  if (bias && bias.type.shape.at(-1) !== size[1]) yield `the bias must be ${size[1]} wide`;
  const role = op.attrs["role"];
  if (!LINEAR_ROLES.some((r) => r === role)) yield `there is no role '${String(role)}'`;
  yield* scaleFaults(op);
  yield* verifyEngine(op);
  if (!routing) return;
  if (rank !== 2 || routing.type.shape.length !== 2) yield "with routing, x must be [T, in]";
  if (typeof op.attrs["expert"] !== "number") yield "with routing, 'expert' must say which column";
}

function inferLinear(op: Op, [x]: readonly (Known | null)[]): readonly TensorType[] {
  const size = linearSize(op);
  if (!x || !size) return op.results.map((r) => r.type);
  const shape: readonly Dim[] = [...x.type.shape.slice(0, -1), size[1]];
  return [{ elem: x.type.elem, shape }];
}

const int64 = (shape: readonly number[], values: readonly number[]) =>
  fromNumbers("i64", shape, values);

/** The name of the [in, out] matrix, in the element type of x. */
export function matrixToOnnx(op: Op, graph: OnnxGraph, x: string): string {
  const weight = weightAttr(op, "weight");
  const shape = shapeOf(weight);
  const scaling = blockScalesOf(op);
  let name = scaling ? dequantised(op, graph, scaling) : graph.weight(weight);
  const own = scaling ? scaling.scales : weight;
  const stored = isWeightRef(own) ? own.type.elem : own.elem;
  if (stored !== op.operands[0]?.type.elem) name = graph.node("CastLike", [name, x]);
  if (op.attrs["slice"] !== undefined) {
    const index = graph.constant(int64([], [intAttr(op, "slice")]));
    name = graph.node("Gather", [name, index], { axis: { int: 0 } });
  } else if (shape.length > 2) {
    const [inputs = 0, outputs = 0] = linearSize(op) ?? [];
    const flat = boolAttr(op, "transposed") ? [outputs, inputs] : [inputs, outputs];
    name = graph.node("Reshape", [name, graph.constant(int64([2], flat))]);
  }
  return boolAttr(op, "transposed")
    ? graph.node("Transpose", [name], { perm: { ints: [1, 0] } })
    : name;
}

/** The weight in the element type of its scales. */
function dequantised(op: Op, graph: OnnxGraph, { scales, zeros, block }: BlockScaling): string {
  const weight = weightAttr(op, "weight");
  const rank = shapeOf(weight).length;
  const parts = [weight, scales, ...(zeros ? [zeros] : [])].map((c) => graph.weight(c));
  const axis = boolAttr(op, "transposed") ? rank - 1 : rank - 2;
  return graph.node("DequantizeLinear", parts, { axis: { int: axis }, block_size: { int: block } });
}

/** Rows of y whose weight in the column is zero become zero. */
function masked(op: Op, graph: OnnxGraph, y: string, routing: string, output: string): void {
  const elem = op.results[0]?.type.elem ?? "f32";
  const weights = op.operands[2]?.type.elem ?? "f32";
  const column = graph.constant(int64([1], [intAttr(op, "expert")]));
  const chosen = graph.node("Gather", [routing, column], { axis: { int: 1 } });
  const idle = graph.node("Equal", [chosen, graph.constant(fromNumbers(weights, [], [0]))]);
  const zero = graph.constant(fromNumbers(elem, [], [0]));
  graph.node("Where", [idle, zero, y], {}, { outputs: [output] });
}

const isOnEngine = (op: Op): boolean => op.attrs["engine"] !== undefined;

/** ONNX's numbers of the element types that an engine takes x in. */
const [FLOAT, FLOAT16] = [1, 10];

/**
 * What an engine computes, as far as ONNX can say it: the product of halves. How it is rounded on the way is left to who
 * runs it; ONNX Runtime sums in single precision.
 */
const asHalves = (op: Op, graph: OnnxGraph, x: string): string =>
  op.operands[0]?.type.elem === "f16" ? x : graph.node("Cast", [x], { to: { int: FLOAT16 } });

function fromHalves(
  op: Op,
  graph: OnnxGraph,
  y: string,
  options: { readonly outputs?: readonly string[] } = {},
): string {
  const isHalf = op.operands[0]?.type.elem === "f16";
  return isHalf && !options.outputs
    ? y
    : graph.node("Cast", [y], { to: { int: isHalf ? FLOAT16 : FLOAT } }, options);
}

const HALVES = ["a_halves", "b_halves"];

function* verifyEngine(op: Op): Iterable<string> {
  if (!isOnEngine(op)) return;
  const [x, , routing] = op.operands;
  const names = op.kind === "nn.lora" ? HALVES : ["weight"];
  if (names.some((name) => op.attrs[name] === undefined)) {
    yield "on an engine a branch needs a_halves and b_halves";
    return;
  }
  const elems = names.map((name) => elemOf(weightAttr(op, name)));
  if (elems.some((e) => e !== "f16")) yield "on an engine the weights must be f16";
  if (x && x.type.elem !== "f32" && x.type.elem !== "f16") yield "on an engine x is f32 or f16";
  if (op.kind === "nn.lora") return;
  if (routing) yield "an engine takes no routing";
  const shape = shapeOf(weightAttr(op, "weight"));
  if (shape.length !== 2 || boolAttr(op, "transposed")) yield "on an engine W is [in, out]";
}

const elemOf = (c: WeightRef | Tensor): string => (isWeightRef(c) ? c.type.elem : c.elem);

const linear: OpDef = {
  kind: "nn.linear",
  levels: ["nn", "aimc"],
  doc:
    "y = x W + bias over the last axis of x. W is [in, out], or as the file stores it, [out, in], " +
    "when transposed; slice picks one matrix of a stack. With routing [T, E] and expert e, rows t " +
    "with routing[t, e] = 0 are zero and are not computed. Integer weights multiply as real numbers, " +
    "or with scales as (w - zeros) · scales: one for each block of inputs of each output. " +
    "Where x comes from a quantiser, input_bound is the largest |x| that there can be and, if its zero " +
    "point and scale are constants, input_scale what one unit of x is worth. With an engine, x W is a " +
    "product of halves, [in, out], whose every fused multiply-add is rounded to a half, in the order of in.",
  operands: ["x", "bias?", "routing?"],
  results: ["y"],
  attrs: {
    weight: attr.weight,
    transposed: attr.bool,
    slice: optional(attr.int),
    expert: optional(attr.int),
    role: attr.string,
    place: optional(attr.string),
    block: optional(attr.int),
    scales: optional(attr.weight),
    zeros: optional(attr.weight),
    input_bound: optional(attr.float),
    input_scale: optional(attr.float),
    engine: optional(attr.string),
  },
  verify: verifyLinear,
  infer: inferLinear,
  access: rowAccess,
  toOnnx(op, graph, [x = "", bias = "", routing = ""], [output = ""]) {
    const last = (more: boolean) => (more ? {} : { outputs: [output] });
    if (isOnEngine(op)) {
      const w = graph.weight(weightAttr(op, "weight"));
      const product = graph.node("MatMul", [asHalves(op, graph, x), w]);
      const y = fromHalves(op, graph, product, last(bias !== ""));
      if (bias !== "") graph.node("Add", [y, bias], {}, { outputs: [output] });
      return;
    }
    const w = matrixToOnnx(op, graph, x);
    let y = graph.node("MatMul", [x, w], {}, last(bias !== "" || routing !== ""));
    if (bias !== "") y = graph.node("Add", [y, bias], {}, last(routing !== ""));
    if (routing !== "") masked(op, graph, y, routing, output);
  },
};

const lora: OpDef = {
  kind: "nn.lora",
  levels: ["nn", "aimc"],
  doc:
    "y + scale (x Aᵀ) Bᵀ: a low-rank side-branch (Hu et al., LoRA, 2021, section 4.1) of the linear " +
    "whose weight is called `of`. A is [r, in], B is [out, r]. With an engine, both products are of halves, as in nn.linear, and of a_halves and b_halves.",
  operands: ["x", "y"],
  results: ["z"],
  attrs: {
    a: attr.weight,
    b: attr.weight,
    scale: attr.float,
    of: attr.string,
    engine: optional(attr.string),
    a_halves: optional(attr.weight),
    b_halves: optional(attr.weight),
  },
  verify: verifyEngine,
  infer: (op, [, y]) => (y ? [y.type] : op.results.map((r) => r.type)),
  access(op) {
    const [x, y] = op.operands;
    const result = op.results[0]?.type.shape ?? [];
    return [
      x ? x.type.shape.map((_, i, all) => (i === all.length - 1 ? ALL : point(i))) : null,
      y ? broadcast(y.type.shape, result) : null,
    ];
  },
  toOnnx(op, graph, [x = "", y = ""], outputs) {
    const elem = op.results[0]?.type.elem ?? "f32";
    const flip = { perm: { ints: [1, 0] } };
    const engine = isOnEngine(op);
    const names = engine ? HALVES : ["a", "b"];
    const [a = "", b = ""] = names.map((name) =>
      graph.node("Transpose", [graph.weight(weightAttr(op, name))], flip),
    );
    const low = graph.node("MatMul", [engine ? asHalves(op, graph, x) : x, a]);
    const product = graph.node("MatMul", [low, b]);
    const high = engine ? fromHalves(op, graph, product) : product;
    const scale = graph.constant(fromNumbers(elem, [], [floatAttr(op, "scale")]));
    const scaled = graph.node("Mul", [high, scale]);
    graph.node("Add", [y, scaled], {}, { outputs });
  },
};

export const LINEAR_OPS: readonly OpDef[] = [linear, lora];
