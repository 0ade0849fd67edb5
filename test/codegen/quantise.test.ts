import { describe } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, sizeOf, type Tensor, tensor } from "../../src/tensor/tensor.ts";
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
  onQemu("by blocks of which the last is not full", () => {
    const scales = floats([3, 4, 4], (i) => 0.1 + i);
    const zeros = fromNumbers(
      "i8",
      [3, 4, 4],
      Array.from({ length: 48 }, (_, i) => i - 20),
    );
    const along = { axis: 2, block_size: 3 };
    agrees({ kernel: "QuantizeLinear", attrs: along, operands: [x, scales, zeros] }, 0, true);
    const levels = fromNumbers(
      "i8",
      [3, 4, 10],
      Array.from({ length: 120 }, (_, i) => i - 60),
    );
    agrees({ kernel: "DequantizeLinear", attrs: along, operands: [levels, scales, zeros] });
    const few = floats([3, 2, 10], (i) => 0.1 + i);
    const across = { axis: -2, block_size: 3 };
    agrees({ kernel: "DequantizeLinear", attrs: across, operands: [levels, few] }, 0, true);
    // A single block that is longer than the axis.
    const one = floats([3, 1, 10], (i) => 0.1 + i);
    const attrs = { axis: 1, block_size: 16 };
    agrees({ kernel: "DequantizeLinear", attrs, operands: [levels, one] });
  });
  onQemu("find the range themselves", () => {
    const finite = floats([7, 9], (i) => Math.sin(i) * 5 - 1);
    agrees({ kernel: "DynamicQuantizeLinear", operands: [finite] }, 0, true);
    agrees({ kernel: "DynamicQuantizeLinear", operands: [floats([5], () => 0)] });
    agrees({ kernel: "DynamicQuantizeLinear", operands: [floats([5], (i) => i + 1)] });
  });
});

describe("products of integers in machine code", () => {
  const levels = (elem: Elem, shape: readonly number[], seed = 1): Tensor =>
    fromNumbers(
      elem,
      shape,
      Array.from({ length: sizeOf(shape) }, (_, i) => ((i + seed) * 7919) % 256),
    );
  const [stack, matrix] = [levels("ui8", [2, 3, 11]), levels("i8", [11, 10], 5)];
  const [row, column] = [levels("ui8", [3]), levels("i8", [10], 3)];
  onQemu("have the same bits", () => {
    const kernel = "MatMulInteger";
    const [zero, other] = [fromNumbers("ui8", [], [131]), fromNumbers("i8", [1], [-7])];
    agrees({ kernel, operands: [stack, matrix, zero, other] }, 0, true);
    agrees({ kernel, operands: [stack, matrix, row, column] });
    agrees({ kernel, operands: [stack, matrix, null, column] });
    agrees({ kernel, operands: [stack, matrix] });
    agrees({ kernel, operands: [levels("ui8", [2, 1, 3, 11]), levels("ui8", [3, 11, 2], 9)] });
    agrees({ kernel, operands: [levels("i8", [11]), matrix, null, other] });
    agrees({ kernel, operands: [stack, levels("i8", [11])] });
    agrees({ kernel, operands: [levels("i8", [3, 0]), levels("i8", [0, 5])] });
    const large = (shape: readonly number[]): Tensor =>
      fromNumbers(
        "i32",
        shape,
        Array.from({ length: sizeOf(shape) }, (_, i) => i * 65_537 - 9e5),
      );
    agrees({ kernel: "MatMul", operands: [large([3, 5]), large([5, 4])] });
  });
  onQemu("are rounded to the scale of the result", () => {
    const kernel = "QLinearMatMul";
    const one = (v: number): Tensor => floats([], () => v);
    const [zero, middle] = [fromNumbers("ui8", [], [131]), fromNumbers("i8", [], [-7])];
    const a = [stack, one(0.02), zero];
    const y = [one(0.31), fromNumbers("i8", [], [12])];
    agrees({ kernel, operands: [...a, matrix, one(0.013), middle, ...y] }, 0, true);
    const scales = floats([10], (i) => 0.002 * (i + 1));
    agrees({ kernel, operands: [...a, matrix, scales, column, ...y] });
    // All sums are multiples of half a level: ties everywhere.
    const halves = [stack, one(0.5), zero, matrix, one(1), middle, one(64), zero];
    agrees({ kernel, operands: halves });
    agrees({ kernel, operands: [...a, matrix, one(Number.NaN), middle, ...y] });
  });
  onQemu("over windows", () => {
    const one = (v: number): Tensor => floats([], () => v);
    const [x, w] = [levels("ui8", [2, 4, 5, 6]), levels("i8", [6, 2, 3, 2], 3)];
    const [zero, zeros] = [fromNumbers("ui8", [], [131]), levels("i8", [6], 8)];
    const attrs = { group: 2, pads: [1, 0, 2, 1], strides: [2, 1], dilations: [1, 2] };
    agrees({ kernel: "ConvInteger", attrs, operands: [x, w, zero, zeros] }, 0, true);
    agrees({ kernel: "ConvInteger", attrs: { group: 2 }, operands: [x, w] });
    const scales = floats([6], (i) => 0.002 * (i + 1));
    const bias = fromNumbers("i32", [6], [0, 5000, -5000, 70_000, 1, -1]);
    const y = [one(2.3), fromNumbers("ui8", [], [120])];
    const operands = [x, one(0.02), zero, w, scales, zeros, ...y];
    agrees({ kernel: "QLinearConv", attrs, operands: [...operands, bias] }, 0, true);
    agrees({ kernel: "QLinearConv", attrs: { group: 2 }, operands });
  });
});
