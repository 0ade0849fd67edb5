/** Constant operands of products: real matrices, and integer ones with what makes them real. */

import type { Op, Value, WeightRef } from "../../src/ir/op.ts";
import { isTensorAttr, isWeightRef } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { isFloat } from "../../src/tensor/tensor.ts";
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
}

/** The reference to a constant; small ones join the store. */
function referenceOf(graph: Graph, op: Op): WeightRef | undefined {
  const value = op.attrs["value"];
  if (isWeightRef(value)) return value;
  if (!isTensorAttr(value)) return undefined;
  return graph.weights.add(constantName(op) ?? op.results[0]?.id ?? "weight", value);
}

/** The matrix that a product reads as [in, out]. */
export function matrixOf(graph: Graph, v: Value): Matrix | undefined {
  const turned = graph.producer(v, "onnx.Transpose");
  const [inner] = turned?.operands ?? [];
  if (inner && String(turned?.attrs["perm"] ?? "1,0") === "1,0") {
    return isPlane(inner) ? storedAs(graph, inner, true) : undefined;
  }
  return isPlane(v) ? storedAs(graph, v, false) : undefined;
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

/** Integers that convert to real ones exactly, with scales for the whole matrix or for each output. */
function dequantised(graph: Graph, op: Op, transposed: boolean): Matrix | undefined {
  const [integers, scale, zero] = op.operands;
  const constant = graph.producer(integers, "onnx.Constant");
  if (!integers || !scale || !constant || !/^(i8|ui8)$/.test(integers.type.elem)) return undefined;
  const rank = integers.type.shape.length;
  const axis = (Number(op.attrs["axis"] ?? 1) + rank) % rank;
  const isWhole = scale.type.shape.every((d) => d === 1);
  const byOutput = scale.type.shape.length === 1 && axis === (transposed ? 0 : rank - 1);
  if (Number(op.attrs["block_size"] ?? 0) !== 0 || !(isWhole || byOutput)) return undefined;
  const weight = referenceOf(graph, constant);
  // Sums of products of bytes do not fit in half a float.
  if (scale.type.elem !== "f32") return undefined;
  const offset = zero && !isZero(graph, zero) ? { zero } : {};
  return weight && { weight, transposed, scale, ...offset };
}

function isZero(graph: Graph, v: Value): boolean {
  const values = graph.values(v);
  return values !== undefined && toNumbers(values).every((n) => n === 0);
}
