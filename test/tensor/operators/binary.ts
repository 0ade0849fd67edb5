/** Operators of two and more operands, element by element. */

import { fromNumbers } from "../../../src/tensor/convert.ts";
import {
  bits,
  constant,
  divisor,
  FLOATS,
  INTEGERS,
  type Operand,
  type Row,
  SIGNED,
  same,
  typed,
  values,
  x,
  y,
} from "./row.ts";

/** Shapes of the operands. */
const PAIRS: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ["", [2, 5], [2, 5]],
  ["with a scalar", [2, 5], []],
  ["with a scalar first", [], [2, 5]],
  ["of scalars", [], []],
  ["of ranks", [3, 1, 2], [4, 1]],
  ["both ways", [2, 1, 3], [1, 4, 1]],
  ["of nothing", [2, 0, 3], [1, 3]],
  ["of nothing by one", [0], [1]],
];

type Second = (...shape: number[]) => Operand;

const pairs = (op: string, second: Second = y, more: Partial<Row> = {}): Row[] =>
  PAIRS.map(([form, a, b]) => {
    // Types do not matter to how shapes go together, so the plain pair alone is for all of them.
    const elems: Pick<Row, "elems"> = form === "" ? {} : { elems: ["f32", "i64", "ui8", "i1"] };
    return { op, form, inputs: [x(...a), second(...b)], ...elems, ...more };
  });

const odd = [0, -0, Number.NaN, Infinity, -Infinity, 1, -2.5];
/** Every pair of odd values. */
const strange = (op: string, more: Partial<Row> = {}): Row => ({
  op,
  form: "of odd values",
  inputs: [values([7, 1], ...odd), values([1, 7], ...odd)],
  elems: ["f32", "f64", "f16"],
  ...more,
});

const LEAST = -(2n ** 63n);
const edges = (op: string, ...second: readonly bigint[]): Row => ({
  op,
  form: "at the ends of i64",
  inputs: [
    bits({
      elem: "i64",
      shape: [4],
      data: BigInt64Array.of(LEAST, LEAST, 2n ** 63n - 1n, 2n ** 53n + 1n),
    }),
    bits({ elem: "i64", shape: [4], data: BigInt64Array.from(second) }),
  ],
  elems: ["i64"],
});
const narrow = (op: string, a: readonly number[], b: readonly number[]): Row => ({
  op,
  form: "beyond the range",
  inputs: [values([a.length], ...a), values([b.length], ...b)],
  elems: ["i8", "i16", "i32", "ui8", "ui16", "ui32"],
});

const ARITHMETIC: readonly Row[] = [
  ...["Add", "Sub", "Mul"].flatMap((op) => [
    ...pairs(op),
    strange(op),
    edges(op, 1n, -1n, 2n, 3n),
    narrow(op, [100, 127, 100], [100, 127, 3]),
    narrow(op, [2000000000, 32767, 60000], [2000000000, 32767, 3]),
    {
      op,
      form: "overflows f16",
      inputs: [values([2], 60000, 6e-8), values([2], 60000, 6e-8)],
      elems: ["f16"] as const,
    },
  ]),
  ...pairs("Div", divisor),
  strange("Div"),
  edges("Div", 3n, -2n, -5n, 2n),
  ...pairs("Mod", divisor, { elems: INTEGERS }),
  ...pairs("Mod", divisor, { attrs: { fmod: 1 } }),
  {
    op: "Mod",
    form: "signs",
    inputs: [values([4], 7, -7, 7, -7), values([4], 3, 3, -3, -3)],
    elems: SIGNED,
  },
  {
    op: "Mod",
    form: "signs, fmod",
    attrs: { fmod: 1 },
    inputs: [values([4], 7, -7, 7, -7), values([4], 3, 3, -3, -3)],
    elems: [...SIGNED, ...FLOATS],
  },
  {
    op: "Mod",
    form: "of fractions",
    attrs: { fmod: 1 },
    inputs: [values([4], -4.3, 7.2, 5, 4.3), values([4], 2.1, -3.4, 8, -2.1)],
    elems: ["f32", "f64", "f16"],
  },
  ...["Max", "Min", "Sum", "Mean"].flatMap((op): Row[] => [
    ...pairs(op),
    { op, form: "of one", inputs: [x(2, 3)] },
    { op, form: "of three", inputs: [x(2, 1, 3), y(4, 1), x()] },
    strange(op),
  ]),
];

/** By 0, where C++ and so ONNX Runtime end the process; 0 keeps a run going where a mask drops the value. */
const BY_ZERO: readonly Row[] = ["Div", "Mod"].map((op) => ({
  op,
  form: "by 0 (undefined)",
  inputs: [values([3], 5, 0, 7), values([3], 0, 0, 7)],
  elems: INTEGERS,
  expected: (elem) => [fromNumbers(elem, [3], op === "Div" ? [0, 0, 1] : [0, 0, 0])],
}));

/** The least integer by -1, whose quotient is one beyond the largest: it wraps. */
const LEAST_BY_MINUS_ONE: readonly Row[] = (["i8", "i16", "i32", "i64"] as const).map((elem) => {
  const lowest = { i8: -128, i16: -32768, i32: -(2 ** 31), i64: -(2 ** 63) }[elem];
  return {
    op: "Div",
    form: "the least by -1 (undefined)",
    inputs: [values([1], lowest), values([1], -1)],
    elems: [elem],
    expected: () => [fromNumbers(elem, [1], [lowest])],
  };
});

const powers = (base: Row["elems"], exponent: "f32" | "f64" | "i32" | "i64"): Row[] => [
  {
    op: "Pow",
    form: `to ${exponent}`,
    inputs: [values([6], 0, 1, 2, 3, -2, -3), typed(exponent, values([4, 1], 0, 1, 2, 3))],
    ...(base && { elems: base }),
  },
  {
    op: "Pow",
    form: `to negative ${exponent}`,
    inputs: [values([4], 1, 2, 3, -2), typed(exponent, values([], -2))],
    elems: ["f32", "f64"],
  },
];
const POWERS: readonly Row[] = [
  ...(["f32", "f64", "i32", "i64"] as const).flatMap((e) =>
    powers(["f32", "f64", "i32", "i64", "f16"], e),
  ),
  strange("Pow"),
  { op: "Pow", form: "of nothing", inputs: [x(0, 2), typed("f32", values([], 2))] },
  {
    op: "Pow",
    form: "fractions",
    inputs: [values([3], 2, 9, 0), typed("f32", values([], 0.5))],
    elems: ["f32", "f64", "i32", "i64"],
  },
];

const LOGIC: readonly Row[] = [
  ...["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"].flatMap((op) => [
    ...pairs(op),
    ...pairs(op, x),
    strange(op),
    edges(op, LEAST + 1n, LEAST, 2n ** 63n - 2n, 2n ** 53n),
  ]),
  ...["And", "Or", "Xor"].flatMap((op) => pairs(op)),
  ...["BitwiseAnd", "BitwiseOr", "BitwiseXor"].flatMap((op) => pairs(op)),
  { op: "BitwiseNot", form: "", inputs: [x(2, 5)] },
  { op: "BitwiseNot", form: "of nothing", inputs: [x(0, 5)] },
  ...["LEFT", "RIGHT"].flatMap((direction) => [
    {
      op: "BitShift",
      form: direction,
      attrs: { direction },
      inputs: [x(2, 5), values([5], 0, 1, 3, 7, 2)],
    },
    {
      op: "BitShift",
      form: `${direction} of a scalar`,
      attrs: { direction },
      inputs: [values([], 200), values([3], 1, 2, 3)],
    },
  ]),
  ...[
    [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    [[2, 1, 3], [4, 1], [3]],
    [[], [2, 3], [3]],
    [[2, 3], [], []],
    [[], [], []],
    [
      [2, 0],
      [1, 1],
      [2, 1],
    ],
  ].map(
    ([c = [], a = [], b = []], i): Row => ({
      op: "Where",
      form: `${i}`,
      inputs: [typed("i1", x(...c)), x(...a), y(...b)],
    }),
  ),
  {
    op: "Where",
    form: "of NaN",
    inputs: [
      typed("i1", values([2], 1, 0)),
      values([2], Number.NaN, 1),
      values([2], 1, Number.NaN),
    ],
    elems: ["f32", "f16", "f64"],
  },
];

const CLIP: readonly Row[] = [
  { op: "Clip", form: "both", inputs: [x(2, 5), same([], -1), same([], 2)] },
  { op: "Clip", form: "fed bounds", inputs: [x(2, 5), values([], 1), values([], 2)] },
  { op: "Clip", form: "min", inputs: [x(2, 5), same([], 1)] },
  { op: "Clip", form: "max", inputs: [x(2, 5), null, same([], 1)] },
  { op: "Clip", form: "neither", inputs: [x(2, 5)] },
  { op: "Clip", form: "crossed", inputs: [x(2, 5), same([], 5), same([], 2)] },
  { op: "Clip", form: "of nothing", inputs: [x(0, 5), same([], 0), same([], 2)] },
  {
    op: "Clip",
    form: "odd",
    inputs: [values([7], ...odd), same([], -1), same([], 2)],
    elems: ["f32", "f64", "f16"],
  },
  {
    op: "Clip",
    form: "NaN bound",
    inputs: [values([3], 0, 5, -5), same([], Number.NaN), same([], 2)],
    elems: ["f32", "f64"],
  },
  {
    op: "Clip",
    form: "attributes",
    opset: 6,
    attrs: { "min:f": -1, "max:f": 1.5 },
    inputs: [x(2, 5)],
  },
  { op: "Clip", form: "one attribute", opset: 6, attrs: { "max:f": 0.5 }, inputs: [x(2, 5)] },
  { op: "Clip", form: "no attribute", opset: 6, inputs: [x(2, 5)] },
  { op: "Clip", form: "operands", opset: 11, inputs: [x(2, 5), same([], 0), same([], 1)] },
];

const PRELU: readonly Row[] = [
  { op: "PRelu", form: "", inputs: [x(2, 3, 4), y(2, 3, 4)] },
  { op: "PRelu", form: "channels", inputs: [x(2, 3, 4), y(3, 1)] },
  { op: "PRelu", form: "one", inputs: [x(2, 3, 4), y(1)] },
  { op: "PRelu", form: "scalar", inputs: [x(2, 3, 4), y()] },
  { op: "PRelu", form: "opset 7", opset: 7, inputs: [x(2, 3, 4), y(3, 1)] },
  { op: "PRelu", form: "opset 9", opset: 9, inputs: [x(2, 3, 4), constant(y(4))] },
];

export const BINARY_ROWS: readonly Row[] = [
  ...BY_ZERO,
  ...LEAST_BY_MINUS_ONE,
  ...ARITHMETIC,
  ...POWERS,
  ...LOGIC,
  ...CLIP,
  ...PRELU,
];
