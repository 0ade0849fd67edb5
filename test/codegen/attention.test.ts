import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileKernel } from "../../src/codegen/compile-kernel.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees, requestOf } from "./run-kernel.ts";

/** Of the largest magnitude of the result. */
const WITHIN = 1e-5;

const values = (shape: readonly number[], f: (i: number) => number) => {
  const length = shape.reduce((a, b) => a * b, 1);
  return tensor(
    "f32",
    shape,
    Float32Array.from({ length }, (_, i) => f(i)),
  );
};
const floats = (shape: readonly number[], seed = 1) =>
  values(shape, (i) => Math.sin(12.9898 * (i + 1) * seed) * 2);

interface Sizes {
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly width: number;
}

const operandsOf = ({ heads, keyHeads, queries, keys, depth, width }: Sizes, batch = 2) => [
  floats([batch, heads, queries, depth]),
  floats([batch, keyHeads, keys, depth], 2),
  floats([batch, keyHeads, keys, width], 3),
];

const SMALL = { heads: 4, keyHeads: 2, queries: 3, keys: 9, depth: 8, width: 6 };
const count = (max: number) => fc.integer({ min: 1, max });

describe("attention in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("gives what src/tensor gives, and the same bits on QEMU", () => {
    const attrs = { scale: 0.25, causal: true };
    agrees({ kernel: "nn.attention", attrs, operands: operandsOf(SMALL) }, WITHIN, true);
  });

  test("of any sizes, causal or with a window", () => {
    const how = fc.constantFrom<Record<string, unknown>>(
      { causal: false },
      { causal: true },
      { causal: true, window: 3 },
    );
    const sizes = fc.tuple(count(2), count(3), count(20), count(33), count(17), count(10));
    fc.assert(
      fc.property(sizes, how, ([keyHeads, share, queries, keys, depth, width], attrs) => {
        const all = { heads: keyHeads * share, keyHeads, queries, keys, depth, width };
        const operands = operandsOf(all, 1);
        agrees({ kernel: "nn.attention", attrs: { scale: 0.3, ...attrs }, operands }, WITHIN);
      }),
      { numRuns: 10, seed: 3 },
    );
  });

  test.each([
    { shape: [2, 4, 3, 9] },
    { shape: [1, 1, 1, 9] },
    { shape: [4, 1, 1] },
    { shape: [9] },
  ])("with a mask of $shape", ({ shape }) => {
    const operands = [...operandsOf(SMALL), floats(shape, 5)];
    for (const more of [{ causal: false }, { causal: true, window: 2 }]) {
      agrees({ kernel: "nn.attention", attrs: { scale: 0.5, ...more }, operands }, WITHIN);
    }
  });

  test("queries that see nothing get zeros", () => {
    const mask = values([3, 9], (i) => (i < 9 || i % 4 === 0 ? Number.NEGATIVE_INFINITY : 0));
    const operands = [...operandsOf(SMALL), mask];
    agrees({ kernel: "nn.attention", attrs: { scale: 0.5, causal: false }, operands }, WITHIN);
    const few = operandsOf({ ...SMALL, queries: 6, keys: 2 });
    agrees({ kernel: "nn.attention", attrs: { scale: 1, causal: true }, operands: few }, WITHIN);
  });

  test("with sinks, of queries or of heads", () => {
    for (const shape of [
      [1, 4, 1, 1],
      [2, 4, 3, 1],
    ]) {
      const operands = [...operandsOf(SMALL), null, floats(shape, 7)];
      agrees({ kernel: "nn.attention", attrs: { scale: 0.5, causal: true }, operands }, WITHIN);
    }
  });

  test("with scores that are capped", () => {
    const attrs = { scale: 2, causal: true, softcap: 3 };
    agrees({ kernel: "nn.attention", attrs, operands: operandsOf(SMALL) }, WITHIN);
  });

  test("of infinite and undefined scores", () => {
    const [q, k, v] = operandsOf(SMALL);
    if (!q || !k || !v) return expect.fail();
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, 3e38]) {
      const broken = values(q.shape, (i) => (i === 5 ? odd : Number(q.data[i])));
      const operands = [broken, k, v];
      agrees({ kernel: "nn.attention", attrs: { scale: 0.5, causal: false }, operands }, WITHIN);
    }
  });

  test("of nothing", () => {
    const attrs = { scale: 1, causal: false };
    for (const sizes of [{ queries: 0 }, { keys: 0 }, { width: 0 }]) {
      const operands = operandsOf({ ...SMALL, ...sizes });
      agrees({ kernel: "nn.attention", attrs, operands }, WITHIN);
    }
  });

  /** So many that a core goes over them in blocks, whose scores fit its part of the scratch memory. */
  const MANY = { heads: 2, keyHeads: 1, queries: 11, keys: 2100, depth: 4, width: 3 };

  test.each<{ attrs: Record<string, unknown>; more?: readonly (Tensor | null)[] }>([
    { attrs: { causal: false } },
    { attrs: { causal: true, softcap: 3 }, more: [floats([2100], 5)] },
    { attrs: { causal: true, window: 700 }, more: [floats([11, 2100], 5), floats([2, 1, 1], 7)] },
    { attrs: { causal: true }, more: [values([2100], (i) => (i < 2050 ? -Infinity : 1))] },
    { attrs: { causal: false }, more: [values([2100], (i) => (i < 2050 ? i / 100 : -Infinity))] },
  ])("of so many keys that they are taken in blocks: $attrs", ({ attrs, more = [] }) => {
    const operands = [...operandsOf(MANY, 1), ...more];
    const call = { kernel: "nn.attention", attrs: { scale: 0.5, ...attrs }, operands };
    const small = compileKernel(requestOf(call, "rv32imaf", 8), "kernel").scratchBytes;
    expect(small).toBeLessThan(34_000);
    agrees(call, WITHIN);
  });

  const KEYS_AND_VALUES = [1, 2].map((operand) => ({ operand, axis: 2 }));
  const MASK = { operand: 3, axis: 2 };

  test("code for a number of keys that only the run knows", () => {
    const how = fc.constantFrom<Record<string, unknown>>(
      { causal: false },
      { causal: true },
      { causal: true, window: 3 },
    );
    const sizes = fc.tuple(count(6), fc.integer({ min: 0, max: 40 }), fc.boolean());
    fc.assert(
      fc.property(sizes, how, ([queries, keys, masked], attrs) => {
        const operands = operandsOf({ ...SMALL, queries, keys });
        if (masked) operands.push(floats([4, queries, keys], 5));
        const axes = masked ? [...KEYS_AND_VALUES, MASK] : KEYS_AND_VALUES;
        const growing = { axes, most: 40 };
        agrees(
          { kernel: "nn.attention", attrs: { scale: 0.3, ...attrs }, operands, growing },
          WITHIN,
        );
      }),
      { numRuns: 8, seed: 5 },
    );
  });

  test("of halves, and in blocks", () => {
    const growing = { axes: KEYS_AND_VALUES, most: 1000 };
    for (const keys of [1, 470, 1000]) {
      const operands = operandsOf({ ...MANY, keys }, 1).map((t) =>
        fromNumbers("f16", t.shape, toNumbers(t)),
      );
      const attrs = { scale: 0.5, causal: true };
      agrees({ kernel: "nn.attention", attrs, operands, growing }, WITHIN);
    }
  });
});
