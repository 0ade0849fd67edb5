/** Pieces that transformers share, spelled out in elementary operators as PyTorch's exporters leave them. */

import type { GraphFile } from "./graph-file.ts";

/** x W + b, x W without a bias: a MatMul whose initializer the exporter has transposed to [in, out]. */
export function linear(
  file: GraphFile,
  at: string,
  x: string,
  [inputs, outputs]: readonly [number, number],
  bias = false,
): string {
  const weight = file.weight(`${moduleOf(at)}.weight`, [inputs, outputs]);
  const product = file.node("MatMul", `${at}/MatMul`, [x, weight]);
  if (!bias) return product;
  return file.node("Add", `${at}/Add`, [file.weight(`${moduleOf(at)}.bias`, [outputs]), product]);
}

/** `/model/layers.0/mlp` as PyTorch names the module. */
const moduleOf = (at: string): string => at.slice(1).replaceAll("/", ".");

/** x / sqrt(mean(x^2) + epsilon) * weight, in single precision as all of them compute it. */
export function rmsNorm(file: GraphFile, at: string, x: string, width: number): string {
  const half = file.elem === "f16";
  const wide = half ? file.node("Cast", `${at}/Cast`, [x], { to: 1 }) : x;
  const square = file.node("Pow", `${at}/Pow`, [wide, file.scalar(2, "f32")]);
  const mean = file.node("ReduceMean", `${at}/ReduceMean`, [square, file.axes(-1)], {
    keepdims: 1,
  });
  const shifted = file.node("Add", `${at}/Add`, [mean, file.scalar(1e-5, "f32")]);
  const root = file.node("Sqrt", `${at}/Sqrt`, [shifted]);
  const inverse = file.node("Reciprocal", `${at}/Reciprocal`, [root]);
  const normal = file.node("Mul", `${at}/Mul`, [wide, inverse]);
  const back = half ? file.node("Cast", `${at}/Cast_1`, [normal], { to: 10 }) : normal;
  return file.node("Mul", `${at}/Mul_1`, [file.weight(`${moduleOf(at)}.weight`, [width]), back]);
}

/** (x - mean) / sqrt(variance + epsilon) * weight + bias. */
export function layerNorm(file: GraphFile, at: string, x: string, width: number): string {
  const average = (name: string, of: string) =>
    file.node("ReduceMean", `${at}/${name}`, [of, file.axes(-1)], { keepdims: 1 });
  const centred = file.node("Sub", `${at}/Sub`, [x, average("ReduceMean", x)]);
  const square = file.node("Pow", `${at}/Pow`, [centred, file.scalar(2)]);
  const variance = average("ReduceMean_1", square);
  const shifted = file.node("Add", `${at}/Add`, [variance, file.scalar(1e-12)]);
  const root = file.node("Sqrt", `${at}/Sqrt`, [shifted]);
  const normal = file.node("Div", `${at}/Div`, [centred, root]);
  const weight = file.weight(`${moduleOf(at)}.weight`, [width]);
  const scaled = file.node("Mul", `${at}/Mul`, [normal, weight]);
  return file.node("Add", `${at}/Add_1`, [scaled, file.weight(`${moduleOf(at)}.bias`, [width])]);
}

/** silu(gate) * up. */
export function gated(file: GraphFile, at: string, gate: string, up: string): string {
  const sigmoid = file.node("Sigmoid", `${at}/act_fn/Sigmoid`, [gate]);
  const silu = file.node("Mul", `${at}/act_fn/Mul`, [gate, sigmoid]);
  return file.node("Mul", `${at}/Mul`, [silu, up]);
}

/** [B, S, H*D] -> [B, H, S, D]. */
export function splitHeads(file: GraphFile, at: string, x: string, heads: number, size: number) {
  const shape = file.axes(0, 0, heads, size);
  const split = file.node("Reshape", `${at}/Reshape`, [x, shape]);
  return file.node("Transpose", `${at}/Transpose`, [split], { perm: [0, 2, 1, 3] });
}

/** softmax(q kᵀ / sqrt(D) + mask) v, heads joined again: [B, S, H*D]. */
export function attend(
  file: GraphFile,
  at: string,
  { q, kT, v, mask }: Readonly<Record<"q" | "kT" | "v" | "mask", string>>,
  [heads, size]: readonly [number, number],
): string {
  const scores = file.node("MatMul", `${at}/MatMul`, [q, kT]);
  const scaled = file.node("Div", `${at}/Div`, [scores, file.scalar(Math.sqrt(size))]);
  const masked = file.node("Add", `${at}/Add`, [scaled, mask]);
  const weights = file.node("Softmax", `${at}/Softmax`, [masked], { axis: -1 });
  const mixed = file.node("MatMul", `${at}/MatMul_1`, [weights, v]);
  const joined = file.node("Transpose", `${at}/Transpose_4`, [mixed], { perm: [0, 2, 1, 3] });
  return file.node("Reshape", `${at}/Reshape_4`, [joined, file.axes(0, 0, heads * size)]);
}
