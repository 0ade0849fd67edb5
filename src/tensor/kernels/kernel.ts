/** What a digital kernel is given, and typed reading of it. */

import { type Elem, type Tensor, TensorFault } from "../tensor.ts";

export interface KernelCall {
  /** null where an optional operand is absent; trailing absent operands may be left out. */
  readonly inputs: readonly (Tensor | null)[];
  /** The operation's attributes as plain values: numbers, strings, booleans, lists, tensors. */
  readonly attrs: Readonly<Record<string, unknown>>;
  /**
   * Shapes of the results where the caller knows them. A block of a value is smaller than its
   * operation's shape operand says, so kernels that carry a shape believe this one.
   */
  readonly outShapes: readonly (readonly number[])[] | null;
}

/** Values or attributes that an operation is not defined for: an index outside its axis, say. */
export class KernelFault extends TensorFault {}

/** The results in order. A kernel may give more than the operation names; callers take the first. */
export type Kernel = (call: KernelCall) => Tensor[];

export type KernelTable = Readonly<Record<string, Kernel>>;

/** The i-th operand or null. */
export const maybe = (call: KernelCall, i: number): Tensor | null => call.inputs[i] ?? null;

/** The i-th operand, which the verifier has seen to be there. */
export function operand(call: KernelCall, i: number): Tensor {
  const t = call.inputs[i];
  if (!t) throw new KernelFault(`operand ${i} is absent`);
  return t;
}

function wrong(name: string, expected: string, found: unknown): never {
  throw new KernelFault(`attribute '${name}' is not ${expected} but ${String(found)}`);
}

export function num(call: KernelCall, name: string, otherwise?: number): number {
  const a = call.attrs[name] ?? otherwise;
  if (typeof a === "boolean") return a ? 1 : 0;
  return typeof a === "number" ? a : wrong(name, "a number", a);
}

/** ONNX spells truth as 0 and 1, the other dialects as booleans. */
export function flag(call: KernelCall, name: string, otherwise = false): boolean {
  const a = call.attrs[name] ?? otherwise;
  return typeof a === "boolean" || typeof a === "number" ? Boolean(a) : wrong(name, "a truth", a);
}

export function text(call: KernelCall, name: string, otherwise?: string): string {
  const a = call.attrs[name] ?? otherwise;
  return typeof a === "string" ? a : wrong(name, "a string", a);
}

/** A list of numbers, or null where there is none. */
export function nums(call: KernelCall, name: string): readonly number[] | null {
  const a = call.attrs[name];
  if (a === undefined || a === null) return null;
  if (Array.isArray(a) && a.every((v) => typeof v === "number")) return a;
  return wrong(name, "a list of numbers", a);
}

/** A nested tensor, or null where there is none. */
export function tensorAttr(call: KernelCall, name: string): Tensor | null {
  const a = call.attrs[name];
  if (a === undefined || a === null) return null;
  return typeof a === "object" && "data" in a ? (a as Tensor) : wrong(name, "a tensor", a);
}

/** Element types by ONNX's TensorProto.DataType number, as attributes `to` and `dtype` give them. */
const DATA_TYPES: Readonly<Record<number, Elem>> = {
  1: "f32",
  2: "ui8",
  3: "i8",
  4: "ui16",
  5: "i16",
  6: "i32",
  7: "i64",
  9: "i1",
  10: "f16",
  11: "f64",
  12: "ui32",
  13: "ui64",
  16: "bf16",
  21: "ui4",
  22: "i4",
};

/** The element type that an attribute names, by ONNX's number or by MLIR's spelling. */
export function elemAttr(call: KernelCall, name: string, otherwise: Elem): Elem {
  const a = call.attrs[name];
  if (a === undefined || a === 0) return otherwise;
  const elem = Object.values(DATA_TYPES).find((e) => e === a) ?? DATA_TYPES[Number(a)];
  return elem ?? wrong(name, "an element type", a);
}

/** A possibly negative axis counted from the front. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
