/** Operators that put elements in other places: reshapes, permutations, cuts and joins. */

import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, type AxisAccess, point } from "../../access.ts";
import { intAttr, intsAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import {
  type Axes,
  allAlong,
  type Constants,
  constantNumbers,
  elementwise,
  firstOnly,
  operandShape,
  reshapeAxes,
  resultShape,
} from "./accesses.ts";
import { int, ints, onnxOp, string } from "./record.ts";
import {
  broadcastShapes,
  commonElem,
  dimAt,
  equalDim,
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
  volume,
  withDim,
} from "./shape.ts";
import { sliceShape, slicesOf } from "./slice.ts";

const unknown = (rank: number): Dim[] => new Array(rank).fill(null);

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
export function reshapedShape(from: Shape, wanted: readonly number[], allowZero: boolean): Dim[] {
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
  if (named === undefined && shape.includes(null)) impossible("the rank depends on data");
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

function padType(_: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const axes = operands[3] ? numbersAt(operands, 3) : undefined;
  const pads = padsOf(shape.length, numbersAt(operands, 1), axes);
  if (!pads) return [typed(elem, unknown(shape.length))];
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
    infer: padType,
    access: padAccess,
  }),
];
