import { describe } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { sizeOf, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees } from "./run-kernel.ts";

const floats = (shape: readonly number[], f: (i: number) => number): Tensor =>
  tensor(
    "f32",
    shape,
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => f(i)),
  );
const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);

describe("quantisers in machine code", () => {
  const x = floats([3, 4, 10], (i) => [Number.NaN, Infinity, -1e30][i - 20] ?? (i - 60) / 8);
  onQemu("give the same levels", () => {
    for (const elem of ["ui8", "i8", "i16"] as const) {
      const zero = fromNumbers(elem, [], [3]);
      agrees({ kernel: "QuantizeLinear", operands: [x, floats([], () => 0.05), zero] }, 0, true);
    }
    const scales = floats([4], (i) => 0.02 * (i + 1));
    const zeros = fromNumbers("i8", [4], [0, -5, 100, 7]);
    agrees({ kernel: "QuantizeLinear", attrs: { axis: 1 }, operands: [x, scales, zeros] }, 0, true);
    agrees({ kernel: "QuantizeLinear", attrs: { axis: 1 }, operands: [x, scales] });
    const blocks = floats([3, 4, 2], (i) => 0.1 + i);
    agrees({ kernel: "QuantizeLinear", attrs: { axis: 2, block_size: 5 }, operands: [x, blocks] });
  });
  onQemu("give the same numbers back", () => {
    for (const elem of ["ui8", "i8", "i32"] as const) {
      const levels = fromNumbers(
        elem,
        [3, 4, 10],
        Array.from({ length: 120 }, (_, i) => i),
      );
      const zero = fromNumbers(elem, [], [17]);
      const scale = floats([], () => 0.013);
      agrees({ kernel: "DequantizeLinear", operands: [levels, scale, zero] }, 0, true);
      const scales = floats([10], (i) => 0.01 * (i + 1));
      agrees({ kernel: "DequantizeLinear", attrs: { axis: 2 }, operands: [levels, scales] });
    }
  });
  onQemu("find the range themselves", () => {
    const finite = floats([7, 9], (i) => Math.sin(i) * 5 - 1);
    agrees({ kernel: "DynamicQuantizeLinear", operands: [finite] }, 0, true);
    agrees({ kernel: "DynamicQuantizeLinear", operands: [floats([5], () => 0)] });
    agrees({ kernel: "DynamicQuantizeLinear", operands: [floats([5], (i) => i + 1)] });
  });
});
