/** Operators that make tensors, from shapes and out of others. */

import { fromNumbers } from "../../../src/tensor/convert.ts";
import { constant, forms, ints, of, type Row, same, typed, values, x, y } from "./row.ts";

const i64 = (...list: number[]) => of("i64", [], ...list);
const MADE: readonly Row[] = [
  ...forms(
    "Range",
    ["f32", "i64"],
    [
      [
        "",
        [values([], 1), values([], 10), values([], 3)],
        {},
        { elems: ["f32", "f64", "i16", "i32", "i64"] },
      ],
      [
        "down",
        [values([], 10), values([], 1), values([], -3)],
        {},
        { elems: ["f32", "f64", "i16", "i32", "i64"] },
      ],
      ["nothing", [same([], 1), same([], 1), same([], 1)]],
      ["the wrong way", [same([], 1), same([], 9), same([], -1)]],
      ["fractions", [same([], 0), same([], 1), same([], 0.1)], {}, { elems: ["f32", "f64"] }],
      [
        "fractions down",
        [same([], 1), same([], -1), same([], -0.3)],
        {},
        { elems: ["f32", "f64"] },
      ],
    ],
  ),
  ...forms(
    "ConstantOfShape",
    ["f32", "i64"],
    [
      ["", [ints(2, 3)], {}, { elems: ["f32"] }],
      ...(
        [
          "f32",
          "f16",
          "f64",
          "i8",
          "i16",
          "i32",
          "i64",
          "ui8",
          "ui16",
          "ui32",
          "ui64",
          "i1",
        ] as const
      ).map(
        (elem) =>
          [
            elem,
            [ints(2, 0 + 2)],
            { value: fromNumbers(elem, [1], [1]) },
            { elems: ["f32"] },
          ] as const,
      ),
      ["to a scalar", [ints()], { value: fromNumbers("i64", [1], [5]) }, { elems: ["f32"] }],
      ["to nothing", [ints(0, 3)], {}, { elems: ["f32"] }],
    ],
  ),
  ...forms(
    "EyeLike",
    ["f32", "i64"],
    [
      ["", [x(3, 3)]],
      ...[-4, -1, 1, 4].map((k) => [`k ${k}`, [x(3, 4)], { k }] as const),
      ["dtype", [x(2, 3)], { dtype: 7 }],
      ["dtype and k", [x(4, 3)], { dtype: 11, k: 1 }],
    ],
  ),
  ...forms(
    "OneHot",
    ["f32", "i64"],
    [
      ["", [typed("i64", values([2, 2], 0, 2, 1, -1)), i64(3), of("f32", [2], 0, 1)]],
      ...[0, 1, -1, -2].map(
        (axis) =>
          [
            `axis ${axis}`,
            [typed("i64", values([2], 0, 2)), i64(3), of("f32", [2], 5, 7)],
            { axis },
          ] as const,
      ),
      [
        "out of range",
        [typed("i64", values([4], 3, -3, -4, 9)), i64(3), of("i64", [2], 0, 1)],
        {},
        { elems: ["f32"] },
      ],
      [
        "indices f32",
        [typed("f32", values([2], 0, 2)), of("f32", [], 3), of("f32", [2], 0, 1)],
        {},
        { elems: ["f32"] },
      ],
      [
        "indices i32",
        [typed("i32", values([2], 0, 2)), of("i32", [1], 3), of("f32", [2], 0, 1)],
        {},
        { elems: ["f32"] },
      ],
      [
        "opset 9",
        [typed("i64", values([2], 0, 2)), i64(3), of("f32", [2], 0, 1)],
        {},
        { opset: 9, elems: ["f32"] },
      ],
      ["of nothing", [typed("i64", x(0)), i64(3), of("f32", [2], 0, 1)], {}, { elems: ["f32"] }],
    ],
  ),
  ...forms(
    "Trilu",
    ["f32", "i64"],
    [
      ["", [x(3, 4)]],
      ["lower", [x(3, 4)], { upper: 0 }],
      ...[-9, -2, -1, 1, 2, 9].flatMap((k) =>
        [0, 1].map((upper) => [`k ${k} upper ${upper}`, [x(2, 3, 4), i64(k)], { upper }] as const),
      ),
      ["of nothing", [x(0, 3)]],
      ["of no columns", [x(3, 0)]],
    ],
  ),
  ...forms(
    "NonZero",
    ["f32", "i64"],
    [
      ["", [values([2, 3], 0, 1, 0, 2, 3, 0)]],
      ["of a vector", [values([3], 0, 1, 0)]],
      ["of a scalar", [values([], 5)]],
      ["of zero", [values([], 0)]],
      ["of nothing", [x(0, 3)]],
      ["NaN and -0", [values([3], Number.NaN, -0, 1)], {}, { elems: ["f32"] }],
    ],
  ),
  ...forms(
    "Identity",
    ["f32", "i64"],
    [
      ["", [x(2, 3)]],
      ["opset 1", [x(2, 3)], {}, { opset: 8 }],
    ],
  ),
  ...forms(
    "Dropout",
    ["f32", "i64"],
    [
      ["", [x(2, 3)], {}, { elems: ["f32", "f64", "f16"] }],
      ["with a mask", [x(2, 3)], {}, { elems: ["f32"], results: 2 }],
      ["ratio", [x(2, 3), of("f32", [], 0.5)], {}, { elems: ["f32"], results: 2 }],
      [
        "not training",
        [x(2, 3), of("f32", [], 0.5), of("i1", [], 0)],
        {},
        { elems: ["f32"], results: 2 },
      ],
      ["opset 12", [x(2, 3)], {}, { elems: ["f32"], opset: 12, results: 2 }],
      ["opset 10", [x(2, 3)], { "ratio:f": 0.3 }, { elems: ["f32"], opset: 10 }],
      ["opset 7", [x(2, 3)], { "ratio:f": 0.3 }, { elems: ["f32"], opset: 8 }],
    ],
  ),
];

const REARRANGED: readonly Row[] = [
  ...forms(
    "DepthToSpace",
    ["f32", "i64"],
    [
      ["", [x(1, 8, 2, 3)], { blocksize: 2 }],
      ["CRD", [x(2, 8, 2, 3)], { blocksize: 2, mode: "CRD" }],
      ["opset 8", [x(1, 4, 2, 3)], { blocksize: 2 }, { opset: 8 }],
    ],
  ),
  ...forms("SpaceToDepth", ["f32", "i64"], [["", [x(1, 2, 4, 6)], { blocksize: 2 }]]),
  ...forms(
    "ReverseSequence",
    ["f32", "i64"],
    [
      ["", [x(4, 3), ints(2, 4, 1)]],
      ["batch first", [x(3, 4, 2), ints(2, 4, 1)], { batch_axis: 0, time_axis: 1 }],
      ["of none", [x(4, 3), ints(0, 1, 4)]],
    ],
  ),
  ...forms(
    "Compress",
    ["f32", "i64"],
    [
      ["", [x(2, 3), of("i1", [3], 1, 0, 1)], { axis: 1 }],
      ["of all", [x(2, 3), of("i1", [5], 0, 1, 0, 1, 1)]],
      ["long", [x(2, 3), of("i1", [4], 1, 0, 1, 1)], { axis: 1 }],
      ["short", [x(4, 3), of("i1", [2], 0, 1)], { axis: 0 }],
      ["negative", [x(2, 3), of("i1", [3], 0, 1, 1)], { axis: -1 }],
      ["of none", [x(2, 3), of("i1", [3], 0, 0, 0)], { axis: -1 }],
      ["fed", [x(2, 3), typed("i1", values([3], 1, 0, 1))], { axis: 1 }],
    ],
  ),
  ...forms(
    "Unique",
    ["f32", "i64"],
    [
      ["", [values([6], 2, 1, 1, 3, 4, 3)], {}, { results: 4 }],
      ["unsorted", [values([6], 2, 1, 1, 3, 4, 3)], { sorted: 0 }, { results: 4 }],
      ["axis", [values([3, 2], 1, 0, 1, 0, 2, 3)], { axis: 0 }, { results: 4 }],
      ["negative axis", [values([2, 3], 1, 1, 0, 2, 2, 3)], { axis: -1 }, { results: 4 }],
      ["y alone", [values([4], 1, 1, 0, 2)]],
    ],
  ),
  {
    op: "TensorScatter",
    form: "",
    opset: 24,
    inputs: [x(2, 3, 4, 2), y(2, 3, 1, 2), constant(typed("i64", values([2], 1, 3)))],
    elems: ["f32", "f16"],
  },
  {
    op: "TensorScatter",
    form: "circular",
    opset: 24,
    attrs: { mode: "circular" },
    inputs: [x(2, 4, 2), y(2, 2, 2), typed("i64", values([2], 1, 3))],
    elems: ["f32"],
  },
  {
    op: "TensorScatter",
    form: "axis",
    opset: 24,
    attrs: { axis: 1 },
    inputs: [x(2, 4, 2, 2), y(2, 2, 2, 2)],
    elems: ["f32"],
  },
];

export const MADE_ROWS: readonly Row[] = [...MADE, ...REARRANGED];
