import fc from "fast-check";
import { describe, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { sizeOf, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees } from "./run-kernel.ts";

function floats(shape: readonly number[], f: (i: number) => number): Tensor {
  return tensor(
    "f32",
    shape,
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => f(i)),
  );
}
const waves = (shape: readonly number[], seed = 1): Tensor =>
  floats(shape, (i) => Math.sin(i * 12.9 + seed) * 3 + (i % 5));

const shapes = fc.array(fc.constantFrom(1, 2, 3, 7, 16, 33), { minLength: 1, maxLength: 3 });
const WITHIN = 1e-5;
const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);

describe("softmax in machine code", () => {
  test("along any axis", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("Softmax", "LogSoftmax"),
        shapes,
        fc.nat(2),
        (kernel, shape, a) => {
          const axis = a % shape.length;
          agrees({ kernel, attrs: { axis }, operands: [waves(shape)] }, 1e-6);
        },
      ),
      { numRuns: 5, seed: 3 },
    );
  });
  onQemu("of rows with infinities and NaN", () => {
    const kinds: readonly ((i: number) => number)[] = [
      (i) => i / 7,
      (i) => (i % 3 === 0 ? -Infinity : i),
      () => -Infinity,
      (i) => (i === 7 ? Number.NaN : i),
      (i) => (i === 9 ? Infinity : i),
      (i) => i * 1e4,
    ];
    const rows = floats([6, 21], (i) => kinds[Math.floor(i / 21)]?.(i % 21) ?? 0);
    agrees({ kernel: "nn.softmax", attrs: { axis: -1 }, operands: [rows] }, 1e-6, true);
  });
  test("of long rows", () => {
    agrees({ kernel: "Softmax", operands: [floats([2, 16384], () => 0.1)] }, WITHIN);
  });
  test("of nothing", () => {
    agrees({ kernel: "Softmax", operands: [waves([0, 5])] });
  });
});

describe("norms in machine code", () => {
  onQemu("of rows", () => {
    for (const width of [5, 77]) {
      const operands = [waves([2, 3, width]), waves([width], 4), waves([width], 9)];
      agrees({ kernel: "nn.layer_norm", attrs: { epsilon: 1e-5 }, operands }, WITHIN, true);
      agrees(
        { kernel: "nn.rms_norm", attrs: { epsilon: 1e-6 }, operands: operands.slice(0, 2) },
        WITHIN,
        true,
      );
    }
  });
  test("with means, without bias, of several axes", () => {
    const operands = [waves([2, 3, 4, 5]), waves([4, 5], 4)];
    agrees({ kernel: "LayerNormalization", attrs: { axis: 2 }, operands }, WITHIN);
    agrees({ kernel: "RMSNormalization", attrs: { axis: -2 }, operands }, WITHIN);
    agrees({ kernel: "LayerNormalization", operands: [waves([9, 5]), waves([1])] }, WITHIN);
  });
  test("of long rows far from zero", () => {
    const x = floats([3, 16384], (i) => 1000 + Math.sin(i * 0.7) + (i % 3));
    agrees({ kernel: "nn.layer_norm", operands: [x, waves([16384])] }, WITHIN);
    agrees({ kernel: "nn.rms_norm", operands: [x, waves([16384])] }, WITHIN);
  });
  test("of few rows, which the cores divide", () => {
    for (const width of [128, 1024]) {
      const operands = [
        floats([2, width], (i) => 500 + Math.sin(i * 0.7) + (i % 3)),
        waves([width]),
      ];
      const results = [{ elem: "f32", shape: [2, width] }] as const;
      agrees(
        { kernel: "nn.layer_norm", operands: [...operands, waves([width], 3)], results },
        WITHIN,
      );
      agrees({ kernel: "nn.rms_norm", operands, results }, WITHIN);
    }
  });
  test("of channels", () => {
    const operands = [waves([2, 6, 5, 3]), waves([6], 2), waves([6], 3)];
    agrees({ kernel: "InstanceNormalization", operands }, WITHIN);
    const variance = floats([6], (i) => i + 0.5);
    agrees(
      { kernel: "BatchNormalization", operands: [...operands, waves([6], 4), variance] },
      WITHIN,
    );
    agrees({ kernel: "GroupNormalization", attrs: { num_groups: 2 }, operands }, WITHIN);
  });
});

describe("rotary embedding in machine code", () => {
  onQemu("gives the same bits", () => {
    for (const interleaved of [false, true]) {
      const table = [waves([1, 1, 3, 10], 2), waves([3, 10], 5)];
      const operands = [waves([2, 4, 3, 10]), ...table];
      agrees({ kernel: "nn.rope", attrs: { interleaved }, operands }, 0, true);
    }
  });
});

describe("reductions in machine code", () => {
  const SUMS = ["Sum", "Mean", "L1", "L2", "SumSquare", "LogSumExp", "Prod"];
  test("along any axes", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SUMS, "Max", "Min", "LogSum"),
        fc.constantFrom([0], [1], [2], [0, 2], [1, 2], [], [-1]),
        fc.boolean(),
        (name, axes, keepdims) => {
          const operands = [floats([3, 5, 18], (i) => Math.sin(i) + 1.5)];
          agrees({ kernel: `Reduce${name}`, attrs: { axes, keepdims }, operands }, WITHIN);
        },
      ),
      { numRuns: 12, seed: 2 },
    );
  });
  test("of infinities and NaN", () => {
    const x = floats(
      [4, 9],
      (i) =>
        [i, -Infinity, i === 20 ? Number.NaN : i, i % 2 ? i : Infinity][Math.floor(i / 9)] ?? 0,
    );
    for (const name of ["Max", "Min", "LogSumExp"]) {
      agrees({ kernel: `Reduce${name}`, attrs: { axes: [1] }, operands: [x] }, WITHIN);
    }
  });
  test("of many equal numbers", () => {
    const x = floats([2, 16384], () => 0.1);
    for (const name of ["Sum", "Mean", "L2"]) {
      agrees({ kernel: `Reduce${name}`, attrs: { axes: [1] }, operands: [x] }, WITHIN);
    }
  });
  onQemu("of integers", () => {
    for (const elem of ["i64", "i32", "ui8"] as const) {
      const x = fromNumbers(
        elem,
        [3, 4, 5],
        Array.from({ length: 60 }, (_, i) => ((i * 37) % 101) - 50),
      );
      for (const name of ["Sum", "Mean", "Prod", "Max", "Min", "L1", "SumSquare"]) {
        if (name === "Prod" && elem !== "i64") continue;
        agrees({ kernel: `Reduce${name}`, attrs: { axes: [1] }, operands: [x] }, 0, elem === "i64");
      }
    }
  });
});

describe("positions and running sums in machine code", () => {
  onQemu("give the same positions", () => {
    const values = (i: number): number => (i % 11 === 5 ? Number.NaN : (i * 37) % 7);
    for (const x of [
      floats([3, 4, 5], values),
      fromNumbers(
        "i64",
        [3, 4, 5],
        Array.from({ length: 60 }, (_, i) => ((i * 37) % 7) - 3),
      ),
    ]) {
      for (const [kernel, axis, select_last_index] of [
        ["ArgMax", 1, 0],
        ["ArgMax", 2, 1],
        ["ArgMin", -1, 0],
      ] as const) {
        agrees({ kernel, attrs: { axis, select_last_index, keepdims: 0 }, operands: [x] }, 0, true);
      }
    }
  });
  test("give the same sums", () => {
    const axis = fromNumbers("i64", [], [1]);
    for (const attrs of [{}, { exclusive: 1 }, { reverse: 1 }, { exclusive: 1, reverse: 1 }]) {
      const whole = fromNumbers(
        "i64",
        [2, 6, 3],
        Array.from({ length: 36 }, (_, i) => i - 7),
      );
      agrees({ kernel: "CumSum", attrs, operands: [whole, axis], constants: [1] });
      agrees({ kernel: "CumSum", attrs, operands: [waves([2, 6, 3]), axis], constants: [1] }, 1e-7);
    }
    agrees(
      { kernel: "CumSum", operands: [floats([1, 9000], () => 0.1), axis], constants: [1] },
      1e-7,
    );
  });
  onQemu("give the same products", () => {
    const axis = fromNumbers("i32", [], [-2]);
    const odd = [1.1, -0.9, 3, 0.3, Number.POSITIVE_INFINITY, 2, 1e30, 1e30, -1e-30, 0.5, 0, 7];
    for (const attrs of [{}, { exclusive: 1 }, { reverse: 1 }, { exclusive: 1, reverse: 1 }]) {
      const whole = fromNumbers(
        "i64",
        [2, 6, 3],
        Array.from({ length: 36 }, (_, i) => i - 7),
      );
      const call = { kernel: "CumProd", attrs, constants: [1] };
      agrees({ ...call, operands: [whole, axis] });
      agrees({ ...call, operands: [waves([2, 6, 3]), axis] }, 1e-7, true);
      agrees({ ...call, operands: [floats([12, 1], (i) => odd[i] ?? 1), axis] }, 1e-7);
    }
  });
});

describe("rows in machine code", () => {
  onQemu("hold one 1 each", () => {
    const odd = [Number.NaN, 2, 2, Number.NEGATIVE_INFINITY, 5, 5, Number.NaN, 1, 0, -0, 1, 1];
    agrees({ kernel: "Hardmax", operands: [floats([4, 3], (i) => odd[i] ?? 0)] }, 0, true);
    agrees({ kernel: "Hardmax", attrs: { axis: 1 }, operands: [waves([3, 5, 2])] });
    agrees({ kernel: "Hardmax", attrs: { axis: 0 }, operands: [waves([3, 0, 2])] });
  });
  onQemu("are divided by their norms", () => {
    const sizes = [1e30, 1e-30, 0, 1];
    const x = floats([4, 37], (i) => Math.sin(i + 1) * (sizes[Math.floor(i / 37)] ?? 1));
    for (const p of [1, 2]) {
      agrees({ kernel: "LpNormalization", attrs: { p }, operands: [x] }, 1e-6, true);
      agrees({ kernel: "LpNormalization", attrs: { p, axis: 0 }, operands: [waves([3, 5])] }, 1e-6);
    }
    const odd = [Number.POSITIVE_INFINITY, 1, -1, Number.NaN, 0, 0];
    agrees({ kernel: "LpNormalization", operands: [floats([2, 3], (i) => odd[i] ?? 0)] }, 1e-6);
  });
});
