import { describe } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees, type Call } from "./run-kernel.ts";

const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);

const image = (elem: Elem, shape: readonly number[]): Tensor =>
  fromNumbers(
    elem,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 37) % 101) - 50),
  );

const resize = (
  x: Tensor,
  scales: readonly number[],
  attrs: Readonly<Record<string, unknown>>,
): Call => ({
  kernel: "Resize",
  attrs,
  operands: [x, null, fromNumbers("f32", [scales.length], scales)],
  constants: [2],
});

const toSizes = (
  x: Tensor,
  sizes: readonly number[],
  attrs: Readonly<Record<string, unknown>>,
): Call => ({
  kernel: "Resize",
  attrs,
  operands: [x, null, null, fromNumbers("i64", [sizes.length], sizes)],
  constants: [3],
});

const COORDINATES = [
  "tf_half_pixel_for_nn",
  "half_pixel",
  "pytorch_half_pixel",
  "asymmetric",
  "align_corners",
];

describe("Resize in machine code", () => {
  onQemu("takes the same nearest elements", () => {
    for (const nearest_mode of ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]) {
      const [first = {}, ...others] = COORDINATES.map((c) => ({
        nearest_mode,
        coordinate_transformation_mode: c,
      }));
      agrees(resize(image("f32", [1, 2, 3, 5]), [1, 1, 2.6, 0.6], first), 0, true);
      for (const attrs of others) agrees(resize(image("i8", [2, 3, 5]), [1, 2, 1.7], attrs));
      agrees(toSizes(image("i64", [4, 3]), [6, 5], first));
    }
  });
  onQemu("reads tables in the rare forms", () => {
    const x = image("f32", [2, 7, 3, 2]);
    const forms = [
      { mode: "linear", antialias: 1 },
      { mode: "cubic", antialias: 1, exclude_outside: 1 },
      { mode: "cubic", exclude_outside: 1, cubic_coeff_a: -0.5 },
      { mode: "cubic", coordinate_transformation_mode: "half_pixel_symmetric" },
      { mode: "nearest", coordinate_transformation_mode: "half_pixel_symmetric" },
    ];
    for (const attrs of forms) agrees(resize(x, [1, 0.6, 1.7, 1], attrs), 2e-6, true);
    const roi = fromNumbers("f32", [8], [0, 0.2, 0.3, 0, 1, 1.2, 0.8, 1]);
    const sizes = fromNumbers("i64", [4], [2, 5, 3, 2]);
    const crop = { coordinate_transformation_mode: "tf_crop_and_resize", extrapolation_value: 9 };
    for (const [mode, elem] of [
      ["linear", "f32"],
      ["nearest", "f32"],
      ["nearest", "i64"],
    ] as const) {
      const operands = [image(elem, [2, 7, 3, 2]), roi, null, sizes];
      agrees({ kernel: "Resize", attrs: { ...crop, mode }, operands, constants: [1, 3] }, 2e-6);
    }
  });
  onQemu("keeps proportions", () => {
    for (const keep_aspect_ratio_policy of ["not_larger", "not_smaller"]) {
      const attrs = { keep_aspect_ratio_policy, mode: "linear" };
      agrees(toSizes(image("f32", [4, 6]), [7, 8], attrs), 2e-6, true);
    }
  });
  onQemu("mixes elements", () => {
    for (const mode of ["linear", "cubic"]) {
      for (const coordinates of COORDINATES) {
        const attrs = { mode, coordinate_transformation_mode: coordinates };
        const isFirst = coordinates === "half_pixel";
        agrees(resize(image("f32", [1, 2, 3, 5]), [1, 1, 2.6, 0.6], attrs), 2e-6, isFirst);
        agrees(toSizes(image("f32", [2, 4, 3]), [2, 7, 1], attrs), 2e-6);
      }
    }
    const attrs = { mode: "linear", axes: [1] };
    const odd = fromNumbers("f32", [1, 5], [1, Infinity, 3, Number.NaN, 5]);
    const aligned = { coordinate_transformation_mode: "align_corners" };
    for (const mode of ["linear", "cubic"]) {
      agrees(toSizes(odd, [1, 9], { ...aligned, mode }), 2e-6);
    }
    agrees(toSizes(image("f32", [3, 4, 9]), [4], attrs), 2e-6);
    agrees(toSizes(image("f16", [3, 4, 9]), [11], attrs), 2e-6);
  });
});
