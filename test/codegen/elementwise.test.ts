import { describe, test } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees } from "./run-kernel.ts";

const floats = (shape: readonly number[], f: (i: number) => number) =>
  tensor(
    "f32",
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => f(i)),
  );

describe("elementwise kernels in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("give the same bits as the kernels of src/tensor, and on QEMU", () => {
    for (const kernel of ["Add", "Sub", "Mul"]) {
      agrees(
        {
          kernel,
          operands: [floats([3, 7], (i) => Math.sin(i) * 10), floats([3, 7], (i) => i / 3 - 2)],
        },
        0,
        true,
      );
    }
  });
  test("of nothing", () => {
    agrees({ kernel: "Add", operands: [floats([0, 4], () => 0), floats([0, 4], () => 0)] });
  });
});
