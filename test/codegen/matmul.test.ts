import fc from "fast-check";
import { describe, test } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees } from "./run-kernel.ts";

/** Of the largest magnitude of the result: sums in another order, with fused multiply-adds. */
const WITHIN = 1e-5;

const floats = (shape: readonly number[], seed = 1) => {
  const length = shape.reduce((a, b) => a * b, 1);
  return tensor(
    "f32",
    shape,
    Float32Array.from({ length }, (_, i) => Math.sin(12.9898 * (i + 1) * seed) * 2),
  );
};

const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
const size = (max: number) => fc.integer({ min: 0, max });

describe("MatMul in machine code", () => {
  onQemu("gives what src/tensor gives, and the same bits on QEMU", () => {
    for (const [m, k, n] of [
      [1, 1, 1],
      [5, 7, 5],
      [13, 20, 37],
      [1, 64, 40],
      [40, 33, 1],
    ] as const) {
      agrees({ kernel: "MatMul", operands: [floats([m, k]), floats([k, n], 2)] }, WITHIN, true);
    }
  });
  test("of any sizes", () => {
    fc.assert(
      fc.property(size(30), size(40), size(50), (m, k, n) => {
        agrees({ kernel: "MatMul", operands: [floats([m, k]), floats([k, n], 2)] }, WITHIN);
      }),
      { numRuns: 10, seed: 7 },
    );
  });
  test.each([
    [
      [3, 4, 5],
      [5, 6],
    ],
    [
      [2, 1, 4, 5],
      [3, 5, 6],
    ],
    [
      [1, 4, 5],
      [3, 2, 5, 6],
    ],
    [[7], [7, 3]],
    [[2, 3, 7], [7]],
    [[7], [2, 7, 3]],
    [[7], [7]],
    [
      [2, 3, 4, 5],
      [2, 3, 5, 9],
    ],
    [
      [300, 2],
      [2, 300],
    ],
  ])("of stacks %j and %j", (a, b) => {
    agrees({ kernel: "MatMul", operands: [floats(a), floats(b, 3)] }, WITHIN);
  });
});

describe("Gemm in machine code", () => {
  test("with every layout, factor and addend", () => {
    const bools = fc.boolean();
    const addend = fc.constantFrom("none", "full", "row", "column", "one");
    fc.assert(
      fc.property(size(20), size(20), size(40), bools, bools, addend, (m, k, n, ta, tb, c) => {
        const shapes = { none: [], full: [m, n], row: [n], column: [m, 1], one: [1] };
        const attrs = { transA: +ta, transB: +tb, alpha: 0.5, beta: c === "row" ? 1 : -2 };
        const operands = [floats(ta ? [k, m] : [m, k]), floats(tb ? [n, k] : [k, n], 2)];
        const more = c === "none" ? [] : [floats(shapes[c], 5)];
        agrees({ kernel: "Gemm", attrs, operands: [...operands, ...more] }, WITHIN);
      }),
      { numRuns: 12, seed: 11 },
    );
  });
  test("of stacks whose batch lies inside", () => {
    const attrs = { transBatchA: 1, transB: 1, alpha: 0.25 };
    const operands = [floats([4, 3, 5]), floats([3, 6, 5], 2)];
    agrees({ kernel: "com.microsoft.FusedMatMul", attrs, operands }, WITHIN);
  });
});

describe("branches of low rank in machine code", () => {
  test.each([1, 8, 33])("with a branch of low rank at %i tokens", (t) => {
    const operands = [floats([1, t, 64]), floats([1, t, 40], 2), floats([8, 64], 3)];
    const b = floats([40, 8], 4);
    agrees({ kernel: "nn.lora", attrs: { scale: 4 }, operands: [...operands, b] }, WITHIN);
  });
});
