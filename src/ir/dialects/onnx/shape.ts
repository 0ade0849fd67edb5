/** What shape inference of the onnx records shares: axes, broadcasting, constant operands. */

import { toNumbers } from "../../../tensor/convert.ts";
import type { Dim, Elem, TensorType } from "../../../tensor/tensor.ts";
import { showType } from "../../../tensor/tensor.ts";
import type { Known } from "../../define.ts";

export type Shape = readonly Dim[];
export type Operands = readonly (Known | null)[];

/** Types that no run of the model can have: a fault of the model, reported with its node by the pass. */
export class ShapeError extends Error {
  /** The code of this fault, where it has one of its own. */
  readonly code: string | undefined;
  /** What to do, where that is not to look at the shapes. */
  readonly hint: string | undefined;

  constructor(text: string, code?: string, hint?: string) {
    super(text);
    this.code = code;
    this.hint = hint;
  }
}

export function impossible(text: string): never {
  throw new ShapeError(text);
}

/** Element types that the operation does not take. Errors: A136. */
export function wrongElem(text: string): never {
  throw new ShapeError(text, "A136", "add a Cast before the node, or export the model again");
}

/** Elements of the largest tensor: 8 GiB of float32. More is a mistake in a size, not a model. */
export const MOST_ELEMENTS = 2 ** 31 - 1;

/** Inferred types that a tensor can have: arithmetic on damaged sizes gives others. Errors: A123. */
export function possible(types: readonly TensorType[]): readonly TensorType[] {
  for (const type of types) {
    const isCount = (d: Dim): boolean => d === null || (Number.isSafeInteger(d) && d >= 0);
    if (!type.shape.every(isCount)) impossible(`the result would be ${showType(type)}`);
    if (extent(type.shape) <= MOST_ELEMENTS) continue;
    const text = `the result would be ${showType(type)}, more than ${MOST_ELEMENTS} elements`;
    throw new ShapeError(text, "A123");
  }
  return types;
}

/** The type of an operand that must be there. */
export function typeAt(operands: Operands, index: number): TensorType {
  return operands[index]?.type ?? impossible(`operand ${index} is missing`);
}

export const shapeAt = (operands: Operands, index: number): Shape => typeAt(operands, index).shape;

/** The values of an operand, when they are constant. */
export function numbersAt(operands: Operands, index: number): readonly number[] | null {
  const value = operands[index]?.value;
  return value ? toNumbers(value) : null;
}

/** Counts from the end where negative. `rank` is the number of axes that may be named. */
export function normaliseAxis(axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) impossible(`axis ${axis} of a tensor of rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

export const normaliseAxes = (axes: readonly number[], rank: number): number[] =>
  axes.map((a) => normaliseAxis(a, rank));

/** Product of dimensions; null when one of them is not known. */
export const volume = (shape: Shape): Dim =>
  shape.reduce<Dim>((a, d) => (a === null || d === null ? null : a * d), 1);

/**
 * Product of the dimensions that are known and not zero. A tensor without elements has room for none along its
 * other axes either, but kernels walk over those.
 */
export const extent = (shape: Shape): number => shape.reduce<number>((a, d) => a * (d || 1), 1);

/** One dimension of a broadcast. An unknown one yields to a known one larger than 1. */
export function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (a === null) return b;
  if (b === null) return a;
  return impossible(`dimensions ${a} and ${b} do not broadcast`);
}

/** Numpy's broadcasting of any number of shapes; axes align at the end. */
export function broadcastShapes(...shapes: readonly Shape[]): Dim[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, i) =>
    shapes.reduce<Dim>((dim, s) => {
      const at = i - (rank - s.length);
      return at < 0 ? dim : broadcastDim(dim, s[at] ?? null);
    }, 1),
  );
}

/** An operand that may be stretched over a shape, never the shape over it. */
export function stretchable(operand: Shape, shape: Shape, what: string): void {
  const both = broadcastShapes(shape, operand);
  const same = both.every((d, i) => d === null || (shape[i] ?? null) === null || d === shape[i]);
  if (both.length === shape.length && same) return;
  const show = (s: Shape): string => `[${s.map((d) => d ?? "?").join(", ")}]`;
  impossible(`${what} of shape ${show(operand)} does not broadcast to ${show(shape)}`);
}

/** Two shapes that must be equal, as far as both are known. */
export function equalShape(a: Shape, b: Shape, what: string): void {
  if (a.length !== b.length) impossible(`${what}: rank ${a.length} is not ${b.length}`);
  for (const [i, d] of a.entries()) equalDim(d, b[i] ?? null, `${what} on axis ${i}`);
}

/** The element type that all of these operands must share. Absent ones are passed over. */
export function commonElem(operands: Operands): Elem {
  const types = operands.flatMap((o) => (o ? [o.type] : []));
  const [head] = types;
  if (!head) impossible("has no operand");
  const other = types.find((t) => t.elem !== head.elem);
  if (other) wrongElem(`operands ${showType(head)} and ${showType(other)} differ in element type`);
  return head.elem;
}

/** Operands that must be integers of 8 bits. */
export function bytes(operands: Operands, ...indices: readonly number[]): void {
  for (const i of indices) {
    const { elem } = typeAt(operands, i);
    if (elem !== "i8" && elem !== "ui8") wrongElem(`operand ${i} must be i8 or ui8, not ${elem}`);
  }
}

/** Two dimensions that must be equal; gives the one that is known. */
export function equalDim(a: Dim, b: Dim, what: string): Dim {
  if (a !== null && b !== null && a !== b) impossible(`${what}: ${a} is not ${b}`);
  return a ?? b;
}

/** The rank that the length of a one-dimensional shape operand decides. */
export function lengthOf(shape: Shape, what: string): number {
  const [length] = shape;
  if (shape.length !== 1 || length === undefined) impossible(`${what} must have one axis`);
  return length ?? impossible(`the rank depends on data: the length of ${what} is not known`);
}

export const typed = (elem: Elem, shape: Shape): TensorType => ({ elem, shape });

export const unknown = (rank: number): Dim[] => new Array<Dim>(rank).fill(null);

/** The dimension at an axis that is known to exist. */
export const dimAt = (shape: Shape, axis: number): Dim => shape[axis] ?? null;

/** A copy with one dimension replaced. */
export const withDim = (shape: Shape, axis: number, dim: Dim): Dim[] =>
  shape.map((d, i) => (i === axis ? dim : d));
