/** Operators that move elements between axes, and those that choose slices by what they hold. */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { ALL, point } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { operandShape } from "./accesses.ts";
import { int, oneOf, onnxOp, string } from "./record.ts";
import {
  dimAt,
  equalDim,
  impossible,
  normaliseAxis,
  type Operands,
  type Shape,
  shapeAt,
  typeAt,
  typed,
  volume,
  withDim,
} from "./shape.ts";

function image(operands: Operands): Shape {
  const { shape } = typeAt(operands, 0);
  if (shape.length !== 4) impossible("x must have the axes batch, channel, row and column");
  return shape;
}

const times = (d: Dim, by: number): Dim => (d === null ? null : d * by);

function part(d: Dim, by: number): Dim {
  if (d !== null && d % by !== 0) impossible(`${d} does not divide by ${by}`);
  return d === null ? null : d / by;
}

function blockSize(op: Op): number {
  const size = intAttr(op, "blocksize");
  if (size < 1) impossible(`blocks of size ${size}`);
  return size;
}

/** The axis that an attribute names; null where everything counts as one axis. */
function optionalAxis(op: Op, shape: Shape): number | null {
  if (op.attrs["axis"] === undefined) return null;
  return normaliseAxis(intAttr(op, "axis"), shape.length);
}

function uniqueType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const axis = optionalAxis(op, shape);
  const list = typed("i64", [null]);
  const all = axis === null ? volume(shape) : dimAt(shape, axis);
  const y = typed(elem, axis === null ? [null] : withDim(shape, axis, null));
  return [y, list, typed("i64", [all]), list];
}

function scatterType(op: Op, operands: Operands): TensorType[] {
  const past = typeAt(operands, 0);
  const update = typeAt(operands, 1);
  const axis = normaliseAxis(intAttr(op, "axis", -2), past.shape.length);
  if (axis === 0) impossible("axis 0 is the batch");
  if (update.elem !== past.elem) impossible("the cache and its update differ in element type");
  if (update.shape.length !== past.shape.length) impossible("the operands differ in rank");
  for (const [i, d] of past.shape.entries()) {
    if (i !== axis) equalDim(d, dimAt(update.shape, i), `axis ${i} of the operands differs`);
  }
  return [past];
}

const batchOnly = (shape: Shape, axis: number) =>
  shape.map((_, i) => (i === axis ? point(i) : ALL));

export const REARRANGE_OPS: readonly OpDef[] = [
  onnxOp("DepthToSpace", {
    doc: "Channels moved into square blocks of pixels, in the order that the mode says.",
    operands: ["x"],
    attrs: { blocksize: attr.int, mode: string },
    verify: (op) => oneOf(op, "mode", ["DCR", "CRD"]),
    infer(op, operands) {
      const [batch = null, channels = null, rows = null, columns = null] = image(operands);
      const size = blockSize(op);
      const shape = [batch, part(channels, size * size), times(rows, size), times(columns, size)];
      return [typed(typeAt(operands, 0).elem, shape)];
    },
    access: (op) => [batchOnly(operandShape(op, 0), 0)],
  }),
  onnxOp("SpaceToDepth", {
    doc: "Square blocks of pixels moved into channels.",
    operands: ["x"],
    attrs: { blocksize: attr.int },
    infer(op, operands) {
      const [batch = null, channels = null, rows = null, columns = null] = image(operands);
      const size = blockSize(op);
      const shape = [batch, times(channels, size * size), part(rows, size), part(columns, size)];
      return [typed(typeAt(operands, 0).elem, shape)];
    },
    access: (op) => [batchOnly(operandShape(op, 0), 0)],
  }),
  onnxOp("ReverseSequence", {
    doc: "Each sequence of a batch with its first elements, as many as its length says, backwards.",
    operands: ["x", "lengths"],
    attrs: { batch_axis: int, time_axis: int },
    infer(op, operands) {
      const type = typeAt(operands, 0);
      const [batch, time] = [intAttr(op, "batch_axis", 1), intAttr(op, "time_axis", 0)];
      if (type.shape.length < 2 || batch === time || batch > 1 || time > 1 || batch * time < 0) {
        impossible("the batch and the sequence must be the first two axes");
      }
      const [count = null] = shapeAt(operands, 1);
      equalDim(count, dimAt(type.shape, batch), "a length for each sequence is needed");
      return [type];
    },
    access(op) {
      const batch = intAttr(op, "batch_axis", 1);
      const x = operandShape(op, 0);
      const rest = x.map((_, i) => (i === intAttr(op, "time_axis", 0) ? ALL : point(i)));
      return [rest, [point(batch)]];
    },
  }),
  onnxOp("Compress", {
    doc: "The slices of an axis (without one: the elements) for which the condition is true.",
    operands: ["x", "condition"],
    attrs: { axis: int },
    infer(op, operands) {
      const { elem, shape } = typeAt(operands, 0);
      const axis = optionalAxis(op, shape);
      const chosen = operands[1]?.value;
      const all = (axis === null ? volume(shape) : dimAt(shape, axis)) ?? undefined;
      const count = chosen ? [...chosen.data].slice(0, all).filter((v) => v !== 0).length : null;
      return [typed(elem, axis === null ? [count] : withDim(shape, axis, count))];
    },
  }),
  onnxOp("Unique", {
    doc: "The different slices of an axis (without one: elements), where they occur, and how often.",
    operands: ["x"],
    results: ["y", "indices?", "inverse_indices?", "counts?"],
    attrs: { axis: int, sorted: int },
    infer: uniqueType,
  }),
  onnxOp("TensorScatter", {
    doc: "A cache with new entries written along an axis, from each sample's own position on.",
    operands: ["past", "update", "starts?"],
    attrs: { axis: int, mode: string },
    verify: (op) => oneOf(op, "mode", ["linear", "circular"]),
    infer: scatterType,
    access(op) {
      const axis = normaliseAxis(intAttr(op, "axis", -2), operandShape(op, 0).length);
      const along = (shape: Shape) => shape.map((_, i) => (i === axis ? ALL : point(i)));
      return op.operands.map((o, i) => {
        if (!o) return null;
        if (i === 0) return o.type.shape.map((_, k) => point(k));
        return i === 1 ? along(o.type.shape) : o.type.shape.map(() => ALL);
      });
    },
  }),
];
