/** What simplify knows: for one operation, a simpler form with the same results. */

import { intAttr } from "../../src/ir/attrs.ts";
import { operandShape } from "../../src/ir/dialects/onnx/accesses.ts";
import { elemOfNumber } from "../../src/ir/dialects/onnx/elements.ts";
import { permutation } from "../../src/ir/dialects/onnx/layout.ts";
import { isWhole, slicesOf } from "../../src/ir/dialects/onnx/slice.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { originOf } from "../../src/ir/rewrite.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { type Elem, isStatic, type Tensor } from "../../src/tensor/tensor.ts";

export interface Around {
  readonly constants: ReadonlyMap<Value, Tensor>;
  producer(v: Value | null | undefined): Op | undefined;
  fresh(base: string): string;
}

/** The value that an operation's first result merely repeats, or null. */
export function repeated(op: Op, around: Around): Value | null {
  const [x] = op.operands;
  const [y] = op.results;
  if (!x || !y) return null;
  const rule = REPEATS[op.kind];
  if (rule?.(op, x, y, around)) return x;
  return neutral(op, y, around);
}

/** The operand that the other, a constant of nothing but ones, multiplies or divides. */
function neutral(op: Op, y: Value, { constants }: Around): Value | null {
  const [a, b] = op.operands;
  if (!a || !b) return null;
  const isOne = (v: Value): boolean => {
    const value = constants.get(v);
    return value !== undefined && toNumbers(value).every((n) => n === 1);
  };
  const same = (v: Value): boolean => v.type.elem === y.type.elem && sameShape(op, v, y);
  if ((op.kind === "onnx.Mul" || op.kind === "onnx.Div") && isOne(b) && same(a)) return a;
  return op.kind === "onnx.Mul" && isOne(a) && same(b) ? b : null;
}

type Repeats = (op: Op, x: Value, y: Value, around: Around) => boolean;

const alone: Repeats = (op) => op.operands.length === 1 && op.results.length === 1;

/** Row-major order is kept and so is the shape; one unknown dimension follows from the others. */
const sameShape = (_: Op, x: Value, y: Value): boolean =>
  x.type.shape.length === y.type.shape.length &&
  x.type.shape.every((d, i) => d === y.type.shape[i]) &&
  x.type.shape.filter((d) => d === null).length < 2;

const REPEATS: Readonly<Record<string, Repeats>> = {
  "onnx.Identity": () => true,
  "onnx.Dropout": (op, _x, _y, { constants }) =>
    op.results.length === 1 && !isTraining(op, constants),
  "onnx.Cast": (_, x, y) => x.type.elem === y.type.elem,
  "onnx.CastLike": (_, x, y) => x.type.elem === y.type.elem,
  "onnx.Reshape": sameShape,
  "onnx.Flatten": sameShape,
  "onnx.Squeeze": sameShape,
  "onnx.Unsqueeze": sameShape,
  "onnx.Expand": (op, x, y) => isStatic(x.type) && sameShape(op, x, y),
  "onnx.Tile": (op, x, y) => isStatic(x.type) && sameShape(op, x, y),
  "onnx.Transpose": (op) => permutation(op).every((axis, i) => axis === i),
  "onnx.Slice": (op, _x, _y, { constants }) => cutsNothing(op, constants),
  "onnx.Concat": alone,
  "onnx.Split": (op) => op.results.length === 1,
  "onnx.Sum": alone,
  "onnx.Mean": alone,
  "onnx.Max": alone,
  "onnx.Min": alone,
};

function isTraining(op: Op, constants: Around["constants"]): boolean {
  const mode = op.operands[2];
  if (!mode) return false;
  const value = constants.get(mode);
  return !value || toNumbers(value)[0] !== 0;
}

function cutsNothing(op: Op, constants: Around["constants"]): boolean {
  const shape = operandShape(op, 0);
  const values = op.operands.map((v) => {
    const value = v ? constants.get(v) : undefined;
    return value ? toNumbers(value) : v ? null : undefined;
  });
  const cuts = slicesOf(shape, values);
  return cuts !== null && [...cuts].every(([axis, cut]) => isWhole(shape[axis] ?? null, cut));
}

/** Operations that compute the same result with fewer steps, or null. */
export function shorter(op: Op, around: Around): readonly Op[] | null {
  const inner = around.producer(op.operands[0]);
  if (!inner) return null;
  if (RESHAPES.has(op.kind) && RESHAPES.has(inner.kind)) return oneReshape(op, inner, around);
  if (op.kind === "onnx.Transpose" && inner.kind === op.kind) return [oneTranspose(op, inner)];
  if (op.kind === "onnx.Cast" && inner.kind === op.kind) return oneCast(op, inner);
  return null;
}

const RESHAPES: ReadonlySet<string> = new Set(
  ["Reshape", "Squeeze", "Unsqueeze", "Flatten"].map((name) => `onnx.${name}`),
);

function oneReshape(op: Op, inner: Op, around: Around): readonly Op[] | null {
  const [y] = op.results;
  if (!y || !isStatic(y.type)) return null;
  const { shape } = y.type;
  const target: Value = {
    id: around.fresh(`${y.id}_shape`),
    type: { elem: "i64", shape: [shape.length] },
  };
  const value = fromNumbers("i64", [shape.length], shape);
  const origin = originOf(inner, op);
  // A dimension of 0 means 0 here, not "as before".
  const attrs = shape.includes(0) ? { allowzero: 1 } : {};
  return [
    { kind: "onnx.Constant", operands: [], results: [target], attrs: { value }, origin },
    { ...op, kind: "onnx.Reshape", operands: [inner.operands[0] ?? null, target], attrs, origin },
  ];
}

function oneTranspose(op: Op, inner: Op): Op {
  const first = permutation(inner);
  const perm = permutation(op).map((axis) => first[axis] ?? 0);
  const operands = [inner.operands[0] ?? null];
  return { ...op, operands, attrs: { ...op.attrs, perm }, origin: originOf(inner, op) };
}

/** Two casts are one when the first loses nothing. */
function oneCast(op: Op, inner: Op): readonly Op[] | null {
  const [x] = inner.operands;
  if (!x || !keepsValues(x.type.elem, elemOfNumber(intAttr(inner, "to")))) return null;
  return [{ ...op, operands: [x], origin: originOf(inner, op) }];
}

/** Bits of a type's exact integers, and whether it has a sign. */
const CAPACITY: Readonly<Record<Elem, { readonly bits: number; readonly signed: boolean }>> = {
  i1: { bits: 1, signed: false },
  ui4: { bits: 4, signed: false },
  ui8: { bits: 8, signed: false },
  ui16: { bits: 16, signed: false },
  ui32: { bits: 32, signed: false },
  ui64: { bits: 64, signed: false },
  i4: { bits: 3, signed: true },
  i8: { bits: 7, signed: true },
  i16: { bits: 15, signed: true },
  i32: { bits: 31, signed: true },
  i64: { bits: 63, signed: true },
  bf16: { bits: 8, signed: true },
  f16: { bits: 11, signed: true },
  f32: { bits: 24, signed: true },
  f64: { bits: 53, signed: true },
};

const WIDER_FLOATS: Readonly<Partial<Record<Elem, readonly Elem[]>>> = {
  f16: ["f16", "f32", "f64"],
  bf16: ["bf16", "f32", "f64"],
  f32: ["f32", "f64"],
  f64: ["f64"],
};

/** True when every value of one type is a value of the other. */
export function keepsValues(from: Elem, to: Elem): boolean {
  const wider = WIDER_FLOATS[from];
  if (wider) return wider.includes(to);
  if (from === to) return true;
  const [a, b] = [CAPACITY[from], CAPACITY[to]];
  return to !== "i1" && a.bits <= b.bits && (b.signed || !a.signed);
}
