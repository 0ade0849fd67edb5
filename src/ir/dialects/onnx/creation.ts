/** Operators that make tensors from shapes, counts and nothing: Constant, Range, Shape and the like. */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { point, whole } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import { attr, type OnnxGraph, type OpDef } from "../../define.ts";
import { isTensorAttr, isWeightRef, LEVELS, type Op } from "../../op.ts";
import { operandShape, pointwise, resultShape } from "./accesses.ts";
import { elemOfNumber } from "./elements.ts";
import { int, onnxOp, tensor } from "./record.ts";
import {
  commonElem,
  dimAt,
  equalShape,
  impossible,
  lengthOf,
  normaliseAxis,
  numbersAt,
  type Operands,
  shapeAt,
  typeAt,
  typed,
  withDim,
} from "./shape.ts";

function constantType(op: Op): TensorType {
  const value = op.attrs["value"];
  if (isTensorAttr(value)) return typed(value.elem, value.shape);
  if (isWeightRef(value)) return value.type;
  throw new Error("onnx.Constant: 'value' is neither a tensor nor a weight");
}

function constantToOnnx(op: Op, graph: OnnxGraph, outputs: readonly string[]): void {
  const value = op.attrs["value"];
  if (isTensorAttr(value)) graph.node("Constant", [], { value: { tensor: value } }, { outputs });
  else if (value !== undefined) graph.node("Identity", [graph.weight(value)], {}, { outputs });
}

function rangeType(_: Op, operands: Operands): TensorType[] {
  const elem = commonElem(operands);
  const [start, limit, delta] = [0, 1, 2].map((i) => numbersAt(operands, i)?.[0]);
  if (delta === 0) impossible("a step of 0");
  if (start === undefined || limit === undefined || delta === undefined)
    return [typed(elem, [null])];
  return [typed(elem, [Math.max(0, Math.ceil((limit - start) / delta))])];
}

/** Which dimensions a Shape names: from `start` up to `end`, both clamped to the rank. */
export function shapeRange(op: Op, rank: number): readonly [number, number] {
  const within = (at: number) => Math.min(Math.max(at < 0 ? at + rank : at, 0), rank);
  return [within(intAttr(op, "start", 0)), within(intAttr(op, "end", rank))];
}

function oneHotType(op: Op, operands: Operands): TensorType[] {
  const shape = shapeAt(operands, 0);
  const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length + 1);
  const depth: Dim = numbersAt(operands, 1)?.[0] ?? null;
  if (depth !== null && depth < 1) impossible(`a depth of ${depth}`);
  equalShape(
    shapeAt(operands, 2),
    [2],
    "values are not the one elsewhere and the one at the index",
  );
  return [typed(typeAt(operands, 2).elem, [...shape.slice(0, axis), depth, ...shape.slice(axis)])];
}

export const CREATION_OPS: readonly OpDef[] = [
  onnxOp("Constant", {
    doc: "A constant: a small tensor held here, or a weight by name.",
    operands: [],
    attrs: { value: attr.any },
    levels: LEVELS,
    infer: (op) => [constantType(op)],
    access: () => [],
    toOnnx: (op, graph, _, outputs) => constantToOnnx(op, graph, outputs),
  }),
  onnxOp("ConstantOfShape", {
    doc: "A tensor of the given shape, every element the same: `value`, or 0 as f32.",
    operands: ["shape"],
    attrs: { value: tensor },
    infer(op, operands) {
      const value = op.attrs["value"];
      const elem = isTensorAttr(value) ? value.elem : "f32";
      if (isTensorAttr(value) && value.data.length !== 1) impossible("value must be one element");
      const shape = numbersAt(operands, 0);
      const rank = lengthOf(shapeAt(operands, 0), "the shape");
      return [typed(elem, shape ?? new Array<null>(rank).fill(null))];
    },
  }),
  onnxOp("EyeLike", {
    doc: "A matrix of the operand's shape with ones on the k-th diagonal.",
    operands: ["x"],
    attrs: { dtype: int, k: int },
    infer(op, operands) {
      const { elem, shape } = typeAt(operands, 0);
      if (shape.length !== 2) impossible("needs a matrix");
      const named = intAttr(op, "dtype", 0);
      return [typed(named === 0 ? elem : elemOfNumber(named), shape)];
    },
    access: (op) => [pointwise(resultShape(op))],
  }),
  onnxOp("Range", {
    doc: "start, start + delta, … as long as below limit.",
    operands: ["start", "limit", "delta"],
    infer: rangeType,
  }),
  onnxOp("Shape", {
    doc: "The dimensions of x from `start` up to `end`.",
    operands: ["x"],
    attrs: { start: int, end: int },
    infer(op, operands) {
      const [start, end] = shapeRange(op, shapeAt(operands, 0).length);
      return [typed("i64", [Math.max(0, end - start)])];
    },
  }),
  onnxOp("Size", {
    doc: "The number of elements of x.",
    operands: ["x"],
    infer: () => [typed("i64", [])],
  }),
  onnxOp("NonZero", {
    doc: "The indices of the elements that are not zero, one column each.",
    operands: ["x"],
    infer: (_, operands) => [typed("i64", [Math.max(1, shapeAt(operands, 0).length), null])],
  }),
  onnxOp("OneHot", {
    doc: "The second of `values` at each index along a new axis, the first elsewhere.",
    operands: ["indices", "depth", "values"],
    attrs: { axis: int },
    infer: oneHotType,
    access(op) {
      const shape = operandShape(op, 0);
      const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length + 1);
      const indices = shape.map((_, i) => point(i < axis ? i : i + 1));
      return [indices, whole(operandShape(op, 1).length), whole(1)];
    },
  }),
  onnxOp("Trilu", {
    doc: "The upper (or, with upper 0, lower) triangle from the k-th diagonal on, zeros elsewhere.",
    operands: ["x", "k?"],
    attrs: { upper: int },
    infer(_, operands) {
      const type = typeAt(operands, 0);
      if (type.shape.length < 2) impossible("needs matrices");
      return [type];
    },
    access(op) {
      const k = op.operands[1];
      const x = pointwise(operandShape(op, 0));
      return op.operands.length < 2 ? [x] : [x, k ? whole(k.type.shape.length) : null];
    },
  }),
  onnxOp("TopK", {
    doc: "The k largest (or smallest) elements along an axis, and their indices.",
    operands: ["x", "k"],
    results: ["values", "indices"],
    attrs: { axis: int, largest: int, sorted: int },
    infer(op, operands) {
      const { elem, shape } = typeAt(operands, 0);
      const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length);
      const k = numbersAt(operands, 1)?.[0] ?? null;
      const all = dimAt(shape, axis);
      if (k !== null && (k < 0 || k > (all ?? k)))
        impossible(`${k} elements of axis ${axis}, which has ${all}`);
      const chosen = withDim(shape, axis, k);
      return [typed(elem, chosen), typed("i64", chosen)];
    },
    access(op) {
      const shape = operandShape(op, 0);
      const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length);
      return [shape.map((_, i) => (i === axis ? { kind: "all" } : point(i))), whole(1)];
    },
  }),
];
