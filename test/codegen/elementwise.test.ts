import fc from "fast-check";
import { describe, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { sizeOf, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees } from "./run-kernel.ts";

/** Numbers of all kinds, the special ones among them. */
const SPECIAL = [0, -0, 1, -1, Number.NaN, Infinity, -Infinity, 3e38, -1e-40, 0.5, 2.5, -1.5];

function floats(shape: readonly number[], seed: number): Tensor {
  const at = (i: number): number =>
    (i + seed) % 5 === 0
      ? (SPECIAL[(i * 7 + seed) % SPECIAL.length] ?? 0)
      : Math.sin(i * 12.9 + seed) * 10 ** ((i % 7) - 3);
  return tensor(
    "f32",
    shape,
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => at(i)),
  );
}

/** Two shapes that broadcast: some axes have size 1, those in front may be left out. */
const shapes = fc
  .array(
    fc.record({
      size: fc.constantFrom(1, 2, 3, 5, 8, 19),
      own: fc.constantFrom("both", "both", "left", "right"),
    }),
    { maxLength: 4 },
  )
  .map((axes) => {
    const a = axes.map(({ size, own }) => (own === "right" ? 1 : size));
    const b = axes.map(({ size, own }) => (own === "left" ? 1 : size));
    const first = b.findIndex((d) => d !== 1);
    return { a, b: b.slice(Math.max(0, first)) };
  });

const EXACT = ["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"];
const FUNCTIONS = ["Neg", "Abs", "Sqrt", "Reciprocal", "Relu", "Sign", "Floor", "Ceil"];

describe("elementwise kernels in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("give the same bits as the kernels of src/tensor, and on QEMU", () => {
    for (const kernel of EXACT) {
      agrees({ kernel, operands: [floats([2, 3, 37], 1), floats([3, 1], 2)] }, 0, true);
    }
    for (const kernel of FUNCTIONS) {
      agrees({ kernel, operands: [floats([2, 51], 3)] }, 0, true);
    }
  });
  test("with shapes that broadcast", () => {
    fc.assert(
      fc.property(fc.constantFrom(...EXACT), shapes, fc.nat(50), (kernel, { a, b }, seed) => {
        agrees({ kernel, operands: [floats(a, seed), floats(b, seed + 9)] });
      }),
      { numRuns: 15, seed: 5 },
    );
  });
  test("of any number of operands", () => {
    const operands = [floats([4, 5], 1), floats([5], 2), floats([4, 1], 3), floats([], 4)];
    for (const kernel of ["Sum", "Max", "Min"]) {
      for (const n of [1, 2, 4]) agrees({ kernel, operands: operands.slice(0, n) });
    }
    agrees({ kernel: "Mean", operands: operands.slice(0, 2) }, 1e-6);
  });
  test("with bounds", () => {
    const x = floats([3, 21], 0);
    const [low, high, none] = [-1, 2, Number.NaN].map((v) => tensor("f32", [], Float32Array.of(v)));
    for (const bounds of [[low], [low, high], [null, high], [none, high], [high, low]]) {
      agrees({ kernel: "Clip", operands: [x, ...bounds.map((b) => b ?? null)] });
    }
    agrees({ kernel: "Clip", attrs: { min: -0.5, max: 6 }, operands: [x] });
  });
  test("with attributes", () => {
    const x = floats([3, 21], 0);
    // Its zeros have the sign of the argument, as IEEE 754 says.
    agrees({ kernel: "Round", operands: [x] }, 1e-12);
    agrees({ kernel: "LeakyRelu", attrs: { alpha: 0.25 }, operands: [x] });
    agrees({ kernel: "ThresholdedRelu", attrs: { alpha: 0.5 }, operands: [x] });
    agrees({ kernel: "Shrink", attrs: { bias: 0.5, lambd: 1 }, operands: [x] });
    agrees({ kernel: "HardSigmoid", attrs: { alpha: 0.25, beta: 0.5 }, operands: [x] }, 1e-6);
    agrees({ kernel: "Elu", attrs: { alpha: 2 }, operands: [x] }, 1e-6);
    agrees({ kernel: "Celu", attrs: { alpha: 3 }, operands: [x] }, 1e-6);
    agrees({ kernel: "Swish", attrs: { alpha: 0.5 }, operands: [x] }, 1e-6);
    agrees(
      { kernel: "nn.gated", attrs: { function: "silu" }, operands: [x, floats([3, 21], 7)] },
      1e-6,
    );
  });
  onQemu("powers", () => {
    const ends = [
      0,
      -0,
      1,
      -1,
      2,
      -2,
      0.5,
      3,
      -3,
      1e-40,
      3e38,
      2 ** 24,
      Infinity,
      -Infinity,
      Number.NaN,
      0.999,
      -8.5,
    ];
    const column = tensor("f32", [ends.length, 1], Float32Array.from(ends));
    const row = tensor("f32", [ends.length], Float32Array.from(ends));
    agrees({ kernel: "Pow", operands: [column, row] }, 1e-6, true);
    const bases = floats([90], 2);
    const positive = tensor(
      "f32",
      [300],
      Float32Array.from({ length: 300 }, (_, i) => 1.02 ** (i - 150)),
    );
    for (const y of [0, 1, 2, 3, -1, 0.5, -0.5, 7]) {
      const exponent = tensor("f32", [], Float32Array.of(y));
      agrees({ kernel: "Pow", operands: [bases, exponent], constants: [1] }, 1e-6);
      agrees({ kernel: "Pow", operands: [positive, exponent] }, 1e-6);
    }
  });
  onQemu("of integers", () => {
    const values = [
      0,
      1,
      -1,
      7,
      -7,
      3,
      2 ** 31 - 1,
      -(2 ** 31),
      1e15,
      -3e15,
      2 ** 40,
      -(2 ** 33) + 5,
    ];
    for (const elem of ["i64", "i32", "ui8", "i16"] as const) {
      const column = fromNumbers(elem, [values.length, 1], values);
      const row = fromNumbers(elem, [values.length], values);
      for (const kernel of ["Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"]) {
        agrees({ kernel, operands: [column, row] }, 0, elem === "i64");
      }
      agrees({ kernel: "Mod", attrs: { fmod: 1 }, operands: [column, row] });
      for (const kernel of ["Neg", "Abs", "Sign", "Relu"]) agrees({ kernel, operands: [row] });
      agrees({ kernel: "Sum", operands: [row, column, row] });
    }
  });
  test("of halves", () => {
    for (const elem of ["f16", "bf16"] as const) {
      const [x, y] = [7, 3].map((seed) =>
        fromNumbers(
          elem,
          [5, 7],
          Array.from({ length: 35 }, (_, i) => Math.sin(i * seed) * 4),
        ),
      ) as [Tensor, Tensor];
      for (const kernel of ["Add", "Mul", "Max"]) agrees({ kernel, operands: [x, y] });
      agrees({ kernel: "Sigmoid", operands: [x] }, 1e-6);
      agrees({ kernel: "Softmax", operands: [x] }, 1e-6);
      agrees({ kernel: "ReduceMean", operands: [x] }, 1e-6);
      agrees(
        { kernel: "nn.rms_norm", operands: [x, fromNumbers(elem, [7], [1, 2, 3, 4, 5, 6, 7])] },
        1e-6,
      );
    }
  });
  test("of nothing", () => {
    agrees({ kernel: "Add", operands: [floats([0, 4], 0), floats([0, 4], 0)] });
    agrees({ kernel: "Exp", operands: [floats([3, 0], 0)] });
  });
});
