/**
 * Matrix product on float32 arrays, the one inner loop that every kernel shares. Large products run in
 * WebAssembly, small ones here; both round after every product and every addition and sum over k in
 * order, so the results are the same bit for bit.
 */

import { Wasm } from "../wasm/module.ts";

/** Below this many multiply-accumulates, copying in and out costs more than it saves. */
const SMALL = 4096;

let wasm: Wasm | undefined;

/** Of the product of a[m, k] and b[k, n]. */
export interface Sizes {
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** out[m, n] = a[m, k] · b[k, n], row-major, each at the front of its array. Sums run over k in order. */
export function matmul(a: Float32Array, b: Float32Array, out: Float32Array, sizes: Sizes): void {
  const isSmall = sizes.m * sizes.k * sizes.n < SMALL;
  (isSmall ? plainMatmul : wideMatmul)(a, b, out, sizes);
}

/** The same product in plain JavaScript. */
export function plainMatmul(
  a: Float32Array,
  b: Float32Array,
  out: Float32Array,
  { m, k, n }: Sizes,
): void {
  for (let i = 0; i < m; i++) {
    const row = out.subarray(i * n, (i + 1) * n).fill(0);
    for (let p = 0; p < k; p++) {
      const x = a[i * k + p] as number;
      // Doubles would keep the product exact; rounding it makes this the f32 arithmetic of the other path.
      for (let j = 0; j < n; j++) {
        row[j] = (row[j] as number) + Math.fround(x * (b[p * n + j] as number));
      }
    }
  }
}

/** Copies into the module's memory, its columns padded to whole vectors, and the result back. */
function wideMatmul(a: Float32Array, b: Float32Array, out: Float32Array, { m, k, n }: Sizes): void {
  wasm ??= new Wasm();
  const cols = Math.ceil(n / 8) * 8;
  const [atA = 0, atB = 0, atOut = 0] = wasm.scratch([m * k, k * cols, m * cols]);
  wasm.view(atA, m * k).set(a.subarray(0, m * k));
  copyRows(b, n, wasm.view(atB, k * cols), cols, k, n);
  wasm.call.matmul(atA, atB, atOut, m, k, cols, cols, 8);
  copyRows(wasm.view(atOut, m * cols), cols, out, n, m, n);
}

/** Copies `rows` rows of `width` elements between matrices with different distances of rows. */
function copyRows(
  from: Float32Array,
  fromStep: number,
  to: Float32Array,
  toStep: number,
  rows: number,
  width: number,
): void {
  if (fromStep === width && toStep === width) {
    to.set(from.subarray(0, rows * width));
    return;
  }
  for (let i = 0; i < rows; i++) {
    to.set(from.subarray(i * fromStep, i * fromStep + width), i * toStep);
  }
}
