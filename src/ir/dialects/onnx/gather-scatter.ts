/** Operators that read or write elements at indices held by another tensor. */

import { type Access, ALL, point, whole } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import type { OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { allAlong, operandShape, pointwise } from "./accesses.ts";
import { int, oneOf, onnxOp, string } from "./record.ts";
import {
  commonElem,
  dimAt,
  equalShape,
  impossible,
  normaliseAxis,
  type Operands,
  type Shape,
  shapeAt,
  typeAt,
  typed,
  wrongElem,
} from "./shape.ts";

const theAxis = (op: Op, rank: number): number => normaliseAxis(intAttr(op, "axis", 0), rank);

function integers(operands: Operands): void {
  const { elem } = typeAt(operands, 1);
  if (elem !== "i64" && elem !== "i32") wrongElem(`indices must be i64 or i32, not ${elem}`);
}

function gatherAccess(op: Op): Access {
  const data = operandShape(op, 0);
  const indices = operandShape(op, 1);
  const axis = theAxis(op, data.length);
  const moved = indices.length - 1;
  return [
    data.map((_, i) => (i === axis ? ALL : point(i < axis ? i : i + moved))),
    indices.map((_, i) => point(axis + i)),
  ];
}

/** Indices stand beside elements of data: on every axis but the chosen one there are at least as many of these. */
function beside(indices: Shape, data: Shape, axis: number): void {
  if (indices.length !== data.length) impossible("the operands differ in rank");
  for (const [i, d] of indices.entries()) {
    const room = dimAt(data, i);
    if (i === axis || d === null || room === null || d <= room) continue;
    impossible(`${d} indices on axis ${i}, where data has ${room} elements`);
  }
}

/** The length of the index tuples: the last dimension of the indices. */
function tupleOf(indices: Shape, data: Shape, batch: number): number {
  const last = indices.at(-1);
  if (typeof last !== "number") return impossible("the rank depends on data");
  if (batch + last > data.length) impossible(`index tuples of ${last} for rank ${data.length}`);
  return last;
}

function gatherNdAccess(op: Op): Access {
  const [data, indices] = [operandShape(op, 0), operandShape(op, 1)];
  const batch = intAttr(op, "batch_dims", 0);
  const named = batch + tupleOf(indices, data, batch);
  const before = indices.length - 1;
  return [
    data.map((_, i) => {
      if (i < batch) return point(i);
      return i < named ? ALL : point(before + i - named);
    }),
    allAlong(indices, [before]),
  ];
}

/** A result element takes part of the updates that share its index on every axis but one. */
function scatterElementsAccess(op: Op): Access {
  const [data, updates] = [operandShape(op, 0), operandShape(op, 2)];
  const axis = theAxis(op, data.length);
  const fits = updates.every((d, i) => i === axis || (d !== null && d === dimAt(data, i)));
  const sources = fits ? allAlong(updates, [axis]) : whole(updates.length);
  return [pointwise(data), sources, sources];
}

function scatterNdAccess(op: Op): Access {
  const [data, indices, updates] = [0, 1, 2].map((i) => operandShape(op, i)) as [
    Shape,
    Shape,
    Shape,
  ];
  const before = indices.length - 1;
  const named = tupleOf(indices, data, 0);
  return [
    pointwise(data),
    whole(indices.length),
    updates.map((_, i) => (i < before ? ALL : point(named + i - before))),
  ];
}

const reduces = (op: Op): Iterable<string> =>
  oneOf(op, "reduction", ["none", "add", "mul", "min", "max"]);

export const GATHER_SCATTER_OPS: readonly OpDef[] = [
  onnxOp("Gather", {
    doc: "The slices of data along an axis that the indices name.",
    operands: ["data", "indices"],
    attrs: { axis: int },
    infer(op, operands) {
      integers(operands);
      const { elem, shape } = typeAt(operands, 0);
      const axis = theAxis(op, shape.length);
      const chosen = shapeAt(operands, 1);
      return [typed(elem, [...shape.slice(0, axis), ...chosen, ...shape.slice(axis + 1)])];
    },
    access: gatherAccess,
  }),
  onnxOp("GatherElements", {
    doc: "For each index, the element of data at its place, but for the index along an axis.",
    operands: ["data", "indices"],
    attrs: { axis: int },
    infer(op, operands) {
      integers(operands);
      const { elem, shape } = typeAt(operands, 0);
      beside(shapeAt(operands, 1), shape, theAxis(op, shape.length));
      return [typed(elem, shapeAt(operands, 1))];
    },
    access(op) {
      const data = operandShape(op, 0);
      return [allAlong(data, [theAxis(op, data.length)]), pointwise(operandShape(op, 1))];
    },
  }),
  onnxOp("GatherND", {
    doc: "The slices of data that tuples of indices name.",
    operands: ["data", "indices"],
    attrs: { batch_dims: int },
    infer(op, operands) {
      integers(operands);
      const { elem, shape } = typeAt(operands, 0);
      const indices = shapeAt(operands, 1);
      const batch = intAttr(op, "batch_dims", 0);
      const tuple = tupleOf(indices, shape, batch);
      return [typed(elem, [...indices.slice(0, -1), ...shape.slice(batch + tuple)])];
    },
    access: gatherNdAccess,
  }),
  onnxOp("ScatterElements", {
    doc: "data, with updates written (or reduced in) at indices along an axis.",
    operands: ["data", "indices", "updates"],
    attrs: { axis: int, reduction: string },
    verify: reduces,
    infer(op, operands) {
      integers(operands);
      commonElem([operands[0] ?? null, operands[2] ?? null]);
      const [data, indices] = [shapeAt(operands, 0), shapeAt(operands, 1)];
      beside(indices, data, theAxis(op, data.length));
      equalShape(shapeAt(operands, 2), indices, "updates and indices differ");
      return [typeAt(operands, 0)];
    },
    access: scatterElementsAccess,
  }),
  onnxOp("ScatterND", {
    doc: "data, with slices of updates written (or reduced in) where tuples of indices say.",
    operands: ["data", "indices", "updates"],
    attrs: { reduction: string },
    verify: reduces,
    infer(_, operands) {
      integers(operands);
      commonElem([operands[0] ?? null, operands[2] ?? null]);
      const [data, indices] = [shapeAt(operands, 0), shapeAt(operands, 1)];
      const slices = [...indices.slice(0, -1), ...data.slice(tupleOf(indices, data, 0))];
      equalShape(shapeAt(operands, 2), slices, "updates and the slices they go to differ");
      return [typeAt(operands, 0)];
    },
    access: scatterNdAccess,
  }),
];
