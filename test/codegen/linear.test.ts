import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromNumbers, toF32 } from "../../src/tensor/convert.ts";
import { type Elem, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees, type Call, expected, ISAS, run } from "./run-kernel.ts";

/** Of the largest magnitude of the result: sums in another order, with fused multiply-adds. */
const WITHIN = 1e-5;

const numbers = (elem: Elem, shape: readonly number[], f: (i: number) => number) => {
  const length = shape.reduce((a, b) => a * b, 1);
  return fromNumbers(
    elem,
    shape,
    Float64Array.from({ length }, (_, i) => f(i)),
  );
};
const floats = (shape: readonly number[], seed = 1) =>
  numbers("f32", shape, (i) => Math.sin(12.9898 * (i + 1) * seed) * 2);

describe("linear layers in machine code", () => {
  test.each([
    { transposed: false, bias: true, t: 9 },
    { transposed: true, bias: true, t: 9 },
    { transposed: true, bias: false, t: 1 },
    { transposed: false, bias: false, t: 1 },
  ])("%j", ({ transposed, bias, t }) => {
    const operands = [
      floats([1, t, 64]),
      bias ? floats([48], 3) : null,
      null,
      floats(transposed ? [48, 64] : [64, 48], 2),
    ];
    agrees({ kernel: "nn.linear", attrs: { transposed }, operands }, WITHIN);
  });
  test("with a matrix of a stack, and of axes that count as one", () => {
    const stack = [floats([2, 12]), null, null, floats([3, 12, 10], 2)];
    agrees(
      { kernel: "nn.linear", attrs: { transposed: false, slice: 1 }, operands: stack },
      WITHIN,
    );
    const filters = [floats([2, 12]), null, null, floats([10, 3, 2, 2], 2)];
    agrees({ kernel: "nn.linear", attrs: { transposed: true }, operands: filters }, WITHIN);
  });

  const codes = (elem: Elem, shape: readonly number[], most: number) =>
    numbers(elem, shape, (i) => ((i * 37) % (2 * most)) - (elem.startsWith("u") ? 0 : most));

  test.each(["i8", "ui8", "i4", "ui4", "i16", "i32", "f16", "bf16"] as const)(
    "with a weight of %s",
    (elem) => {
      const operands = [floats([3, 20]), null, null, codes(elem, [20, 9], 7)];
      agrees({ kernel: "nn.linear", attrs: { transposed: false }, operands }, WITHIN);
    },
  );

  test("with integers that have scales by blocks, and zero points", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom("i8", "ui4"),
        (transposed, hasZeros, block, elem) => {
          const [inputs, outputs] = [20, 11];
          const blocks = Math.ceil(inputs / block);
          const turn = (rows: number) => (transposed ? [outputs, rows] : [rows, outputs]);
          const operands = [
            floats([5, inputs]),
            floats([outputs], 3),
            null,
            codes(elem as Elem, turn(inputs), 8),
            floats(turn(blocks), 4),
            hasZeros ? codes(elem as Elem, turn(blocks), 5) : null,
          ];
          agrees({ kernel: "nn.linear", attrs: { transposed, block }, operands }, WITHIN);
        },
      ),
      { numRuns: 4, seed: 9 },
    );
  });

  test("with scales of a matrix of a stack", () => {
    const operands = [floats([2, 12]), null, null, codes("i8", [3, 10, 12], 9)];
    const scales = [floats([3, 10, 3], 4), codes("i8", [3, 10, 3], 3)];
    const attrs = { transposed: true, slice: 2, block: 4 };
    agrees({ kernel: "nn.linear", attrs, operands: [...operands, ...scales] }, WITHIN);
  });

  test.each([1, 4])("of an expert, for the tokens that are routed to it (of %i)", (tokens) => {
    const routing = numbers("f32", [tokens, 3], (i) => [0.5, 0, 0, 0.1, 0, 0.2, 0.7][i % 7] ?? 0);
    for (const expert of [0, 1]) {
      const x = floats([tokens, 20]);
      const operands = [x, floats([30], 3), routing, floats([20, 30], 2)];
      agrees({ kernel: "nn.linear", attrs: { transposed: false, expert }, operands }, WITHIN);
    }
  });
});

/** Largest error by the largest magnitude: halves have 11 bits, bfloats 8, and src/tensor rounds between steps. */
function closeHalves(call: Call, within: number): void {
  const wanted = expected(call).map(toF32);
  for (const isa of ISAS) {
    for (const cores of [1, 8]) {
      run(call, isa, cores).forEach((found: Tensor, i) => {
        const [a, b] = [toF32(found), wanted[i] ?? new Float32Array()];
        const scale = b.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
        const worst = b.reduce((most, v, j) => Math.max(most, Math.abs(v - (a[j] ?? 1e9))), 0);
        expect(worst).toBeLessThanOrEqual(within * scale);
      });
    }
  }
}

describe("products of halves in machine code", () => {
  test.each([
    { elem: "f16", within: 2 ** -10 },
    { elem: "bf16", within: 2 ** -7 },
  ] as const)("of $elem", ({ elem, within }) => {
    const halves = (shape: readonly number[], seed = 1) =>
      numbers(elem, shape, (i) => Math.sin(12.9898 * (i + 1) * seed) * 2);
    closeHalves({ kernel: "MatMul", operands: [halves([3, 20]), halves([20, 17], 2)] }, within);
    const linear = [halves([2, 12]), halves([7]), null, halves([12, 7], 2)];
    closeHalves({ kernel: "nn.linear", attrs: { transposed: false }, operands: linear }, within);
    const heads = [1, 2, 3].map((seed) => halves([1, 2, 3, 8], seed));
    const attrs = { scale: 0.3, causal: true };
    closeHalves({ kernel: "nn.attention", attrs, operands: heads }, within);
  });

  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("every half is widened and rounded as src/tensor does it", () => {
    for (const elem of ["f16", "bf16"] as const) {
      const all = tensor(
        elem,
        [1, 65536],
        Uint16Array.from({ length: 65536 }, (_, i) => i),
      );
      // A sum of one is the number itself; NaN may change its payload.
      agrees({ kernel: "aimc.sum", operands: [withoutNaN(all)] }, 0, true);
    }
    // Sums of halves lie between halves: ties, overflow and the smallest numbers.
    const pairs = numbers("f16", [2, 4096], (i) => {
      const power = 2 ** ((i % 41) - 25);
      return i < 4096 ? power * (1 + (i % 7) / 1024) : (power * (i % 3)) / 2048;
    });
    agrees({ kernel: "aimc.sum", operands: [pairs] }, 0, true);
  });
});

function withoutNaN(t: Tensor): Tensor {
  const values = toF32(t);
  const data = Uint16Array.from(values, (v, i) => (Number.isNaN(v) ? 0 : Number(t.data[i])));
  return { ...t, data };
}
