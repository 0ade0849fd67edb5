/** Matrix products in halves (IEEE binary16), with one rounding a fused multiply-add: what FP16 arrays compute. */

import { Wasm } from "../wasm/module.ts";

let wasm: Wasm | undefined;

/** Rows, summed axis and columns of a product. */
export interface ProductSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** z[m,k] += x[m,n] · w[n,k], bits of halves, row-major; sums go on in the order of n, from what z holds. */
export function addHalfProduct(
  x: Uint16Array,
  w: Uint16Array,
  z: Uint16Array,
  { m, n, k }: ProductSizes,
): void {
  wasm ??= new Wasm();
  const words = [m * n, n * k, m * k].map((count) => Math.ceil(count / 2));
  const [atX = 0, atW = 0, atZ = 0, row = 0, panel = 0] = wasm.scratch([...words, n * 2, n * 16]);
  wasm.halves(atX, m * n).set(x.subarray(0, m * n));
  wasm.halves(atW, n * k).set(w.subarray(0, n * k));
  wasm.halves(atZ, m * k).set(z.subarray(0, m * k));
  wasm.call.addHalfProduct(atX, atW, atZ, m, n, k, row, panel);
  z.set(wasm.halves(atZ, m * k));
}
