/** Products on cores with streams: the same bits as on those without, which QEMU judges. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { compileKernel } from "../../src/codegen/compile-kernel.ts";
import { sizeOf, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { random } from "../riscv/random.ts";
import { type Call, requestOf, run } from "./run-kernel.ts";

const SEED = 20261121;
const [PLAIN, STREAMS] = ["rv32imaf", "rv32imaf_xssr_xfrep"];

const judged = judgedBy(findProgram("qemu-riscv32"), "QEMU's user mode", RISCV_PACKAGES);

function filled(draw: (below: number) => number, shape: readonly number[]): Tensor {
  const odd = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, -1e30, 1e-40];
  const value = (): number =>
    draw(40) === 0 ? (odd[draw(odd.length)] ?? 0) : draw(2000) / 1000 - 1;
  return tensor("f32", shape, Float32Array.from({ length: sizeOf(shape) }, value));
}

function sameBits(call: Call, what: string): void {
  for (const cores of [1, 3, 8]) {
    const wanted = run(call, PLAIN, cores, cores === 3);
    const found = run(call, STREAMS, cores);
    for (const [i, t] of wanted.entries()) {
      const [a, b] = [found[i], t].map((v) =>
        Buffer.from(new Uint8Array((v as Tensor).data.buffer)),
      );
      expect(a?.equals(b ?? Buffer.alloc(0)), `${what}, ${cores} cores, result ${i}`).toBe(true);
    }
  }
}

judged("Gemm of any sizes, layouts, factors and addends", () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 40 }));
  const shape = fc.record({ m: size, k: fc.integer({ min: 0, max: 20 }), n: size });
  const factor = fc.constantFrom(1, 1, 0.5, 0);
  const attrs = fc.record({
    transA: fc.constantFrom(0, 1),
    transB: fc.constantFrom(0, 1),
    alpha: factor,
    beta: factor,
  });
  const addend = fc.constantFrom("none", "all", "columns", "rows", "one");
  fc.assert(
    fc.property(shape, attrs, addend, fc.nat(), ({ m, k, n }, a, c, seed) => {
      const draw = random(seed);
      const added = { none: null, all: [m, n], columns: [n], rows: [m, 1], one: [1] }[c];
      const operands = [
        filled(draw, a.transA ? [k, m] : [m, k]),
        filled(draw, a.transB ? [n, k] : [k, n]),
        added && filled(draw, added),
      ];
      sameBits({ kernel: "Gemm", attrs: a, operands }, `${m} x ${k} x ${n}`);
    }),
    { seed: SEED, numRuns: 25 },
  );
});

judged("stacks of products, low-rank branches and attention", () => {
  const draw = random(SEED);
  const of = (...shape: number[]): Tensor => filled(draw, shape);
  const rank = { scale: 4 };
  const calls: Call[] = [
    { kernel: "MatMul", operands: [of(3, 7, 33), of(3, 33, 18)] },
    { kernel: "MatMul", operands: [of(2, 3, 1, 9), of(3, 9, 5)] },
    { kernel: "MatMul", operands: [of(40), of(40, 70)] },
    { kernel: "MatMul", operands: [of(70, 40), of(40)] },
    { kernel: "nn.lora", attrs: rank, operands: [of(9, 24), of(9, 20), of(8, 24), of(20, 8)] },
    { kernel: "nn.lora", attrs: rank, operands: [of(1, 24), of(1, 20), of(2, 24), of(20, 2)] },
  ];
  for (const call of calls) sameBits(call, call.kernel);
  const numbers = (...shape: number[]): Tensor =>
    tensor(
      "f32",
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => draw(2000) / 1000 - 1),
    );
  for (const [queries, keys, attrs] of [
    [7, 7, { causal: true }],
    [1, 19, { causal: true }],
    [6, 2, {}],
    [9, 9, { causal: true, window: 3 }],
  ] as const) {
    const operands = [numbers(1, 4, queries, 8), numbers(1, 2, keys, 8), numbers(1, 2, keys, 12)];
    const call = { kernel: "nn.attention", attrs: { scale: 0.25, ...attrs }, operands };
    sameBits(call, `attention of ${queries} queries`);
  }
});

test("the text of a product stays small", () => {
  const draw = random(SEED);
  for (const [m, k, n] of [
    [13, 64, 37],
    [128, 768, 770],
  ] as const) {
    const call = { kernel: "MatMul", operands: [filled(draw, [m, k]), filled(draw, [k, n])] };
    const results = [{ elem: "f32" as const, shape: [m, n] }];
    const { lines } = compileKernel(requestOf({ ...call, results }, STREAMS, 8), "kernel");
    expect(lines.filter((l) => l.kind === "instruction").length).toBeLessThan(2048);
  }
});
