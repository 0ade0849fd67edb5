import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gaussianAt } from "../../src/sim/noise-address.ts";
import { matmul, plainMatmul } from "../../src/tensor/gemm.ts";
import { philox } from "../../src/tensor/philox.ts";
import { Wasm } from "../../src/wasm/module.ts";

test("the committed module is what its source compiles to", async () => {
  // @ts-expect-error: a plain script without types.
  const { generate } = await import("../../scripts/build-wasm.mjs");
  expect(await generate()).toBe(readFileSync("src/wasm/kernels.gen.ts", "utf8"));
});

describe("matmul", () => {
  const size = fc.integer({ min: 1, max: 40 });
  test("gives the same bits in WebAssembly and in JavaScript", () => {
    fc.assert(
      fc.property(size, size, size, fc.nat(), (m, k, n, seed) => {
        const at = { seed, stream: 0, row: 0, inference: 0, block: 0 };
        const draw = (count: number, row: number) =>
          Float32Array.from({ length: count }, (_, i) => gaussianAt(i, { ...at, row }));
        const [a, b] = [draw(3 + m * k, 0), draw(5 + k * n, 1)];
        const fast = new Float32Array(7 + m * n);
        const plain = new Float32Array(7 + m * n);
        matmul(a.subarray(3), b.subarray(5), fast.subarray(7), { m, k, n });
        plainMatmul(a.subarray(3), b.subarray(5), plain.subarray(7), { m, k, n });
        expect(fast).toEqual(plain);
      }),
      { numRuns: 40 },
    );
  });
});

describe("Philox 4x32-10", () => {
  // Known answers of Random123 1.14 (kat_vectors).
  const ones = 0xffffffff;
  test.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [ones, ones, ones, ones],
      [ones, ones],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)("counter %o key %o", (counter, key, answer) => {
    expect(philox(counter, key)).toEqual(answer);
  });

  test("the SIMD version has the same words and gaussians at the same addresses", () => {
    const wasm = new Wasm();
    const at = wasm.reserve(160);
    const address = { seed: 0xdeadbeef, stream: 4, row: 77, inference: 5, block: 0x80000001 };
    const { seed, stream, row, inference, block } = address;
    wasm.call.words(at, 0, 160, seed, stream, row, inference, block);
    const words = wasm.words(at, 160).slice();
    wasm.call.gaussians(at, 0, 160, seed, stream, row, inference, block);
    const values = wasm.view(at, 160);
    for (let e = 0; e < 160; e++) {
      const group = 4 * Math.floor(e / 16) + (e % 4);
      const four = philox([group, row, inference, block], [seed, stream]);
      expect(words[e]).toBe(four[Math.floor(e / 4) % 4]);
      expect(values[e]).toBeCloseTo(gaussianAt(e, address), 5);
    }
  });

  test("a million gaussians have the moments of the normal distribution", () => {
    const wasm = new Wasm();
    const n = 1 << 20;
    const at = wasm.reserve(n);
    wasm.call.gaussians(at, 0, n, 1, 2, 3, 4, 5);
    const z = wasm.view(at, n);
    const moment = (p: number) => z.reduce((sum, v) => sum + v ** p, 0) / n;
    // Standard errors: sqrt((2p - 1)!! / n) for odd p, sqrt(2 / n) and sqrt(96 / n) for 2 and 4.
    expect(Math.abs(moment(1))).toBeLessThan(4 * Math.sqrt(1 / n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(4 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / n));
    // Beyond 4 sigma: 2 (1 - Phi(4)) = 6.334e-5, a Poisson count of 66.4.
    const tail = z.reduce((sum, v) => sum + (Math.abs(v) > 4 ? 1 : 0), 0);
    expect(Math.abs(tail - 66.4)).toBeLessThan(4 * Math.sqrt(66.4));
  });
});
