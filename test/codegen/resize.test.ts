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

const COORDINATES = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"];

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
