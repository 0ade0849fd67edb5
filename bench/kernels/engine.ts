/** Products on the matrix engine of the ahwa-lora target, by its cluster of eight cores, beside these cores alone. */

import { compileKernel } from "../../src/codegen/compile-kernel.ts";
import { isaOf } from "../../src/codegen/isa.ts";
import { measureKernel } from "../../src/sim/isa/measure.ts";
import { loadTarget } from "../../src/target/load.ts";
import type { Elem } from "../../src/tensor/tensor.ts";

type Shape = readonly number[];

interface Product {
  readonly name: string;
  readonly kernel: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly operands: readonly (Shape | null)[];
  /** Numbers of the operands that are weights. */
  readonly weights: readonly number[];
  readonly result: Shape;
  readonly macs: number;
}

const linear = (m: number, n: number, k: number): Product => ({
  name: `nn.linear ${m}x${n}x${k}`,
  kernel: "nn.linear",
  attrs: { transposed: false },
  operands: [[m, n], null, null, [n, k]],
  weights: [3],
  result: [m, k],
  macs: m * n * k,
});

const lora = (tokens: number, width: number): Product => ({
  name: `nn.lora rank 8, ${width}, t = ${tokens}`,
  kernel: "nn.lora",
  attrs: { scale: 4 },
  operands: [
    [tokens, width],
    [tokens, width],
    [8, width],
    [width, 8],
  ],
  weights: [2, 3],
  result: [tokens, width],
  macs: 2 * 8 * tokens * width,
});

const PRODUCTS = [
  linear(128, 512, 512),
  linear(32, 512, 512),
  linear(8, 512, 512),
  ...[8, 32, 128].map((t) => lora(t, 512)),
];

/** The engine's multiply-adds a cycle. */
const PEAK = 32;
const MOST = 1e9;

function cycles(product: Product, elem: Elem, onEngine: boolean): number {
  const target = loadTarget("ahwa-lora");
  const { attrs, operands, weights, result, kernel } = product;
  const request = {
    kernel,
    attrs: onEngine ? { ...attrs, engine: "redmule" } : attrs,
    operands: operands.map((shape, i) => {
      const isHalf = onEngine && weights.includes(i);
      return shape && { elem: isHalf ? ("f16" as const) : elem, shape };
    }),
    results: [{ elem, shape: result }],
    isa: isaOf(target.cluster.isa),
    cores: target.cluster.cores.value,
  };
  const found = measureKernel({ ...request, ...compileKernel(request, "kernel") }, target, MOST);
  if (found === null) throw new Error(`${product.name} takes too long`);
  return found;
}

/** Lines of a table. */
export function engineRows(only: string): readonly string[] {
  const rows = PRODUCTS.filter(({ name }) => name.includes(only)).flatMap((product) =>
    (["f32", "f16"] as const).map((elem) => {
      const [engine, cores] = [true, false].map((on) => cycles(product, elem, on));
      const rate = product.macs / (engine ?? 1);
      const share = `${((100 * rate) / PEAK).toFixed(1)} %`;
      return `| ${product.name} of ${elem} | ${cores} | ${engine} | ${rate.toFixed(1)} | ${share} |`;
    }),
  );
  const head = "| on eight cores | cycles | with the engine | MAC a cycle | of the engine's peak |";
  return rows.length === 0 ? [] : [head, "| --- | --- | --- | --- | --- |", ...rows];
}
