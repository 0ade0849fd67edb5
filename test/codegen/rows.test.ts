import fc from "fast-check";
import { describe, test } from "vitest";
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
  test("of channels", () => {
    const operands = [waves([2, 6, 5, 3]), waves([6], 2), waves([6], 3)];
    agrees({ kernel: "InstanceNormalization", operands }, WITHIN);
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
