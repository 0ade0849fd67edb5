import { forms, ints, of, type Row, same, x, y } from "./row.ts";

const SHAPES: readonly Row[] = [
  ...forms(
    "Reshape",
    ["f32", "i64"],
    [
      ["", [x(2, 3, 4), ints(4, 6)]],
      ["-1", [x(2, 3, 4), ints(-1, 6)]],
      ["0 copies", [x(2, 3, 4), ints(0, -1)]],
      ["to scalar", [x(1, 1), ints()]],
      ["of a scalar", [x(), ints(1, 1)]],
      ["of nothing", [x(0, 3), ints(3, 0, 2)], { allowzero: 1 }],
      ["of nothing, 0 copies", [x(0, 3), ints(0, 1, 3)]],
      ["opset 5", [x(2, 3), ints(-1)], {}, { opset: 8 }],
    ],
  ),
  ...forms(
    "Transpose",
    ["f32", "i64"],
    [
      ["", [x(2, 3, 4)], { perm: [2, 0, 1] }],
      ["without perm", [x(2, 3, 4)]],
      ["of a vector", [x(5)]],
      ["of a scalar", [x()]],
      ["of nothing", [x(2, 0, 4)], { perm: [1, 2, 0] }],
      ["of five axes", [x(1, 2, 3, 2, 1)], { perm: [4, 2, 0, 3, 1] }],
    ],
  ),
  ...forms(
    "Flatten",
    ["f32", "i64"],
    [
      ["", [x(2, 3, 4)]],
      ...[0, 1, 2, 3, -1, -3].map((axis) => [`axis ${axis}`, [x(2, 3, 4)], { axis }] as const),
      ["of a scalar", [x()], { axis: 0 }],
      ["of nothing", [x(2, 0)]],
      ["opset 8", [x(2, 3, 4)], { axis: 2 }, { opset: 8 }],
    ],
  ),
  ...forms(
    "Squeeze",
    ["f32", "i64"],
    [
      ["", [x(1, 3, 1), ints(0)]],
      ["negative", [x(1, 3, 1), ints(-1)]],
      ["all", [x(1, 3, 1)]],
      ["both", [x(1, 3, 1), ints(2, 0)]],
      ["to scalar", [x(1)]],
      ["opset 11", [x(1, 3, 1)], { axes: [-1] }, { opset: 11 }],
      ["opset 11, all", [x(1, 3, 1)], {}, { opset: 11 }],
      ["opset 1", [x(1, 3, 1)], { axes: [0] }, { opset: 8 }],
    ],
  ),
  ...forms(
    "Unsqueeze",
    ["f32", "i64"],
    [
      ["", [x(3), ints(0)]],
      ["negative", [x(3, 2), ints(-1, -4)]],
      ["out of order", [x(3, 2), ints(3, 0)]],
      ["of a scalar", [x(), ints(0)]],
      ["opset 11", [x(3)], { axes: [-1] }, { opset: 11 }],
      ["opset 1", [x(3)], { axes: [0, 2] }, { opset: 8 }],
    ],
  ),
  ...forms(
    "Expand",
    ["f32", "i64"],
    [
      ["", [x(3, 1), ints(2, 1, 4)]],
      ["keeps", [x(3, 4), ints(1)]],
      ["of a scalar", [x(), ints(2, 2)]],
      ["to nothing", [x(1, 3), ints(0, 3)]],
      ["to no axes", [x(3), ints()]],
    ],
  ),
  ...forms(
    "Shape",
    ["f32", "i64"],
    [
      ["", [x(2, 3, 4)]],
      ...(
        [
          [1, 3],
          [-2, 3],
          [0, -1],
          [-9, 9],
          [2, 1],
        ] as const
      ).map(([start, end]) => [`${start} to ${end}`, [x(2, 3, 4)], { start, end }] as const),
      ["of a scalar", [x()]],
      ["opset 13", [x(2, 0)], {}, { opset: 13 }],
    ],
  ),
  ...forms(
    "Size",
    ["f32", "i64"],
    [
      ["", [x(2, 3)]],
      ["of nothing", [x(2, 0)]],
      ["of a scalar", [x()]],
    ],
  ),
];

const PARTS: readonly Row[] = [
  ...forms(
    "Concat",
    ["f32", "i64"],
    [
      ["", [x(2, 3), y(2, 3)], { axis: 0 }],
      ["last", [x(2, 3), y(2, 1), x(2, 2)], { axis: -1 }],
      ["one", [x(2, 3)], { axis: 1 }],
      ["with nothing", [x(2, 3), y(2, 0)], { axis: 1 }],
      ["middle", [x(2, 1, 3), y(2, 2, 3)], { axis: 1 }],
      ["opset 8", [x(2, 3), y(2, 3)], { axis: 1 }, { opset: 8 }],
    ],
  ),
  ...forms(
    "Split",
    ["f32", "i64"],
    [
      ["", [x(6, 2)], { num_outputs: 3 }, { results: 3 }],
      ["uneven", [x(7, 2)], { num_outputs: 3 }, { results: 3 }],
      ["sizes", [x(2, 6), ints(1, 0, 5)], { axis: -1 }, { results: 3 }],
      ["of one", [x(2, 6), ints(6)], { axis: 1 }],
      ["opset 13", [x(2, 6)], { axis: 1 }, { opset: 13, results: 2 }],
      ["opset 13, sizes", [x(2, 6), ints(4, 2)], { axis: 1 }, { opset: 13, results: 2 }],
      ["opset 11", [x(2, 6)], { axis: -1, split: [1, 5] }, { opset: 11, results: 2 }],
      ["opset 2", [x(6, 2)], {}, { opset: 8, results: 2 }],
    ],
  ),
  ...forms(
    "Slice",
    ["f32", "i64"],
    [
      ["", [x(4, 5), ints(1), ints(3)]],
      ["axes", [x(4, 5), ints(1, 0), ints(3, 9), ints(1, 0)]],
      ["negative axes", [x(4, 5), ints(1), ints(4), ints(-1)]],
      ["steps", [x(4, 9), ints(0, 1), ints(4, 9), ints(0, 1), ints(2, 3)]],
      ["backwards", [x(4, 5), ints(-1), ints(-9), ints(1), ints(-1)]],
      ["backwards in steps", [x(9), ints(7), ints(1), ints(0), ints(-3)]],
      ["backwards past the start", [x(4), ints(9), ints(-99), ints(0), ints(-2)]],
      ["nothing", [x(4, 5), ints(3), ints(1), ints(0)]],
      ["beyond", [x(4), ints(9), ints(12)]],
      ["of nothing", [x(0, 3), ints(0), ints(5)]],
      ["backwards of nothing", [x(0, 3), ints(-1), ints(-9), ints(0), ints(-1)]],
      ["to the far end", [x(4), ints(1), of("i64", [1], 2 ** 53)]],
      ["i32", [x(4, 5), of("i32", [1], 1), of("i32", [1], 2 ** 31 - 1), of("i32", [1], 1)]],
      ["fed, absent axes", [x(4, 5), ints(1, 1), ints(3, 3), null, ints(1, 2)]],
      ["opset 10", [x(4, 5), ints(1), ints(3), ints(1)], {}, { opset: 10 }],
      ["opset 1", [x(4, 5)], { starts: [1, -2], ends: [9, 5], axes: [0, 1] }, { opset: 8 }],
      ["opset 1, without axes", [x(4, 5)], { starts: [1], ends: [-1] }, { opset: 8 }],
    ],
  ),
  ...forms(
    "Pad",
    ["f32", "i64"],
    [
      ["", [x(2, 3), ints(1, 0, 0, 2)]],
      ["value", [x(2, 3), ints(1, 0, 0, 2), same([], 7)]],
      ...["edge", "reflect", "wrap"].map(
        (mode) => [mode, [x(3, 4), ints(1, 2, 2, 1)], { mode }] as const,
      ),
      ["axes", [x(2, 3), ints(1, 2), same([], 1), ints(-1)]],
      ["crops", [x(4, 5), ints(-1, 0, 0, -2)]],
      ["crops and adds", [x(4, 5), ints(-1, 2, 1, -2), same([], 3)]],
      ["nothing", [x(2, 3), ints(0, 0, 0, 0)]],
      ["of nothing", [x(0, 3), ints(1, 0, 1, 0), same([], 5)]],
      ["crops, edge", [x(4, 5), ints(-1, 2, 1, -2)], { mode: "edge" }],
      ["crops, reflect", [x(4, 5), ints(-1, 2, 1, -2)], { mode: "reflect" }],
      ["opset 11", [x(2, 3), ints(0, 1, 1, 0), same([], 2)], {}, { opset: 11 }],
      [
        "opset 2",
        [x(2, 3)],
        { pads: [0, 1, 1, 0], "value:f": 1.5 },
        { opset: 8, elems: ["f32", "f64"] },
      ],
      [
        "opset 2, reflect",
        [x(3, 3)],
        { pads: [0, 1, 1, 0], mode: "reflect" },
        { opset: 8, elems: ["f32"] },
      ],
    ],
  ),
  ...forms(
    "Tile",
    ["f32", "i64"],
    [
      ["", [x(2, 3), ints(2, 1)]],
      ["both", [x(2, 3), ints(2, 3)]],
      ["by 0", [x(2, 3), ints(0, 1)]],
      ["of nothing", [x(0, 3), ints(2, 2)]],
      ["of a scalar", [x(), ints()]],
      ["opset 6", [x(2, 3), ints(1, 2)], {}, { opset: 8 }],
    ],
  ),
];

export const LAYOUT_ROWS: readonly Row[] = [...SHAPES, ...PARTS];
