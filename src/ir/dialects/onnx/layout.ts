/** Operators that keep every element and change the axes it is found by. */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { type Access, point } from "../../access.ts";
import { intAttr, intsAttr } from "../../attrs.ts";
import type { OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { elementwise, firstOnly, operandShape, reshapeAxes, resultShape } from "./accesses.ts";
import { int, ints, onnxOp } from "./record.ts";
import {
  broadcastShapes,
  dimAt,
  equalDim,
  impossible,
  lengthOf,
  normaliseAxes,
  normaliseAxis,
  numbersAt,
  type Operands,
  type Shape,
  ShapeError,
  shapeAt,
  typeAt,
  typed,
  unknown,
  volume,
  withDim,
} from "./shape.ts";

/** Rearranges the first operand's axes by splitting and merging neighbours. */
const reshaping = (op: Op): Access =>
  firstOnly(op, reshapeAxes(operandShape(op, 0), resultShape(op)));

export const permutation = (op: Op): readonly number[] => {
  const rank = operandShape(op, 0).length;
  const backwards = Array.from({ length: rank }, (_, i) => rank - 1 - i);
  return intsAttr(op, "perm", backwards);
};

function transposeType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const perm = permutation(op);
  const sorted = perm.toSorted((a, b) => a - b);
  if (perm.length !== shape.length || sorted.some((axis, i) => axis !== i)) {
    impossible(`[${perm.join(", ")}] does not permute ${shape.length} axes`);
  }
  return [
    typed(
      elem,
      perm.map((axis) => dimAt(shape, axis)),
    ),
  ];
}

function transposeAccess(op: Op): Access {
  const perm = permutation(op);
  return [perm.map((_, axis) => point(perm.indexOf(axis)))];
}

/** 0 copies the dimension at its place (unless allowzero), -1 takes what is left. */
function reshapedShape(from: Shape, wanted: readonly number[], allowZero: boolean): Dim[] {
  const shape: Dim[] = wanted.map((d, i) => (d === 0 && !allowZero ? dimAt(from, i) : d));
  const free = shape.indexOf(-1);
  const total = volume(from);
  if (free < 0) {
    equalDim(total, volume(shape), "a reshape must keep the number of elements");
    return shape;
  }
  const rest = volume(shape.filter((_, i) => i !== free));
  if (total === null || rest === null) return withDim(shape, free, remaining(from, shape, free));
  const left = rest === 0 ? 0 : total / rest;
  if (!Number.isInteger(left)) impossible(`${total} elements do not divide by ${rest}`);
  return withDim(shape, free, left);
}

/** With unknown dimensions on both sides: when they are the same ones, the known parts decide. */
function remaining(from: Shape, shape: Shape, free: number): Dim {
  const copied = shape.flatMap((d, i) => (d === null && dimAt(from, i) === null ? [i] : []));
  const hidden = from.filter((d) => d === null).length;
  if (hidden !== copied.length || hidden !== shape.filter((d) => d === null).length) return null;
  const total = volume(from.filter((d) => d !== null)) ?? 0;
  const rest = volume(shape.filter((d, i) => d !== null && i !== free)) ?? 0;
  return rest > 0 && total % rest === 0 ? total / rest : null;
}

function reshapeType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const wanted = numbersAt(operands, 1);
  if (!wanted) return [typed(elem, unknown(lengthOf(shapeAt(operands, 1), "the shape")))];
  return [typed(elem, reshapedShape(shape, wanted, intAttr(op, "allowzero", 0) !== 0))];
}

function squeezeType(_: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const named = operands[1] ? numbersAt(operands, 1) : undefined;
  if (named === null) {
    return [typed(elem, unknown(shape.length - lengthOf(shapeAt(operands, 1), "the axes")))];
  }
  if (named === undefined && shape.includes(null)) {
    const hint =
      "give the node its axes: data decide how long some are, so it cannot be told which are 1";
    throw new ShapeError("the rank depends on data", "A117", hint);
  }
  const axes = named
    ? normaliseAxes(named, shape.length)
    : shape.flatMap((d, i) => (d === 1 ? [i] : []));
  for (const axis of axes) equalDim(dimAt(shape, axis), 1, `axis ${axis} cannot be dropped`);
  return [
    typed(
      elem,
      shape.filter((_, i) => !axes.includes(i)),
    ),
  ];
}

function unsqueezeType(_: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const named = numbersAt(operands, 1);
  const added = named?.length ?? lengthOf(shapeAt(operands, 1), "the axes");
  const rank = shape.length + added;
  if (!named) return [typed(elem, unknown(rank))];
  const axes = normaliseAxes(named, rank);
  if (new Set(axes).size < axes.length) impossible("an axis is named twice");
  const rest = [...shape];
  const result = Array.from({ length: rank }, (_, i) =>
    axes.includes(i) ? 1 : (rest.shift() ?? null),
  );
  return [typed(elem, result)];
}

function flattenType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const named = intAttr(op, "axis", 1);
  const axis = named === shape.length ? named : normaliseAxis(named, shape.length);
  return [typed(elem, [volume(shape.slice(0, axis)), volume(shape.slice(axis))])];
}

function expandType(_: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const wanted = numbersAt(operands, 1) ?? unknown(lengthOf(shapeAt(operands, 1), "the shape"));
  return [typed(elem, broadcastShapes(shape, wanted))];
}

function expandAccess(op: Op): Access {
  return firstOnly(op, elementwise(op)[0] ?? []);
}

export const LAYOUT_OPS: readonly OpDef[] = [
  onnxOp("Transpose", {
    doc: "x with its axes in the order of perm, backwards without one.",
    operands: ["x"],
    attrs: { perm: ints },
    infer: transposeType,
    access: transposeAccess,
  }),
  onnxOp("Reshape", {
    doc: "The elements of x, in order, in another shape.",
    operands: ["x", "shape"],
    attrs: { allowzero: int },
    infer: reshapeType,
    access: reshaping,
  }),
  onnxOp("Squeeze", {
    doc: "x without the named axes of size 1, or without any.",
    operands: ["x", "axes?"],
    infer: squeezeType,
    access: reshaping,
  }),
  onnxOp("Unsqueeze", {
    doc: "x with axes of size 1 added at the named places of the result.",
    operands: ["x", "axes"],
    infer: unsqueezeType,
    access: reshaping,
  }),
  onnxOp("Flatten", {
    doc: "x as a matrix: the axes before `axis` are its rows.",
    operands: ["x"],
    attrs: { axis: int },
    infer: flattenType,
    access: reshaping,
  }),
  onnxOp("Expand", {
    doc: "x broadcast with a shape.",
    operands: ["x", "shape"],
    infer: expandType,
    access: expandAccess,
  }),
];
