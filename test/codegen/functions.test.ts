import { describe, expect, test } from "vitest";
import { erf } from "../../src/tensor/kernels/erf.ts";
import { activation } from "../../src/tensor/kernels/unary.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { accuracy, allMagnitudes, spread } from "./accuracy.ts";
import { ISAS, run } from "./run-kernel.ts";

const EVERYWHERE = allMagnitudes(60_000);
const USUAL = spread(60_000, -12, 12);
const UNIT = spread(60_000, -1, 1);

type Right = (x: number) => number;

/** Results smaller than `tiny`, and errors, are not told apart. */
type Bound = readonly [name: string, xs: Float32Array, ulps: number, tiny?: number];

function judged(kernel: string, attrs: Readonly<Record<string, unknown>>, right: Right) {
  return ([, xs, ulps, tiny = 0]: Bound): void => {
    for (const { isa, worst, ...found } of accuracy(kernel, attrs, xs, right, tiny)) {
      expect(found.ulps, `${kernel} on ${isa}, ulps, worst at ${worst}`).toBeLessThan(ulps);
    }
  };
}

const KERNELS: readonly (readonly [string, Right, ...Bound[]])[] = [
  ["Log", Math.log, ["everywhere", EVERYWHERE, 1], ["near 1", spread(60_000, 0.5, 2), 1]],
  ["Sin", Math.sin, ["of positions", spread(100_000, -1e5, 1e5), 2], ["usual", USUAL, 2]],
  ["Cos", Math.cos, ["of positions", spread(100_000, -1e5, 1e5), 2], ["usual", USUAL, 2]],
  ["Tan", Math.tan, ["of positions", spread(100_000, -1e5, 1e5), 4], ["usual", USUAL, 4]],
  ["Asin", Math.asin, ["everywhere", EVERYWHERE, 3], ["usual", UNIT, 3]],
  ["Acos", Math.acos, ["everywhere", EVERYWHERE, 3], ["usual", UNIT, 3]],
  ["Atan", Math.atan, ["everywhere", EVERYWHERE, 3], ["usual", USUAL, 3]],
  ["Sinh", Math.sinh, ["everywhere", EVERYWHERE, 4], ["usual", spread(60_000, -89, 89), 4]],
  ["Cosh", Math.cosh, ["everywhere", EVERYWHERE, 4], ["usual", spread(60_000, -89, 89), 4]],
  ["Asinh", Math.asinh, ["everywhere", EVERYWHERE, 3], ["usual", USUAL, 3]],
  ["Acosh", Math.acosh, ["everywhere", EVERYWHERE, 3], ["usual", spread(60_000, 1, 3), 3]],
  ["Atanh", Math.atanh, ["everywhere", EVERYWHERE, 3], ["usual", UNIT, 3]],
  ["Tanh", Math.tanh, ["everywhere", EVERYWHERE, 2.5], ["usual", USUAL, 2.5]],
  ["Erf", erf, ["everywhere", EVERYWHERE, 2], ["usual", USUAL, 2]],
];

/** The reference's own cancellation: 1 + erf(x) is right to so much. */
const CANCELLED = 1e-14;
const FLUSHED = 2 ** -118;

const ACTIVATIONS: readonly (readonly [string, number, number])[] = [
  ["sigmoid", 2.5, FLUSHED],
  ["silu", 2.5, FLUSHED],
  ["quick_gelu", 64, FLUSHED],
  ["gelu_tanh", 64, CANCELLED],
  ["gelu_erf", 64, CANCELLED],
  ["softplus", 2, FLUSHED],
  ["mish", 4, FLUSHED],
  ["elu", 1, 0],
  ["selu", 2, 0],
  ["hard_sigmoid", 1, 6e-8],
  ["hard_swish", 1, 3e-7],
  ["relu", 0.001, 0],
  ["tanh", 2.5, 0],
  ["erf", 2, 0],
];

describe("functions in machine code", () => {
  for (const [kernel, right, ...bounds] of KERNELS) {
    const judge = judged(kernel, {}, right);
    for (const bound of bounds) test(`${kernel}, ${bound[0]}`, () => judge(bound));
  }
  test("Pow of positive numbers", () => {
    const xs = Float32Array.from(spread(200, -9, 9), Math.exp);
    const ys = spread(120, -9, 9);
    const operands = [tensor("f32", [xs.length, 1], xs), tensor("f32", [ys.length], ys)];
    for (const isa of ISAS) {
      const [z] = run({ kernel: "Pow", operands }, isa, 1);
      const off = Array.from(z?.data as Float32Array, (found, i) => {
        const right = (xs[Math.floor(i / ys.length)] ?? 0) ** (ys[i % ys.length] ?? 0);
        const isNormal = right > 2 ** -125 && right < 2 ** 127;
        return isNormal ? Math.abs(found / right - 1) : 0;
      });
      expect(Math.max(...off), isa).toBeLessThan(2e-6);
    }
  });
  for (const [name, ulps, tiny] of ACTIVATIONS) {
    const judge = judged("nn.activation", { function: name }, activation(name));
    test(`${name}, everywhere`, () => judge(["", EVERYWHERE, ulps, tiny]));
    test(`${name} of usual arguments`, () => judge(["", USUAL, ulps, tiny]));
  }
});
