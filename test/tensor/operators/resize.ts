/** Resizing. */

import { forms, of, type Row, x } from "./row.ts";

const MODES = [
  "half_pixel",
  "half_pixel_symmetric",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
];
const up = of("f32", [4], 1, 1, 2, 2.5);
const down = of("f32", [4], 1, 1, 0.6, 0.5);
const none = of("f32", [0]);
const image = x(1, 1, 5, 4);
const to = (h: number, v: number) => of("i64", [4], 1, 1, h, v);

const RESIZES: readonly Row[] = forms(
  "Resize",
  ["f32"],
  [
    ["", [image, null, up]],
    ...["nearest", "linear", "cubic"].flatMap((mode) =>
      MODES.flatMap((coordinate_transformation_mode) => {
        const attrs = { mode, coordinate_transformation_mode };
        const name = `${mode} ${coordinate_transformation_mode}`;
        return [
          [`${name} up`, [image, null, up], attrs],
          [`${name} down`, [image, null, down], attrs],
          [`${name} to a size`, [image, null, null, to(3, 7)], attrs],
          [`${name} to one`, [image, null, null, to(1, 1)], attrs],
        ] as const;
      }),
    ),
    ...["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"].flatMap((nearest_mode) => [
      [`${nearest_mode} up`, [image, null, up], { nearest_mode }] as const,
      [
        `${nearest_mode} down`,
        [image, null, down],
        { nearest_mode, coordinate_transformation_mode: "asymmetric" },
      ] as const,
    ]),
    ...["linear", "cubic"].flatMap((mode) => [
      [`${mode} antialias`, [image, null, down], { mode, antialias: 1 }] as const,
      [`${mode} antialias up`, [image, null, up], { mode, antialias: 1 }] as const,
      [
        `${mode} antialias to a size`,
        [image, null, null, to(2, 3)],
        { mode, antialias: 1, coordinate_transformation_mode: "align_corners" },
      ] as const,
    ]),
    ["cubic coefficient", [image, null, up], { mode: "cubic", "cubic_coeff_a:f": -0.5 }],
    [
      "cubic coefficient, exclude_outside, down",
      [image, null, down],
      { mode: "cubic", "cubic_coeff_a:f": -0.5, exclude_outside: 1 },
    ],
    ["exclude_outside", [image, null, up], { mode: "cubic", exclude_outside: 1 }],
    ["axes", [image, null, of("f32", [2], 2, 1.5)], { axes: [2, 3] }],
    [
      "negative axes",
      [image, null, null, of("i64", [2], 3, 9)],
      { axes: [-1, -2], mode: "linear" },
    ],
    ...["stretch", "not_larger", "not_smaller"].map(
      (keep_aspect_ratio_policy) =>
        [
          keep_aspect_ratio_policy,
          [image, null, null, of("i64", [2], 7, 8)],
          { axes: [2, 3], keep_aspect_ratio_policy },
        ] as const,
    ),
    [
      "crop",
      [image, of("f32", [8], 0, 0, 0.2, 0.3, 1, 1, 0.8, 1.2), null, to(3, 3)],
      {
        mode: "linear",
        coordinate_transformation_mode: "tf_crop_and_resize",
        "extrapolation_value:f": 9,
      },
    ],
    ["opset 11", [image, none, up], { mode: "linear" }, { opset: 11 }],
    [
      "opset 11, half pixel for nn",
      [image, none, up],
      { coordinate_transformation_mode: "tf_half_pixel_for_nn" },
      { opset: 11 },
    ],
    ["opset 11, to a size", [image, none, none, to(3, 7)], {}, { opset: 11 }],
    ["opset 13", [image, null, down], { mode: "linear" }, { opset: 13 }],
    ["opset 18", [image, null, down], { mode: "linear" }, { opset: 18 }],
    ["opset 10", [image, up], {}, { opset: 10 }],
    ["opset 10, linear", [image, up], { mode: "linear" }, { opset: 10 }],
    ["opset 10, down", [image, down], { mode: "linear" }, { opset: 10 }],
    ["one axis", [x(2, 2, 5), null, of("f32", [3], 1, 1, 2)], { mode: "linear" }],
    ["three axes", [x(1, 1, 2, 3, 2), null, of("f32", [5], 1, 1, 2, 2, 2)], { mode: "linear" }],
  ],
);
const UPSAMPLES: readonly Row[] = forms(
  "Upsample",
  ["f32"],
  [
    ["opset 9", [image, up], {}, { opset: 9 }],
    ["opset 9, linear", [image, up], { mode: "linear" }, { opset: 9 }],
    ["opset 7", [image], { "scales:f": [1, 1, 2, 3] }, { opset: 8 }],
    ["opset 7, linear", [image], { "scales:f": [1, 1, 2, 3], mode: "linear" }, { opset: 8 }],
  ],
);

export const RESIZE_ROWS: readonly Row[] = [...RESIZES, ...UPSAMPLES];
