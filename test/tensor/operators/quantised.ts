/** Quantised tensors, and products of them. */

import { constant, forms, type Operand, of, type Row, same, typed, values, x, y } from "./row.ts";

const u8 = (...shape: number[]): Operand => typed("ui8", x(...shape));
const i8 = (...shape: number[]): Operand => typed("i8", y(...shape));
const f32 = (v: number): Operand => of("f32", [], v);

const QUANTISED: readonly Row[] = [
  ...forms(
    "MatMulInteger",
    ["f32", "i32"],
    [
      ["u8 u8", [u8(2, 3), u8(3, 4)]],
      ["u8 i8", [u8(2, 3), i8(3, 4), of("ui8", [], 12), of("i8", [], -3)]],
      ["zero per column", [u8(2, 3), i8(3, 4), of("ui8", [], 3), of("i8", [4], 1, -2, 3, 0)]],
      ["stack", [u8(2, 2, 3), u8(3, 2), of("ui8", [], 7)]],
      ["i8 i8", [i8(2, 3), i8(3, 4)]],
    ],
  ).map((r) => ({ ...r, elems: ["f32"] as const })),
  ...forms(
    "QLinearMatMul",
    ["f32", "i32"],
    [
      [
        "u8",
        [
          u8(2, 3),
          f32(0.1),
          of("ui8", [], 3),
          u8(3, 4),
          f32(0.05),
          of("ui8", [], 7),
          f32(0.2),
          of("ui8", [], 100),
        ],
      ],
      [
        "i8",
        [
          i8(2, 3),
          f32(0.1),
          of("i8", [], 3),
          i8(3, 4),
          f32(0.05),
          of("i8", [], -7),
          f32(0.02),
          of("i8", [], -10),
        ],
      ],
      [
        "mixed",
        [
          u8(2, 3),
          f32(0.1),
          of("ui8", [], 3),
          i8(3, 4),
          f32(0.05),
          of("i8", [], 0),
          f32(0.02),
          of("ui8", [], 10),
        ],
      ],
      [
        "per column",
        [
          u8(2, 3),
          f32(0.1),
          of("ui8", [], 3),
          i8(3, 2),
          of("f32", [2], 0.05, 0.2),
          of("i8", [2], 0, 1),
          f32(0.05),
          of("ui8", [], 10),
        ],
      ],
    ],
  ).map((r) => ({ ...r, elems: ["f32"] as const })),
  ...forms(
    "ConvInteger",
    ["f32", "i32"],
    [
      ["", [u8(1, 2, 4, 4), u8(3, 2, 2, 2)]],
      [
        "zero points and pads",
        [u8(1, 2, 4, 4), u8(2, 2, 3, 3), of("ui8", [], 5), of("ui8", [], 2)],
        { pads: [1, 1, 1, 1] },
      ],
      ["groups", [u8(1, 2, 4, 4), u8(2, 1, 2, 2), of("ui8", [], 5)], { group: 2, strides: [2, 2] }],
    ],
  ).map((r) => ({ ...r, elems: ["f32"] as const })),
  ...forms(
    "QLinearConv",
    ["f32", "i32"],
    [
      [
        "",
        [
          u8(1, 2, 4, 4),
          f32(0.1),
          of("ui8", [], 3),
          constant(u8(3, 2, 2, 2)),
          f32(0.05),
          of("ui8", [], 7),
          f32(0.5),
          of("ui8", [], 100),
        ],
      ],
      [
        "bias",
        [
          u8(1, 2, 4, 4),
          f32(0.1),
          of("ui8", [], 3),
          constant(u8(3, 2, 2, 2)),
          f32(0.05),
          of("ui8", [], 7),
          f32(0.5),
          of("ui8", [], 100),
          of("i32", [3], 100, -50, 2000),
        ],
        { pads: [1, 0, 0, 1] },
      ],
      [
        "per channel",
        [
          u8(1, 2, 4, 4),
          f32(0.1),
          of("ui8", [], 3),
          constant(i8(3, 2, 2, 2)),
          of("f32", [3], 0.05, 0.1, 0.02),
          of("i8", [3], 0, 0, 0),
          f32(0.5),
          of("ui8", [], 100),
        ],
      ],
    ],
  ).map((r) => ({ ...r, elems: ["f32"] as const })),
];

const HALVES = values([2, 6], 0.5, 1.5, 2.5, -0.5, -1.5, 1000, -1000, 3.2, 0, 0.49, 127.5, -128.5);
const linear: readonly Row[] = [
  ...(["ui8", "i8", "ui16", "i16"] as const).flatMap((elem): Row[] => [
    {
      op: "QuantizeLinear",
      form: elem,
      inputs: [HALVES, same([], 1), of(elem, [], 3)],
      elems: ["f32", "f16"],
    },
    {
      op: "QuantizeLinear",
      form: `${elem} per axis`,
      attrs: { axis: 1 },
      inputs: [x(2, 3), same([3], 0.5, 0.25, 2), of(elem, [3], 0, 1, 2)],
      elems: ["f32", "f16"],
    },
    {
      op: "DequantizeLinear",
      form: elem,
      inputs: [typed(elem, x(2, 6)), same([], 0.25), of(elem, [], 3)],
      elems: ["f32", "f16"],
    },
    {
      op: "DequantizeLinear",
      form: `${elem} per axis`,
      attrs: { axis: -1 },
      inputs: [typed(elem, x(2, 3)), same([3], 0.5, 0.25, 2), of(elem, [3], 0, 1, 2)],
      elems: ["f32", "f16"],
    },
    {
      op: "DequantizeLinear",
      form: `${elem} blocks`,
      attrs: { axis: 1, block_size: 2 },
      inputs: [typed(elem, x(2, 4)), same([2, 2], 0.5, 0.25, 2, 1), of(elem, [2, 2], 0, 1, 2, 3)],
      elems: ["f32", "f16"],
    },
    {
      op: "QuantizeLinear",
      form: `${elem} blocks`,
      attrs: { axis: 0, block_size: 2 },
      inputs: [x(4, 2), same([2, 2], 0.5, 0.25, 2, 1), of(elem, [2, 2], 0, 1, 2, 3)],
      elems: ["f32", "f16"],
    },
  ]),
  {
    op: "QuantizeLinear",
    form: "without zero point",
    inputs: [HALVES, same([], 0.5)],
    elems: ["f32", "f16"],
  },
  {
    op: "QuantizeLinear",
    form: "output_dtype",
    attrs: { output_dtype: 3 },
    inputs: [HALVES, same([], 0.5)],
    elems: ["f32"],
  },
  {
    op: "QuantizeLinear",
    form: "opset 10",
    opset: 10,
    inputs: [HALVES, same([], 0.5), of("ui8", [], 128)],
    elems: ["f32"],
  },
  {
    op: "QuantizeLinear",
    form: "odd",
    inputs: [values([3], Infinity, -Infinity, 1e20), same([], 0.5), of("i8", [], 0)],
    elems: ["f32"],
  },
  {
    op: "DequantizeLinear",
    form: "i32",
    inputs: [typed("i32", x(2, 3)), same([], 0.25)],
    elems: ["f32", "f16"],
  },
  {
    op: "DequantizeLinear",
    form: "opset 10",
    opset: 10,
    inputs: [typed("ui8", x(2, 3)), same([], 0.25), of("ui8", [], 7)],
    elems: ["f32"],
  },
  { op: "DynamicQuantizeLinear", form: "", inputs: [x(2, 5)], results: 3, elems: ["f32"] },
  {
    op: "DynamicQuantizeLinear",
    form: "positive",
    inputs: [values([4], 1, 2, 3, 4)],
    results: 3,
    elems: ["f32"],
  },
  {
    op: "DynamicQuantizeLinear",
    form: "negative",
    inputs: [values([4], -1, -2, -3, -4)],
    results: 3,
    elems: ["f32"],
  },
  {
    op: "DynamicQuantizeLinear",
    form: "zero",
    inputs: [values([4], 0, 0, 0, 0)],
    results: 3,
    elems: ["f32"],
  },
];

export const QUANTISED_ROWS: readonly Row[] = [...QUANTISED, ...linear];
