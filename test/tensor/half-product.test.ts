/** Fused multiply-adds of halves against arithmetic on whole numbers, which rounds where this test says. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addHalfProduct } from "../../src/tensor/half-product.ts";
import { fusedHalf, isNan, NAN } from "./fused-half.ts";

function once(a: number, b: number, c: number): number {
  const z = Uint16Array.of(c);
  addHalfProduct(Uint16Array.of(a), Uint16Array.of(b), z, { m: 1, n: 1, k: 1 });
  return z[0] ?? -1;
}

const half = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }),
  // Ends of every range: zeros, subnormals, powers of two, the largest, infinities, NaN.
  fc.constantFrom(0, 1, 2, 0x3ff, 0x400, 0x401, 0x3c00, 0x3c01, 0x7bff, 0x7c00, 0x7e01, 0x7c01),
  fc.constantFrom(0x8000, 0x8001, 0x83ff, 0x8400, 0xbc00, 0xbbff, 0xfbff, 0xfc00),
);

describe("addHalfProduct", () => {
  test("rounds every fused multiply-add once", () => {
    fc.assert(
      fc.property(half, half, half, (a, b, c) => {
        expect(once(a, b, c)).toBe(fusedHalf(a, b, c));
      }),
      { seed: 20260101, numRuns: 60_000 },
    );
  });

  test("keeps what a sum loses in a double on the right side of a tie", () => {
    // 32768 + 2^-48, and 32784 - 2^-48: no double holds them.
    expect(once(1, 1, 0x7800)).toBe(0x7800);
    expect(once(1, 0x8001, 0x7801)).toBe(0x7801);
    // 65504 + 16 is the tie beyond which there is only infinity; 65504 + 15.99 is not.
    expect(once(0x7bff, 0x3c00, 0x4c00)).toBe(0x7c00);
    expect(once(0x7bff, 0x3c00, 0x4bff)).toBe(0x7bff);
    // 1.0009765625^2 = 1.001953125 + 2^-20: a product that is rounded first would lose the last bit.
    expect(once(0x3c01, 0x3c01, 0xbc02)).toBe(0x0010);
  });

  test("sums in the order of the summed axis, whatever the shape", () => {
    const sizes = fc.record({ m: fc.nat(5), n: fc.nat(9), k: fc.nat(19) });
    const bits = fc.array(half, { minLength: 400, maxLength: 400 });
    fc.assert(
      fc.property(sizes, bits, ({ m, n, k }, all) => {
        const x = Uint16Array.from(all.slice(0, m * n));
        const w = Uint16Array.from(all.slice(50, 50 + n * k));
        const z = Uint16Array.from(all.slice(250, 250 + m * k));
        const wanted = z.map((start, at) => {
          const [i, j] = [Math.floor(at / k), at % k];
          let sum = isNan(start) ? NAN : start;
          for (let p = 0; p < n; p++) sum = fusedHalf(x[i * n + p] ?? 0, w[p * k + j] ?? 0, sum);
          return sum;
        });
        addHalfProduct(x, w, z, { m, n, k });
        expect([...z]).toEqual([...wanted]);
      }),
      { seed: 7, numRuns: 400 },
    );
  });
});
