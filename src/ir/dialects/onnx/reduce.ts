/** Operators that take many elements along some axes to one. */

import type { TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, type AxisAccess, point } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import type { OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import {
  type Constants,
  constantNumbers,
  firstOnly,
  operandShape,
  resultShape,
} from "./accesses.ts";
import { int, onnxOp } from "./record.ts";
import {
  dimAt,
  impossible,
  lengthOf,
  normaliseAxes,
  normaliseAxis,
  numbersAt,
  type Operands,
  type Shape,
  shapeAt,
  typeAt,
  typed,
} from "./shape.ts";

const keeps = (op: Op): boolean => intAttr(op, "keepdims", 1) !== 0;

/** Which axes are reduced: the named ones, or all of them, or none; null where not known. */
function reducedAxes(
  op: Op,
  rank: number,
  named: readonly number[] | null | undefined,
): readonly number[] | null {
  if (named === null) return null;
  if (named && named.length > 0) return normaliseAxes(named, rank);
  return intAttr(op, "noop_with_empty_axes", 0) ? [] : Array.from({ length: rank }, (_, i) => i);
}

function without(shape: Shape, axes: readonly number[], keep: boolean): Shape {
  if (keep) return shape.map((d, i) => (axes.includes(i) ? 1 : d));
  return shape.filter((_, i) => !axes.includes(i));
}

function reduceType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const axes = reducedAxes(op, shape.length, operands[1] ? numbersAt(operands, 1) : undefined);
  if (axes) return [typed(elem, without(shape, axes, keeps(op)))];
  const gone = keeps(op) ? 0 : lengthOf(shapeAt(operands, 1), "the axes");
  if (gone > shape.length) impossible(`${gone} axes of a tensor of rank ${shape.length}`);
  return [typed(elem, new Array(shape.length - gone).fill(null))];
}

/** Each axis that is left is one of the result's; the others are read in full. */
function reductionAxes(shape: Shape, axes: readonly number[], keep: boolean): AxisAccess[] {
  let next = 0;
  return shape.map((_, i) => {
    if (axes.includes(i)) {
      if (keep) next++;
      return ALL;
    }
    return point(next++);
  });
}

function reduceAccess(op: Op, constants?: Constants): Access | null {
  const shape = operandShape(op, 0);
  const named = op.operands[1];
  const values = named ? constantNumbers(named, constants) : undefined;
  const axes = reducedAxes(op, shape.length, values) ?? shrunkAxes(op, shape);
  return axes && firstOnly(op, reductionAxes(shape, axes, keeps(op)));
}

/** Without the values of the axes: with keepdims, those that became 1. */
function shrunkAxes(op: Op, shape: Shape): readonly number[] | null {
  if (!keeps(op)) return null;
  return shape.flatMap((d, i) => (d === dimAt(resultShape(op), i) ? [] : [i]));
}

const reduction = (name: string, doc: string): OpDef =>
  onnxOp(name, {
    doc,
    operands: ["x", "axes?"],
    attrs: { keepdims: int, noop_with_empty_axes: int },
    infer: reduceType,
    access: reduceAccess,
  });

const theAxis = (op: Op, rank: number): number => normaliseAxis(intAttr(op, "axis", 0), rank);

const extremum = (name: string, doc: string): OpDef =>
  onnxOp(name, {
    doc,
    operands: ["x"],
    attrs: { axis: int, keepdims: int, select_last_index: int },
    infer(op, operands) {
      const shape = shapeAt(operands, 0);
      const axis = theAxis(op, shape.length);
      if (dimAt(shape, axis) === 0) impossible(`axis ${axis} has no elements to choose from`);
      return [typed("i64", without(shape, [axis], keeps(op)))];
    },
    access(op) {
      const shape = operandShape(op, 0);
      return [reductionAxes(shape, [theAxis(op, shape.length)], keeps(op))];
    },
  });

/** The axis is an operand: without its value nothing is known. */
function cumulative(op: Op, constants?: Constants): Access | null {
  const named = op.operands[1];
  const axis = named ? constantNumbers(named, constants)?.[0] : undefined;
  if (axis === undefined) return null;
  const shape = operandShape(op, 0);
  const along = normaliseAxis(axis, shape.length);
  const offset = intAttr(op, "exclusive", 0) ? -1 : 0;
  const prefix: AxisAccess = intAttr(op, "reverse", 0)
    ? ALL
    : { kind: "prefix", axis: along, offset };
  return firstOnly(
    op,
    shape.map((_, i) => (i === along ? prefix : point(i))),
  );
}

const running = (name: string, doc: string): OpDef =>
  onnxOp(name, {
    doc,
    operands: ["x", "axis"],
    attrs: { exclusive: int, reverse: int },
    infer(_, operands) {
      const axis = numbersAt(operands, 1);
      if (axis?.length === 0) impossible("the axis is empty");
      if (axis) normaliseAxis(axis[0] ?? 0, shapeAt(operands, 0).length);
      return [typeAt(operands, 0)];
    },
    access: cumulative,
  });

export const REDUCE_OPS: readonly OpDef[] = [
  reduction("ReduceL1", "The sum of absolute values over the named axes."),
  reduction("ReduceL2", "The root of the sum of squares over the named axes."),
  reduction("ReduceLogSum", "The logarithm of the sum over the named axes."),
  reduction("ReduceLogSumExp", "The logarithm of the sum of exponentials over the named axes."),
  reduction("ReduceMax", "The largest element over the named axes."),
  reduction("ReduceMean", "The mean over the named axes."),
  reduction("ReduceMin", "The smallest element over the named axes."),
  reduction("ReduceProd", "The product over the named axes."),
  reduction("ReduceSum", "The sum over the named axes."),
  reduction("ReduceSumSquare", "The sum of squares over the named axes."),
  extremum("ArgMax", "The index of the largest element along an axis."),
  extremum("ArgMin", "The index of the smallest element along an axis."),
  running("CumSum", "The sum of the elements up to each one along an axis."),
  running("CumProd", "The product of the elements up to each one along an axis."),
];
