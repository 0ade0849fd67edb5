import fc from "fast-check";
import { describe, test } from "vitest";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees } from "./run-kernel.ts";

/** The first rows. */
const first = ({ elem, shape: [, width = 1], data }: Tensor, rows: number): Tensor =>
  tensor(elem, [rows, width], data.slice(0, rows * width));

/** Of the largest magnitude of the result. */
const WITHIN = 2e-6;

const values = (shape: readonly number[], f: (i: number) => number) => {
  const length = shape.reduce((a, b) => a * b, 1);
  return tensor(
    "f32",
    shape,
    Float32Array.from({ length }, (_, i) => f(i)),
  );
};
const floats = (shape: readonly number[], seed = 1) =>
  values(shape, (i) => Math.sin(12.9898 * (i + 1) * seed) * 5);

const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);

describe("trees of partial sums in machine code", () => {
  onQemu("add to the same bits, and on QEMU", () => {
    for (const count of [1, 2, 3, 7]) {
      agrees({ kernel: "aimc.sum", operands: [floats([count, 3, 11])] }, 0, true);
    }
  });
  test.each([
    [0, 3],
    [33, 2],
    [4, 0],
  ])("of %i partial sums of %i numbers", (...shape) => {
    agrees({ kernel: "aimc.sum", operands: [floats(shape)] });
  });
});

const ways = ["softmax", "sigmoid"].flatMap((score) =>
  ["score", "top_k"].flatMap((first) =>
    [false, true].map((normalize) => ({ score, first, normalize })),
  ),
);

describe("routers in machine code", () => {
  test.each(ways)("with %j", (attrs) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 4 }),
        (tokens, experts, most) => {
          const how = { ...attrs, top_k: Math.min(most, experts) };
          const operands = [floats([tokens, experts])];
          agrees({ kernel: "nn.router", attrs: how, operands }, WITHIN);
        },
      ),
      { numRuns: 3, seed: 5 },
    );
  });
  const odd = [
    [1, 1, 1, 1],
    [0, -0, 0, -1],
    [Number.NaN, 1, 2, Number.NaN],
    [Number.NEGATIVE_INFINITY, 3, 2, 1],
    [1, Number.POSITIVE_INFINITY, 1, 1],
    new Array<number>(4).fill(Number.NEGATIVE_INFINITY),
    [-200, 90, -90, 90],
  ];
  onQemu("of ties, infinities and NaN, with the same bits on QEMU", () => {
    for (const how of ways) {
      const operands = [values([odd.length, 4], (i) => odd.flat()[i] ?? 0)];
      agrees({ kernel: "nn.router", attrs: { ...how, top_k: 2 }, operands }, WITHIN, true);
    }
  });
});

describe("sums over experts in machine code", () => {
  const routed = (tokens: number) =>
    values([tokens, 4], (i) => [0.25, 0, Number.NaN, -0, 2][i % 5] ?? 0);
  onQemu("leave out what was not chosen, with the same bits on QEMU", () => {
    for (const tokens of [1, 3, 9]) {
      const ys = [2, 3, 4].map((seed) => floats([tokens, 37], seed));
      const never = values([tokens, 37], () => Number.NaN);
      agrees({ kernel: "nn.combine", operands: [routed(tokens), ...ys, never] }, WITHIN, true);
    }
  });
  test.each(["f16", "bf16"] as const)("of %s", (elem) => {
    const half = (t: Tensor) => fromNumbers(elem, t.shape, toNumbers(t));
    const ys = [2, 3, 4, 5].map((seed) => half(floats([9, 37], seed)));
    agrees({ kernel: "nn.combine", operands: [half(routed(9)), ...ys] }, WITHIN);
    agrees(
      { kernel: "nn.combine", operands: [half(routed(3)), ...ys.map((y) => first(y, 3))] },
      WITHIN,
    );
  });
  test("of nothing", () => {
    agrees({ kernel: "nn.combine", operands: [floats([0, 1]), floats([0, 8])] });
    agrees({ kernel: "nn.combine", operands: [floats([2, 1]), floats([2, 0])] });
  });
});
