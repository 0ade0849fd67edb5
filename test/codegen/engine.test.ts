/** Products on the matrix engine: machine code against the kernels of src/tensor, bit for bit. */

import { describe, expect, test } from "vitest";
import { compileKernel } from "../../src/codegen/compile-kernel.ts";
import { type RanKernel, ranKernel } from "../../src/sim/isa/measure.ts";
import { loadTarget } from "../../src/target/load.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, sizeOf, type Tensor, toBytes } from "../../src/tensor/tensor.ts";
import { type Call, expected, ISAS, requestOf } from "./run-kernel.ts";

const target = loadTarget("ahwa-lora");

/** Numbers that every rounding of a half changes, of both signs. */
function values(elem: Elem, shape: readonly number[], seed: number): Tensor {
  const of = (i: number): number => Math.sin(seed * 7919 + i * 1.7) * 2 ** ((i % 7) - 4);
  return fromNumbers(
    elem,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => of(i)),
  );
}

function run(call: Call, isa: string, cores: number): RanKernel {
  const request = requestOf(call, isa, cores);
  const operands = call.operands.map((t) => t && Uint8Array.from(toBytes(t)));
  const compiled = { ...request, ...compileKernel(request, "kernel") };
  return ranKernel(compiled, target, 1e8, operands) ?? expect.fail("it takes too long");
}

function agrees(call: Call): void {
  const [wanted] = expected(call);
  if (!wanted) throw new Error("a kernel has a result");
  for (const isa of ISAS) {
    for (const cores of [1, 8]) {
      const [found] = run(call, isa, cores).results;
      const same = found && Buffer.from(found).equals(Buffer.from(toBytes(wanted)));
      if (same) continue;
      const bits = { ...wanted, data: new Uint8Array(toBytes(wanted)) };
      expect([...(found ?? [])], `${cores} x ${isa}`).toEqual([...bits.data]);
    }
  }
}

const linear = (
  elem: Elem,
  [m, n, k]: readonly [number, number, number],
  hasBias = true,
): Call => ({
  kernel: "nn.linear",
  attrs: { engine: "redmule", transposed: false },
  operands: [
    values(elem, [m, n], 1),
    hasBias ? values(elem, [k], 2) : null,
    null,
    values("f16", [n, k], 3),
  ],
});

const lora = (elem: Elem, tokens: number, inputs: number, rank: number, outputs: number): Call => ({
  kernel: "nn.lora",
  attrs: { engine: "redmule", scale: 1.7 },
  operands: [
    values(elem, [tokens, inputs], 1),
    values(elem, [tokens, outputs], 2),
    values("f16", [rank, inputs], 3),
    values("f16", [outputs, rank], 4),
  ],
});

describe("a linear layer on the engine gives the bits of its kernel", () => {
  const shapes: readonly (readonly [number, number, number])[] = [
    [1, 1, 1],
    [1, 300, 1],
    [3, 5, 7],
    [9, 17, 33],
    // Several tiles along each axis, none of which they divide.
    [37, 130, 150],
    [2, 700, 130],
  ];
  test.each(shapes)("%i x %i x %i", (...shape) => {
    agrees(linear("f32", shape));
    agrees(linear("f16", shape, false));
  });

  test("of halves with a bias", () => agrees(linear("f16", [5, 20, 18])));

  test("with weights that lie in main memory", () => agrees(linear("f32", [3, 520, 128])));

  test("whose sums overflow, and whose inputs are no halves", () => {
    const x = fromNumbers("f32", [1, 4], [70000, -1e-9, Number.NaN, -65519]);
    const w = fromNumbers("f16", [4, 3], [1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 65504, 1]);
    const attrs = { engine: "redmule", transposed: false };
    agrees({ kernel: "nn.linear", attrs, operands: [x, null, null, w] });
  });
});

test("numbers become halves as they do in src/tensor, on both sides of every boundary", () => {
  const edges = [2 ** -25, 2 ** -24, 2 ** -14, 1, 65504, 65520, 1e30, Number.POSITIVE_INFINITY];
  const near = edges.flatMap((v) => [
    v,
    v * (1 - 2 ** -24),
    v * (1 + 2 ** -23),
    v * (1 + 2 ** -11),
  ]);
  const ties = [1, 3, 5].map((odd) => 1 + odd * 2 ** -11);
  const all = [0, Number.NaN, 1e-40, ...near, ...ties].flatMap((v) => [v, -v]);
  const x = fromNumbers("f32", [all.length, 1], all);
  const w = fromNumbers("f16", [1, 1], [1]);
  const attrs = { engine: "redmule", transposed: false };
  agrees({ kernel: "nn.linear", attrs, operands: [x, null, null, w] });
});

describe("a low-rank branch on the engine gives the bits of its kernel", () => {
  test.each([
    ["f32", 1, 3, 1, 2],
    ["f32", 11, 70, 8, 50],
    ["f16", 11, 70, 5, 50],
    ["f32", 140, 40, 8, 20],
    ["f32", 4, 600, 16, 300],
  ] as const)("%s, %i tokens, %i -> %i -> %i", (elem, tokens, inputs, rank, outputs) => {
    agrees(lora(elem, tokens, inputs, rank, outputs));
  });
});

test("the engine is busy for nearly all of a large product", () => {
  const [m, n, k] = [128, 512, 512];
  const { cycles } = run(linear("f16", [m, n, k], false), "rv32imaf", 8);
  expect((m * n * k) / cycles).toBeGreaterThan(0.95 * 32);
  expect((m * n * k) / cycles).toBeLessThan(32);
});
