import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees } from "./run-kernel.ts";

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
});
