/** Operators that cut tensors, join them, repeat them and surround them. */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, type AxisAccess, point } from "../../access.ts";
import { intAttr, stringAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import {
  type Axes,
  allAlong,
  type Constants,
  constantNumbers,
  firstOnly,
  operandShape,
  resultShape,
} from "./accesses.ts";
import { int, oneOf, onnxOp, string } from "./record.ts";
import {
  commonElem,
  dimAt,
  equalDim,
  impossible,
  normaliseAxes,
  normaliseAxis,
  numbersAt,
  type Operands,
  shapeAt,
  typeAt,
  typed,
  unknown,
  volume,
  withDim,
} from "./shape.ts";
import { sliceShape, slicesOf } from "./slice.ts";

function concatType(op: Op, operands: Operands): TensorType[] {
  const elem = commonElem(operands);
  const shapes = operands.map((_, i) => shapeAt(operands, i));
  const first = shapeAt(operands, 0);
  const axis = normaliseAxis(intAttr(op, "axis"), first.length);
  let joined: Dim = 0;
  const shape: Dim[] = [...first];
  for (const s of shapes) {
    if (s.length !== first.length) impossible("the operands differ in rank");
    for (const [i, d] of s.entries()) {
      if (i !== axis) shape[i] = equalDim(shape[i] ?? null, d, `axis ${i} of the operands differs`);
    }
    const here: Dim = dimAt(s, axis);
    joined = joined === null || here === null ? null : joined + here;
  }
  return [typed(elem, withDim(shape, axis, joined))];
}

function concatAccess(op: Op): Access {
  const axis = normaliseAxis(intAttr(op, "axis"), resultShape(op).length);
  return op.operands.map((o) => (o ? allAlong(o.type.shape, [axis]) : null));
}

function splitType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const axis = normaliseAxis(intAttr(op, "axis", 0), shape.length);
  const parts = operands[1] ? numbersAt(operands, 1) : evenly(dimAt(shape, axis), op);
  const sizes: readonly Dim[] = parts ?? unknown(op.results.length);
  if (sizes.length !== op.results.length) impossible(`it has ${op.results.length} results`);
  const total = volume(sizes) === null ? null : sizes.reduce<number>((a, d) => a + (d ?? 0), 0);
  equalDim(total, dimAt(shape, axis), `the parts do not add up to axis ${axis}`);
  return sizes.map((size) => typed(elem, withDim(shape, axis, size)));
}

/** Parts of the same size; the last is smaller where the dimension does not divide. */
function evenly(dim: Dim, op: Op): readonly number[] | null {
  if (dim === null) return null;
  const count = intAttr(op, "num_outputs", op.results.length);
  const size = Math.ceil(dim / count);
  return Array.from({ length: count }, (_, i) => Math.min(size, Math.max(0, dim - i * size)));
}

const splitAccess = (op: Op): Access => {
  const shape = operandShape(op, 0);
  return firstOnly(op, allAlong(shape, [normaliseAxis(intAttr(op, "axis", 0), shape.length)]));
};

function sliceAccess(op: Op, constants?: Constants): Access {
  const shape = operandShape(op, 0);
  const values = op.operands.map((o) => (o ? constantNumbers(o, constants) : undefined));
  const slices = slicesOf(shape, values);
  const axes: Axes = shape.map((d, i) => {
    // Unknown cuts without a step: a result as long as the operand is the operand.
    const steps = op.operands[4] ? slices?.get(i)?.step : 1;
    const full = d !== null && d === dimAt(resultShape(op), i) && steps !== undefined && steps > 0;
    return full || (slices !== null && !slices.has(i)) ? point(i) : ALL;
  });
  return firstOnly(op, axes);
}

function tileType(_: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const repeats = numbersAt(operands, 1);
  if (!repeats) return [typed(elem, unknown(shape.length))];
  if (repeats.length !== shape.length) impossible(`repeats must have ${shape.length} entries`);
  return [
    typed(
      elem,
      shape.map((d, i) => (d === null ? null : d * (repeats[i] ?? 1))),
    ),
  ];
}

/** The operand repeats, so its index is the result's, modulo its size. */
function tileAccess(op: Op): Access {
  const axes = operandShape(op, 0).map((d, i): AxisAccess => {
    if (d === null || d === 1) return ALL;
    if (d === dimAt(resultShape(op), i)) return point(i);
    return { kind: "digit", axis: i, stride: 1, extent: d };
  });
  return firstOnly(op, axes);
}

/** What is added before and after each axis, or null where it is not known. */
function padsOf(
  rank: number,
  pads: readonly number[] | null,
  axes: readonly number[] | null | undefined,
): readonly (readonly [number, number])[] | null {
  if (!pads || axes === null) return null;
  const named = axes ? normaliseAxes(axes, rank) : Array.from({ length: rank }, (_, i) => i);
  if (pads.length !== 2 * named.length) impossible(`pads must have ${2 * named.length} entries`);
  return Array.from({ length: rank }, (_, axis) => {
    const at = named.indexOf(axis);
    return at < 0 ? [0, 0] : [pads[at] ?? 0, pads[at + named.length] ?? 0];
  });
}

function padType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const axes = operands[3] ? numbersAt(operands, 3) : undefined;
  const pads = padsOf(shape.length, numbersAt(operands, 1), axes);
  if (!pads) return [typed(elem, unknown(shape.length))];
  const repeats = stringAttr(op, "mode", "constant") !== "constant";
  const empty = shape.findIndex((d, i) => d === 0 && pads[i]?.some((n) => n > 0));
  if (repeats && empty >= 0) impossible(`axis ${empty} has no elements to repeat`);
  return [
    typed(
      elem,
      shape.map((d, i) => (d === null ? null : d + (pads[i]?.[0] ?? 0) + (pads[i]?.[1] ?? 0))),
    ),
  ];
}

/** Axes without padding keep their index; without the values of the pads, none is known to. */
function padAccess(op: Op, constants?: Constants): Access {
  const shape = operandShape(op, 0);
  const [, amounts, , named] = op.operands;
  const pads = padsOf(
    shape.length,
    amounts ? constantNumbers(amounts, constants) : null,
    named ? constantNumbers(named, constants) : undefined,
  );
  const axes = shape.map((_, i) => (pads?.[i]?.[0] === 0 && pads[i]?.[1] === 0 ? point(i) : ALL));
  return firstOnly(op, axes);
}

export const MOVEMENT_OPS: readonly OpDef[] = [
  onnxOp("Concat", {
    doc: "The operands one after another along an axis.",
    operands: ["x*"],
    attrs: { axis: attr.int },
    infer: concatType,
    access: concatAccess,
  }),
  onnxOp("Split", {
    doc: "x cut along an axis, into parts of the given sizes or of equal size.",
    operands: ["x", "split?"],
    results: ["y*"],
    attrs: { axis: int, num_outputs: int },
    infer: splitType,
    access: splitAccess,
  }),
  onnxOp("Slice", {
    doc: "Every step-th element between start and end, on the named axes.",
    operands: ["x", "starts", "ends", "axes?", "steps?"],
    infer: (_, operands) => [
      typed(
        typeAt(operands, 0).elem,
        sliceShape(
          shapeAt(operands, 0),
          operands.map((o, i) => (o && i > 0 ? numbersAt(operands, i) : undefined)),
          operands.map((o) => o?.type.shape[0] ?? null),
        ),
      ),
    ],
    access: sliceAccess,
  }),
  onnxOp("Tile", {
    doc: "x repeated along each of its axes.",
    operands: ["x", "repeats"],
    infer: tileType,
    access: tileAccess,
  }),
  onnxOp("Pad", {
    doc: "x with elements added or, where negative, taken away around it.",
    operands: ["x", "pads", "value?", "axes?"],
    attrs: { mode: string },
    verify: (op) => oneOf(op, "mode", ["constant", "edge", "reflect", "wrap"]),
    infer: padType,
    access: padAccess,
  }),
];
