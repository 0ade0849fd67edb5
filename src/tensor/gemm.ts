/** Matrix product on float32 arrays, the one inner loop that every kernel shares. */

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
  for (let i = 0; i < m; i++) {
    const row = out.subarray(outAt + i * n, outAt + (i + 1) * n).fill(0);
    for (let p = 0; p < k; p++) {
      const x = a[aAt + i * k + p] as number;
      const at = bAt + p * n;
      for (let j = 0; j < n; j++) row[j] = (row[j] as number) + x * (b[at + j] as number);
    }
  }
}
