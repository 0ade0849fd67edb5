import fc from "fast-check";
import { describe, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees, type Call } from "./run-kernel.ts";

/** How far sums in single precision may be from those of doubles, by the largest result. */
const WITHIN = 2e-6;

const waves = (shape: readonly number[], seed = 1, elem: Elem = "f32"): Tensor =>
  fromNumbers(
    elem,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 1.3 + seed) * 50),
  );

function random(calls: fc.Arbitrary<Call>, numRuns: number, within = WITHIN): void {
  fc.assert(
    fc.property(calls, (call) => agrees(call, within)),
    { numRuns, seed: 7 },
  );
}

const small = fc.integer({ min: 1, max: 2 });
const pad = fc.integer({ min: 0, max: 2 });

describe("convolutions and pools in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("agree, and on QEMU to the bit", () => {
    const patches = [waves([1, 3, 16, 16]), waves([8, 3, 8, 8]), waves([8])];
    agrees({ kernel: "Conv", attrs: { strides: [8, 8] }, operands: patches }, WITHIN, true);
    agrees(
      { kernel: "MaxPool", attrs: { kernel_shape: [2, 2] }, operands: patches.slice(0, 1) },
      0,
      true,
    );
  });

  test("convolutions along one axis", () => {
    const operands = [waves([2, 10, 33]), waves([12, 10, 3], 2), waves([12], 3)];
    for (const strides of [[1], [2]]) {
      agrees({ kernel: "Conv", attrs: { strides, pads: [1, 1] }, operands }, WITHIN);
    }
    agrees({ kernel: "Conv", operands: [waves([2, 6, 9]), waves([4, 6, 1])] }, WITHIN);
  });

  test("convolutions of images, in groups, with holes", () => {
    random(
      fc.tuple(small, small, small, pad, pad, small, fc.boolean()).map(
        ([group, stride, hole, a, b, k, same]): Call => ({
          kernel: "Conv",
          attrs: {
            group,
            strides: [stride, 1],
            dilations: [1, hole],
            ...(same ? { auto_pad: "SAME_UPPER" } : { pads: [a, 0, b, 1] }),
          },
          operands: [
            waves([2, 2 * group, 7, 8]),
            waves([3 * group, 2, k + 1, 3], 5),
            waves([3 * group], 2),
          ],
        }),
      ),
      12,
    );
  });

  test("transposed convolutions", () => {
    random(
      fc.tuple(small, small, pad, pad, small, fc.boolean()).map(
        ([group, stride, a, b, k, biased]): Call => ({
          kernel: "ConvTranspose",
          attrs: {
            group,
            strides: [stride, 2],
            pads: [a, 0, b, 1],
            dilations: [k, 1],
            output_padding: [0, 1],
          },
          operands: [
            waves([2, 2 * group, 4, 3]),
            waves([2 * group, 2, 3, 3], 4),
            ...(biased ? [waves([2 * group], 1)] : []),
          ],
        }),
      ),
      12,
    );
  });

  const pools = (kernel: string, elem: Elem): fc.Arbitrary<Call> =>
    fc.tuple(small, small, pad, fc.boolean(), fc.boolean()).map(
      ([stride, hole, p, up, padded]): Call => ({
        kernel,
        attrs: {
          kernel_shape: [3, 2],
          strides: [stride, 2],
          dilations: [hole, 1],
          pads: [p, 0, 1, 1],
          ceil_mode: up ? 1 : 0,
          ...(kernel === "AveragePool" ? { count_include_pad: padded ? 1 : 0 } : {}),
        },
        operands: [waves([2, 3, 8, 7], 1, elem)],
      }),
    );

  test("the largest of a window", () => {
    for (const elem of ["f32", "f16", "i8", "ui8"] as const) random(pools("MaxPool", elem), 5, 0);
    agrees({ kernel: "GlobalMaxPool", operands: [waves([2, 5, 4, 4])] });
    const odd = fromNumbers("f32", [1, 1, 6], [Number.NaN, 1, 2, Number.NaN, -0, 0]);
    agrees({ kernel: "MaxPool", attrs: { kernel_shape: [2] }, operands: [odd] });
  });

  test("means and norms", () => {
    random(pools("AveragePool", "f32"), 12);
    for (const p of [1, 2]) {
      agrees(
        { kernel: "LpPool", attrs: { kernel_shape: [3, 3], p }, operands: [waves([1, 2, 6, 6])] },
        WITHIN,
      );
      agrees({ kernel: "GlobalLpPool", attrs: { p }, operands: [waves([1, 2, 6, 6])] }, WITHIN);
    }
    agrees({ kernel: "GlobalAveragePool", operands: [waves([2, 3, 5, 5])] }, WITHIN);
  });
});
