/** Rows of the operator tables: one form of one operator, on tensors of each element type it is for. */

import { fromNumbers } from "../../../src/tensor/convert.ts";
import { type Elem, isFloat, sizeOf, type Tensor } from "../../../src/tensor/tensor.ts";
import type { Tolerance } from "../agree.ts";

/** An input of the model, or a constant of it; null where it is absent. */
export type Operand = {
  readonly fed: boolean;
  readonly make: (elem: Elem) => Tensor;
} | null;

type Plain = number | string | readonly number[] | Tensor;
/** A name that ends in `:f` is a float. */
export type Attributes = Readonly<Record<string, Plain>>;

export interface Row {
  readonly op: string;
  /** What is special about this form; "" for nothing. */
  readonly form: string;
  readonly inputs: readonly Operand[];
  readonly attrs?: Attributes | ((elem: Elem) => Attributes);
  /** Element types to try, all unless told; those that ONNX Runtime does not take are passed over. */
  readonly elems?: readonly Elem[];
  /** The version of the operators, 21 unless told. */
  readonly opset?: number;
  readonly domain?: string;
  /** How many results there are, 1 unless told. */
  readonly results?: number;
  readonly tolerance?: Tolerance;
  /**
   * What the ONNX specification says the results are, where ONNX Runtime is no judge: its CPU has no such
   * kernel, or leaves the case undefined (and `form` says which).
   */
  readonly expected?: (elem: Elem) => readonly Tensor[];
}

export const FLOATS: readonly Elem[] = ["f32", "f64", "f16"];
export const SIGNED: readonly Elem[] = ["i8", "i16", "i32", "i64"];
const UNSIGNED: readonly Elem[] = ["ui8", "ui16", "ui32", "ui64"];
export const INTEGERS: readonly Elem[] = [...SIGNED, ...UNSIGNED];
const NUMBERS: readonly Elem[] = [...FLOATS, ...INTEGERS];
export const ALL: readonly Elem[] = [...NUMBERS, "i1"];

/** Values that are neither regular nor random, of both signs where the type has them. */
function numbers(elem: Elem, shape: readonly number[], seed: number): number[] {
  return Array.from({ length: sizeOf(shape) }, (_, i) => {
    const v = (((i + seed) * 37) % 41) - 20;
    if (elem === "i1") return v & 1;
    const signed = elem.startsWith("u") ? Math.abs(v) : v;
    return isFloat(elem) ? signed / 8 : signed;
  });
}

const spread = (elem: Elem, shape: readonly number[], seed: number): Tensor =>
  fromNumbers(elem, shape, numbers(elem, shape, seed));

/** An input of this shape, in the row's element type. */
export const x = (...shape: number[]): Operand => ({ fed: true, make: (e) => spread(e, shape, 0) });

/** The same with other values. */
export const y = (...shape: number[]): Operand => ({ fed: true, make: (e) => spread(e, shape, 7) });

/** The same as an input of one element type, whatever the row's is. */
export const typed = (elem: Elem, operand: Operand): Operand =>
  operand && { fed: operand.fed, make: () => operand.make(elem) };

/** The same as a constant of the model. */
export const constant = (operand: Operand): Operand => operand && { ...operand, fed: false };

/** An input with these values in the row's element type. */
export const values = (shape: readonly number[], ...list: number[]): Operand => ({
  fed: true,
  make: (elem) => fromNumbers(elem, shape, elem === "i1" ? list.map((v) => +(v !== 0)) : list),
});

/** An input without 0, which divides. */
export const divisor = (...shape: number[]): Operand => ({
  fed: true,
  make: (elem) =>
    fromNumbers(
      elem,
      shape,
      numbers(elem, shape, 11).map((v) => v || 3),
    ),
});

/** An input without negative values. */
export const magnitudes = (...shape: number[]): Operand => ({
  fed: true,
  make: (elem) => fromNumbers(elem, shape, numbers(elem, shape, 3).map(Math.abs)),
});

/** An input between -1 and 1. */
export const fractions = (...shape: number[]): Operand => ({
  fed: true,
  make: (elem) => {
    const list = Array.from({ length: sizeOf(shape) }, (_, i) => (((i * 37) % 41) - 20) / 20.5);
    return fromNumbers(elem, shape, list);
  },
});

/** A constant list of i64: axes, shapes, repeats. */
export const ints = (...list: number[]): Operand => ({
  fed: false,
  make: () => fromNumbers("i64", [list.length], list),
});

/** A constant of the given type. */
export const of = (elem: Elem, shape: readonly number[], ...list: number[]): Operand => ({
  fed: false,
  make: () => fromNumbers(elem, shape, list),
});

/** A constant in the row's element type. */
export const same = (shape: readonly number[], ...list: number[]): Operand => ({
  fed: false,
  make: (elem) => fromNumbers(elem, shape, list),
});

/** An input whose bits are given, for 64-bit integers beyond doubles. */
export const bits = (tensor: Tensor): Operand => ({ fed: true, make: () => tensor });

type Form = readonly [form: string, inputs: Row["inputs"], attrs?: Attributes, more?: Partial<Row>];

/** Rows of one operator. Types do not matter to its forms, so the first row alone is for all of them. */
export const forms = (op: string, elems: readonly Elem[], rows: readonly Form[]): Row[] =>
  rows.map(([form, inputs, attrs = {}, more = {}], i) => ({
    op,
    form,
    inputs,
    attrs,
    ...(i > 0 && { elems }),
    ...more,
  }));
