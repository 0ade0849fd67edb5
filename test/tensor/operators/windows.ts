/** Convolutions, pooling, normalisation and resizing. */

import {
  type Attributes,
  constant,
  forms,
  magnitudes,
  type Operand,
  type Row,
  same,
  x,
  y,
} from "./row.ts";

const w = (...shape: number[]): Operand => constant(y(...shape));
const b = (n: number): Operand => constant(x(n));

const CONVOLUTIONS: readonly Row[] = [
  ...forms(
    "Conv",
    ["f32"],
    [
      ["", [x(1, 2, 5, 5), w(3, 2, 3, 3), b(3)]],
      ["fed", [x(1, 2, 5, 5), y(3, 2, 3, 3), x(3)]],
      ["fed in groups, as many as the batch", [x(2, 2, 5), y(2, 1, 3), x(2)], { group: 2 }],
      ["fed in groups, one instance", [x(1, 2, 5), y(2, 1, 3), x(2)], { group: 2 }],
      ["without bias", [x(2, 2, 5, 4), w(3, 2, 2, 2)]],
      ["one axis", [x(2, 3, 7), w(2, 3, 3), b(2)], { strides: [2], pads: [1, 1] }],
      ["three axes", [x(1, 2, 3, 4, 3), w(2, 2, 2, 2, 2)], { pads: [1, 0, 0, 0, 1, 1] }],
      ["strides and pads", [x(1, 2, 6, 5), w(3, 2, 3, 2)], { strides: [2, 1], pads: [1, 0, 2, 1] }],
      ["dilations", [x(1, 1, 7, 7), w(2, 1, 3, 3)], { dilations: [2, 3] }],
      ["groups", [x(1, 4, 5, 5), w(6, 2, 3, 3), b(6)], { group: 2 }],
      ["depthwise", [x(1, 3, 5, 5), w(3, 1, 3, 3)], { group: 3, pads: [1, 1, 1, 1] }],
      ...["SAME_UPPER", "SAME_LOWER", "VALID"].map(
        (auto_pad) =>
          [auto_pad, [x(1, 1, 6, 5), w(1, 1, 3, 2)], { auto_pad, strides: [2, 2] }] as const,
      ),
      ["kernel_shape", [x(1, 1, 4, 4), w(1, 1, 2, 2)], { kernel_shape: [2, 2] }],
      ["no batch", [x(0, 1, 4, 4), w(1, 1, 2, 2)]],
      ["opset 8", [x(1, 1, 4, 4), w(1, 1, 2, 2)], {}, { opset: 8 }],
      ["opset 22", [x(1, 1, 4, 4), w(1, 1, 2, 2)], {}, { opset: 22, elems: ["f32", "f16"] }],
    ],
  ),
  ...forms(
    "ConvTranspose",
    ["f32"],
    [
      ["", [x(1, 2, 3, 3), w(2, 3, 3, 3), b(3)]],
      ["fed, as many as the batch", [x(2, 1, 3, 3), y(1, 2, 2, 2), x(2)]],
      ["strides", [x(1, 2, 3, 3), w(2, 1, 3, 3)], { strides: [3, 2] }],
      ["pads", [x(1, 2, 3, 3), w(2, 1, 3, 3)], { strides: [2, 2], pads: [1, 0, 1, 2] }],
      [
        "output_padding",
        [x(1, 1, 3, 3), w(1, 2, 3, 3)],
        { strides: [3, 2], output_padding: [1, 1] },
      ],
      ["output_shape", [x(1, 1, 3, 3), w(1, 2, 3, 3)], { strides: [3, 2], output_shape: [10, 8] }],
      ["dilations", [x(1, 1, 3, 3), w(1, 1, 2, 2)], { dilations: [2, 2] }],
      ["groups", [x(1, 4, 3, 3), w(4, 2, 2, 2), b(4)], { group: 2 }],
      ["one axis", [x(1, 2, 4), w(2, 3, 3)], { strides: [2] }],
      ...["SAME_UPPER", "SAME_LOWER", "VALID"].map(
        (auto_pad) =>
          [auto_pad, [x(1, 1, 3, 3), w(1, 1, 3, 3)], { auto_pad, strides: [2, 2] }] as const,
      ),
    ],
  ),
];

const pool = (op: string, more: Attributes = {}): Row[] =>
  forms(
    op,
    ["f32"],
    [
      ["", [x(1, 2, 5, 5)], { kernel_shape: [2, 2], ...more }],
      ["one axis", [x(1, 2, 7)], { kernel_shape: [3], ...more }],
      ["three axes", [x(1, 1, 3, 4, 3)], { kernel_shape: [2, 2, 2], ...more }],
      ["strides", [x(1, 1, 6, 5)], { kernel_shape: [3, 2], strides: [2, 1], ...more }],
      ["pads", [x(1, 1, 5, 5)], { kernel_shape: [3, 3], pads: [1, 0, 2, 1], ...more }],
      ["ceil", [x(1, 1, 6, 5)], { kernel_shape: [3, 2], strides: [2, 2], ceil_mode: 1, ...more }],
      [
        "ceil and pads",
        [x(1, 1, 6, 5)],
        { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1, ...more },
      ],
      ["dilations", [x(1, 1, 7, 6)], { kernel_shape: [2, 3], dilations: [3, 2], ...more }],
      ...["SAME_UPPER", "SAME_LOWER", "VALID"].map(
        (auto_pad) =>
          [
            auto_pad,
            [x(1, 1, 6, 5)],
            { auto_pad, kernel_shape: [3, 2], strides: [2, 2], ...more },
          ] as const,
      ),
      ["no batch", [x(0, 1, 4, 4)], { kernel_shape: [2, 2], ...more }],
    ],
  );

const POOLS: readonly Row[] = [
  ...pool("MaxPool"),
  ...forms(
    "MaxPool",
    ["f32"],
    [
      [
        "indices",
        [x(1, 2, 5, 5)],
        { kernel_shape: [2, 2], pads: [1, 1, 0, 0] },
        { results: 2, elems: ["f32", "f64", "i8", "ui8"] },
      ],
      [
        "indices by column",
        [x(2, 2, 4, 3)],
        { kernel_shape: [2, 2], storage_order: 1 },
        { results: 2 },
      ],
      [
        "opset 8",
        [x(1, 2, 5, 5)],
        { kernel_shape: [2, 2] },
        { opset: 8, results: 2, elems: ["f32"] },
      ],
      ["opset 1", [x(1, 2, 5, 5)], { kernel_shape: [2, 2] }, { opset: 7, elems: ["f32"] }],
      [
        "opset 10",
        [x(1, 2, 5, 5)],
        { kernel_shape: [2, 2], dilations: [2, 2] },
        { opset: 10, elems: ["f32"] },
      ],
    ],
  ),
  ...pool("AveragePool"),
  ...pool("AveragePool", { count_include_pad: 1 }).map((r) => ({
    ...r,
    form: `${r.form} count_include_pad`,
  })),
  ...forms(
    "AveragePool",
    ["f32"],
    [
      [
        "opset 7",
        [x(1, 2, 5, 5)],
        { kernel_shape: [2, 2], pads: [1, 1, 1, 1] },
        { opset: 7, elems: ["f32"] },
      ],
      [
        "opset 10",
        [x(1, 2, 5, 5)],
        { kernel_shape: [2, 2], ceil_mode: 1, strides: [2, 2] },
        { opset: 10 },
      ],
    ],
  ),
  ...pool("LpPool"),
  ...pool("LpPool", { p: 1 }).map((r) => ({ ...r, form: `${r.form} p 1` })),
  ...pool("LpPool", { p: 3 }).map((r) => ({ ...r, form: `${r.form} p 3` })),
  ...["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"].flatMap((op) =>
    forms(
      op,
      ["f32"],
      [
        ["", [x(2, 3, 4, 5)]],
        ["one axis", [x(2, 3, 4)]],
        ["three axes", [x(1, 2, 2, 3, 2)]],
      ],
    ),
  ),
  ...forms(
    "GlobalLpPool",
    ["f32"],
    [
      ["p 1", [x(2, 3, 4, 5)], { p: 1 }],
      ["p 3", [x(2, 3, 4)], { p: 3 }],
    ],
  ),
];

const NORMS: readonly Row[] = [
  ...forms(
    "BatchNormalization",
    ["f32"],
    [
      ["", [x(2, 3, 4), b(3), b(3), b(3), constant(magnitudes(3))]],
      ["fed", [x(2, 3, 2, 2), x(3), y(3), x(3), magnitudes(3)]],
      ["epsilon", [x(2, 3), b(3), b(3), b(3), constant(magnitudes(3))], { "epsilon:f": 0.1 }],
      ["vector", [x(2, 1), b(1), b(1), b(1), constant(magnitudes(1))]],
      [
        "opset 14",
        [x(2, 3, 4), b(3), b(3), b(3), constant(magnitudes(3))],
        { "momentum:f": 0.5 },
        { opset: 14 },
      ],
      ["opset 9", [x(2, 3, 4), b(3), b(3), b(3), constant(magnitudes(3))], {}, { opset: 9 }],
      [
        "opset 7",
        [x(2, 3, 4), b(3), b(3), b(3), constant(magnitudes(3))],
        { spatial: 1 },
        { opset: 8 },
      ],
      [
        "opset 7, not spatial",
        [x(2, 3, 4), w(3, 4), w(3, 4), w(3, 4), constant(magnitudes(3, 4))],
        { spatial: 0 },
        { opset: 8 },
      ],
    ],
  ),
  ...forms(
    "InstanceNormalization",
    ["f32"],
    [
      ["", [x(2, 3, 4), b(3), b(3)]],
      ["epsilon", [x(1, 2, 3, 3), b(2), b(2)], { "epsilon:f": 0.01 }],
      ["opset 6", [x(2, 3, 4), b(3), b(3)], {}, { opset: 8 }],
    ],
  ),
  ...forms(
    "GroupNormalization",
    ["f32"],
    [
      ["", [x(2, 4, 3), b(4), b(4)], { num_groups: 2 }, { elems: ["f32", "f16"] }],
      ["fed, as many as the batch", [x(2, 2, 3), y(2), x(2)], { num_groups: 1 }],
      ["one group", [x(1, 4, 3, 2), b(4), b(4)], { num_groups: 1, "epsilon:f": 0.1 }],
      ["opset 18", [x(2, 4, 3), b(2), b(2)], { num_groups: 2 }, { opset: 18 }],
    ],
  ),
  ...forms(
    "LayerNormalization",
    ["f32"],
    [
      ["", [x(2, 3, 4), b(4), b(4)]],
      ["fed, as many as the batch", [x(2, 3, 2), y(2), x(2)]],
      ["without bias", [x(2, 3, 4), b(4)]],
      ["axis 1", [x(2, 3, 4), w(3, 4), w(3, 4)], { axis: 1 }],
      ["axis 0", [x(2, 3), w(2, 3)], { axis: 0 }],
      ["axis -2", [x(2, 3, 4), w(3, 4)], { axis: -2 }],
      ["epsilon", [x(2, 4), b(4), b(4)], { "epsilon:f": 0.1 }],
      ["statistics", [x(2, 3, 4), b(4), b(4)], {}, { results: 3 }],
      ["scale of one", [x(2, 3, 4), b(1)]],
      ["opset 17", [x(2, 3, 4), b(4), b(4)], {}, { opset: 17 }],
    ],
  ),
  ...forms(
    "RMSNormalization",
    ["f32"],
    [
      ["", [x(2, 3, 4), b(4)], {}, { opset: 23 }],
      ["axis", [x(2, 3, 4), w(3, 4)], { axis: 1, "epsilon:f": 0.1 }, { opset: 23 }],
    ],
  ),
  ...forms(
    "LpNormalization",
    ["f32"],
    [
      ["", [x(2, 3, 4)]],
      ["axis", [x(2, 3, 4)], { axis: 1 }],
      ["p 1", [x(2, 3, 4)], { p: 1, axis: 0 }],
      [
        "of zeros",
        [{ fed: true, make: (e) => (same([2, 2], 0, 0, 1, 2) as NonNullable<Operand>).make(e) }],
      ],
    ],
  ),
  ...forms(
    "MeanVarianceNormalization",
    ["f32"],
    [
      ["", [x(2, 3, 4, 2)]],
      ["axes", [x(2, 3, 4)], { axes: [0, 2] }],
      ["opset 9", [x(2, 3, 4, 2)], {}, { opset: 9 }],
    ],
  ),
];

export const WINDOW_ROWS: readonly Row[] = [...CONVOLUTIONS, ...POOLS, ...NORMS];
