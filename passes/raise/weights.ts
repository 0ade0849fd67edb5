/** Constant operands of products: real matrices, and integer ones with what makes them real. */

import type { Op, Value, WeightRef } from "../../src/ir/op.ts";
import { isTensorAttr, isWeightRef } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { isFloat, sizeOf } from "../../src/tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { constantName } from "./module-paths.ts";

export interface Matrix {
  /** The constant as the file holds it, with all of its axes. */
  readonly weight: WeightRef;
  /** The first axis is the outputs'; else the last one is. */
  readonly transposed: boolean;
  /** Of integers w: the real weights are (w - zero) · scale, numbers or one for each output. */
  readonly scale?: Value;
  readonly zero?: Value;
  /** The same as constants that belong to the weight, which is real then: one for each block of inputs. */
  readonly blocks?: Blocks | undefined;
}

/** The attributes of nn.linear that make integers real. */
export interface Blocks {
  readonly block: number;
  readonly scales: WeightRef;
  readonly zeros?: WeightRef;
}

/** The matrix whose integers are made real where they lie, rather than behind the product. */
export function real(matrix: Matrix): Matrix {
  const { weight, transposed, blocks } = matrix;
  return blocks ? { weight, transposed, blocks } : matrix;
}

/** The matrix of a linear. */
export function matrixIn(linear: Op): Matrix | undefined {
  const { weight, transposed, block, scales, zeros } = linear.attrs;
  if (!isWeightRef(weight)) return undefined;
  const matrix = { weight, transposed: transposed === true };
  if (!isWeightRef(scales)) return matrix;
  const blocks = { block: Number(block), scales, ...(isWeightRef(zeros) && { zeros }) };
  return { ...matrix, blocks };
}

/** The reference to a constant; small ones join the store. */
function referenceOf(graph: Graph, op: Op): WeightRef | undefined {
  const value = op.attrs["value"];
  if (isWeightRef(value)) return value;
  if (!isTensorAttr(value)) return undefined;
  return graph.weights.add(constantName(op) ?? op.results[0]?.id ?? "weight", value);
}

/** The matrix that a product reads as [in, out], or as [out, in] when flipped. */
export function matrixOf(graph: Graph, v: Value, flipped = false): Matrix | undefined {
  const turned = graph.producer(v, "onnx.Transpose");
  const [inner] = turned?.operands ?? [];
  if (inner && String(turned?.attrs["perm"] ?? "1,0") === "1,0") {
    return isPlane(inner) ? storedAs(graph, inner, !flipped) : undefined;
  }
  return isPlane(v) ? storedAs(graph, v, flipped) : undefined;
}

/** The filters [out, channels, …] of a convolution, as the transposed matrix that they are. */
export const filtersOf = (graph: Graph, v: Value): Matrix | undefined => storedAs(graph, v, true);

/** Two axes, or more of which the leading ones are of size one. */
const isPlane = ({ type: { shape } }: Value): boolean =>
  shape.length >= 2 && shape.slice(0, -2).every((d) => d === 1);

function storedAs(graph: Graph, v: Value, transposed: boolean): Matrix | undefined {
  // A leading axis of size one would pass for the outputs.
  if (transposed && v.type.shape.length > 2 && v.type.shape[0] === 1 && isPlane(v))
    return undefined;
  const constant = graph.producer(v, "onnx.Constant");
  if (constant) {
    const weight = isFloat(v.type.elem) ? referenceOf(graph, constant) : undefined;
    return weight && { weight, transposed };
  }
  const unpacked = graph.producer(v, "onnx.DequantizeLinear");
  return unpacked && dequantised(graph, unpacked, transposed);
}

/**
 * Integers that convert to real ones exactly, with scales for the whole matrix, for each output, or for each
 * block of inputs of each output. Only the first two can be taken out of the product.
 */
function dequantised(graph: Graph, op: Op, transposed: boolean): Matrix | undefined {
  const [integers, scale, zero] = op.operands;
  const constant = graph.producer(integers, "onnx.Constant");
  if (!integers || !scale || !constant || !SMALL.test(integers.type.elem)) return undefined;
  const byOutput = isByOutput(op, integers, scale, transposed);
  const offset = zero && !isZero(graph, zero) ? { zero } : {};
  const blocks = blocksOf(graph, op, transposed, byOutput);
  // Sums of products of bytes do not fit in half a float; nor do those of longer integers in a float.
  const takesOut = byOutput && scale.type.elem === "f32" && BYTES.test(integers.type.elem);
  if (!takesOut && !blocks) return undefined;
  const weight = referenceOf(graph, constant);
  return weight && { weight, transposed, ...(takesOut && { scale, ...offset }), blocks };
}

/** Integers that a float32 holds with room for their products. */
const BYTES = /^u?i[48]$/;
const SMALL = /^u?i(4|8|16)$/;

/** One scale for the whole matrix or for each output. */
function isByOutput(op: Op, integers: Value, scale: Value, transposed: boolean): boolean {
  if (Number(op.attrs["block_size"] ?? 0) !== 0) return false;
  if (scale.type.shape.every((d) => d === 1)) return true;
  const rank = integers.type.shape.length;
  const axis = (Number(op.attrs["axis"] ?? 1) + rank) % rank;
  return scale.type.shape.length === 1 && axis === (transposed ? 0 : rank - 1);
}

/** Constant scales and zero points, one for each block of inputs of each output of a plain matrix. */
function blocksOf(
  graph: Graph,
  op: Op,
  transposed: boolean,
  byOutput: boolean,
): Blocks | undefined {
  const [integers, scale, zero] = op.operands;
  const shape = integers?.type.shape.map(Number) ?? [];
  const constant = scale && graph.isConstant(scale) && (!zero || graph.isConstant(zero));
  if (shape.length !== 2 || !constant) return undefined;
  const inputAxis = transposed ? 1 : 0;
  const block = byOutput ? shape[inputAxis] : blockAlong(op, inputAxis);
  if (!block) return undefined;
  const own = shape.with(inputAxis, Math.ceil((shape[inputAxis] ?? 1) / block));
  const zeros = zero && !isZero(graph, zero) ? { zeros: heldAs(graph, zero, own) } : {};
  return { block, scales: heldAs(graph, scale, own), ...zeros };
}

/** The size of the blocks along an axis of a matrix; 0 where there are none. */
const blockAlong = (op: Op, axis: number): number =>
  (Number(op.attrs["axis"] ?? 1) + 2) % 2 === axis ? Number(op.attrs["block_size"] ?? 0) : 0;

/** A constant in the store under a shape, a single number repeated to fill it. */
function heldAs(graph: Graph, v: Value, shape: readonly number[]): WeightRef {
  const constant = graph.constant(v);
  if (isWeightRef(constant) && String(constant.type.shape) === String(shape)) return constant;
  const values = graph.values(v);
  const producer = graph.producer(v, "onnx.Constant");
  if (!values) throw new Error(`${v.id} is not constant`);
  const size = sizeOf(shape);
  const numbers = toNumbers(values);
  const all = numbers.length === size ? numbers : new Array(size).fill(numbers[0]);
  const name = (producer && constantName(producer)) ?? v.id;
  return graph.weights.add(name, fromNumbers(values.elem, shape, all));
}

function isZero(graph: Graph, v: Value): boolean {
  const values = graph.values(v);
  return values !== undefined && toNumbers(values).every((n) => n === 0);
}
