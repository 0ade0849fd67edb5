/**
 * Matrix product on float32 arrays, the one inner loop that every kernel shares. Large products run in
 * WebAssembly, small ones here; both round after every product and every addition and sum over k in
 * order, so the results are the same bit for bit.
 */

import { Wasm } from "../wasm/module.ts";

/** Below this many multiply-accumulates, copying in and out costs more than it saves. */
const SMALL = 4096;

let wasm: Wasm | undefined;

/** out[m,n] = a[m,k] · b[k,n], row-major, at the given element offsets. Sums run over k in order. */
export function matmul(
  a: Float32Array,
  aAt: number,
  b: Float32Array,
  bAt: number,
  out: Float32Array,
  outAt: number,
  m: number,
  k: number,
  n: number,
): void {
  if (m * k * n < SMALL) plainMatmul(a, aAt, b, bAt, out, outAt, m, k, n);
  else wideMatmul(a, aAt, b, bAt, out, outAt, m, k, n);
}

/** The same product in plain JavaScript. */
export function plainMatmul(
  a: Float32Array,
  aAt: number,
  b: Float32Array,
  bAt: number,
  out: Float32Array,
  outAt: number,
  m: number,
  k: number,
  n: number,
): void {
  for (let i = 0; i < m; i++) {
    const row = out.subarray(outAt + i * n, outAt + (i + 1) * n).fill(0);
    for (let p = 0; p < k; p++) {
      const x = a[aAt + i * k + p] as number;
      const at = bAt + p * n;
      // Doubles would keep the product exact; rounding it makes this the f32 arithmetic of the other path.
      for (let j = 0; j < n; j++) {
        row[j] = (row[j] as number) + Math.fround(x * (b[at + j] as number));
      }
    }
  }
}

/** Copies into the module's memory, its columns padded to whole vectors, and the result back. */
function wideMatmul(
  a: Float32Array,
  aAt: number,
  b: Float32Array,
  bAt: number,
  out: Float32Array,
  outAt: number,
  m: number,
  k: number,
  n: number,
): void {
  wasm ??= new Wasm();
  const cols = Math.ceil(n / 8) * 8;
  const [atA = 0, atB = 0, atOut = 0] = wasm.scratch([m * k, k * cols, m * cols]);
  wasm.view(atA, m * k).set(a.subarray(aAt, aAt + m * k));
  copyRows(b, bAt, n, wasm.view(atB, k * cols), 0, cols, k, n);
  wasm.call.matmul(atA, atB, atOut, m, k, cols, cols, 8);
  copyRows(wasm.view(atOut, m * cols), 0, cols, out, outAt, n, m, n);
}

/** Copies `rows` rows of `width` elements between matrices with different distances of rows. */
function copyRows(
  from: Float32Array,
  fromAt: number,
  fromStep: number,
  to: Float32Array,
  toAt: number,
  toStep: number,
  rows: number,
  width: number,
): void {
  if (fromStep === width && toStep === width) {
    to.set(from.subarray(fromAt, fromAt + rows * width), toAt);
    return;
  }
  for (let i = 0; i < rows; i++) {
    const at = fromAt + i * fromStep;
    to.set(from.subarray(at, at + width), toAt + i * toStep);
  }
}
