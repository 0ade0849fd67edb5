/** Operators that read and write at indices. */

import { forms, ints, type Operand, type Row, typed, values, x, y } from "./row.ts";

const SOME = ["f32", "i64", "f16", "i1"] as const;

const at = (shape: readonly number[], ...list: number[]): Operand =>
  typed("i64", values(shape, ...list));
const at32 = (shape: readonly number[], ...list: number[]): Operand =>
  typed("i32", values(shape, ...list));

const REDUCTIONS = ["add", "mul", "max", "min"];

export const GATHER_ROWS: readonly Row[] = [
  ...forms("Gather", SOME, [
    ["", [x(4, 3), at([2], 0, 3)]],
    ["negative", [x(4, 3), at([3], -1, -4, 1)], { axis: 0 }],
    ["last axis", [x(4, 3), at([2, 2], 0, 2, 1, -1)], { axis: -1 }],
    ["scalar index", [x(4, 3), at([], 2)], { axis: 1 }],
    ["i32", [x(4, 3), at32([2], 1, 0)]],
    ["no index", [x(4, 3), at([0])]],
    ["of empty rows", [x(4, 0), at([2], 1, 0)]],
    ["constant index", [x(2, 4, 3), ints(1, 3)], { axis: 1 }],
    ["opset 8", [x(4, 3), at([2], 0, 3)], { axis: 1 - 1 }, { opset: 8 }],
  ]),
  ...forms("GatherElements", SOME, [
    ["", [x(2, 3), at([2, 3], 0, 1, 1, 1, 0, 0)]],
    ["last axis", [x(2, 3), at([2, 2], 0, 2, -1, -3)], { axis: -1 }],
    ["fewer", [x(3, 4), at([1, 2], 2, 0)], { axis: 0 }],
    ["more", [x(2, 3), at([2, 5], 0, 1, 2, 1, 0, 2, 2, 0, 0, 1)], { axis: 1 }],
    ["i32", [x(2, 3), at32([1, 3], 1, 0, 1)]],
    ["none", [x(2, 3), at([0, 3])]],
    ["three axes", [x(2, 3, 2), at([2, 1, 2], 0, 2, 1, 1)], { axis: 1 }],
  ]),
  ...forms("GatherND", SOME, [
    ["", [x(2, 3), at([2, 2], 0, 2, 1, 0)]],
    ["rows", [x(3, 4), at([2, 1], 2, -1)]],
    ["batches", [x(2, 3, 4), at([2, 1], 1, 2)], { batch_dims: 1 }],
    ["batches of tuples", [x(2, 3, 4), at([2, 2, 1], 1, 2, 0, -1)], { batch_dims: 1 }],
    ["two batch axes", [x(2, 2, 3), at([2, 2, 1], 1, 2, 0, -1)], { batch_dims: 2 }],
    ["none", [x(2, 3), at([0, 1])]],
    ["opset 11", [x(2, 3), at([1, 2], 0, 2)], {}, { opset: 11 }],
  ]),
  ...forms("ScatterElements", SOME, [
    ["", [x(3, 3), at([2, 3], 1, 0, 2, 0, 2, 1), y(2, 3)]],
    ["last axis", [x(2, 4), at([2, 2], 1, -1, 0, 2), y(2, 2)], { axis: -1 }],
    ["none", [x(2, 4), at([0, 4]), y(0, 4)]],
    ["i32", [x(3, 3), at32([1, 3], 1, 0, 2), y(1, 3)]],
    ["opset 11", [x(3, 3), at([1, 3], 1, 0, 2), y(1, 3)], {}, { opset: 11 }],
    ...REDUCTIONS.flatMap((reduction) => [
      [reduction, [x(3, 3), at([2, 3], 1, 0, 2, 1, 0, 1), y(2, 3)], { reduction }] as const,
      [
        `${reduction} of all types`,
        [x(2, 3), at([2, 3], 1, 0, 1, 1, 0, 1), y(2, 3)],
        { reduction },
        { elems: ["f32", "f64", "f16", "i8", "i16", "i32", "i64", "ui8", "ui16", "ui32", "ui64"] },
      ] as const,
    ]),
  ]),
  {
    op: "Scatter",
    form: "opset 9",
    opset: 9,
    attrs: { axis: 1 },
    inputs: [x(2, 4), at([2, 1], 1, 3), y(2, 1)],
    elems: ["f32", "i64"],
  },
  ...forms("ScatterND", SOME, [
    ["", [x(3, 3), at([2, 2], 1, 0, 2, 2), y(2)]],
    ["rows", [x(4, 3), at([2, 1], 1, -1), y(2, 3)]],
    ["all", [x(2, 3), at([1, 0]), y(1, 2, 3)]],
    ["none", [x(2, 3), at([0, 1]), y(0, 3)]],
    ["opset 11", [x(4, 3), at([2, 1], 1, 3), y(2, 3)], {}, { opset: 11 }],
    ...REDUCTIONS.map(
      (reduction) => [reduction, [x(4, 3), at([3, 1], 1, 3, 1), y(3, 3)], { reduction }] as const,
    ),
  ]),
];
