/**
 * Kernels in machine code on one core of a target's model, ahwa-lora for scalar cores and spatz-lora for vectors:
 * instructions, cycles and the part of the peak multiply-adds a cycle, beside the same loops in C by gcc -O3:
 * `npm run bench:kernels [-- NAME]`.
 */

import { isaOf } from "../src/codegen/isa.ts";
import { standalone } from "../src/codegen/standalone.ts";
import { coreTiming } from "../src/sim/isa/timing.ts";
import { loadTarget } from "../src/target/load.ts";
import { bytesPer, sizeOf, type Tensor, tensor } from "../src/tensor/tensor.ts";
import { compiled, type Loops } from "./kernels/compiled.ts";
import { engineRows } from "./kernels/engine.ts";
import { type Measured, measured } from "./kernels/measure.ts";

interface Case extends Loops {
  readonly name: string;
  readonly kernel: string;
  readonly attrs?: Readonly<Record<string, unknown>>;
  readonly operands: readonly (readonly number[] | null)[];
  readonly result: readonly number[];
  /** Multiply-adds; 0 where others are most of the work. */
  readonly macs: number;
}

const timingOf = (target: string) => coreTiming(loadTarget(target));
const scalar = timingOf("ahwa-lora");

/** Cores, and the multiply-adds that each begins in a cycle at most. */
const CORES = [
  { isa: "rv32imaf", peak: 1, timing: scalar },
  { isa: "rv32imaf_xssr_xfrep", peak: 1, timing: scalar },
  { isa: "rv32imaf_zve32f", peak: 4, timing: timingOf("spatz-lora") },
];

const product = (name: string, m: number, k: number, n: number, loop = "matmul"): Case => ({
  name: `MatMul ${name} ${m}x${k}x${n}`,
  kernel: "MatMul",
  loop,
  sizes: { M: m, K: k, N: n },
  operands: [
    [m, k],
    [k, n],
  ],
  result: [m, n],
  macs: m * k * n,
});

const linear = (name: string, m: number, k: number, n: number): Case => ({
  name: `nn.linear ${name} ${m}x${k}x${n}, [out, in]`,
  kernel: "nn.linear",
  attrs: { transposed: true },
  loop: "linear",
  sizes: { M: m, K: k, N: n },
  operands: [[m, k], [n], null, [n, k]],
  result: [m, n],
  macs: m * k * n,
});

const lora = (tokens: number, width = 768): Case => ({
  name: `nn.lora rank 8, ${width}, t = ${tokens}`,
  kernel: "nn.lora",
  attrs: { scale: 4 },
  loop: "lora",
  sizes: { M: tokens, K: width, N: width, R: 8 },
  operands: [
    [tokens, width],
    [tokens, width],
    [8, width],
    [width, 8],
  ],
  result: [tokens, width],
  macs: 2 * 8 * tokens * width,
});

const attention = (
  name: string,
  sizes: Readonly<Record<"H" | "Q" | "S" | "D" | "CAUSAL", number>>,
) => {
  const { H, Q, S, D, CAUSAL } = sizes;
  return {
    name: `nn.attention ${name}, ${H} heads of ${D}, ${Q} of ${S}`,
    kernel: "nn.attention",
    attrs: { scale: 0.125, causal: CAUSAL === 1 },
    loop: "attention",
    sizes,
    operands: [
      [1, H, Q, D],
      [1, H, S, D],
      [1, H, S, D],
    ],
    result: [1, H, Q, D],
    // With a causal mask, those of keys that a query sees.
    macs: 2 * H * D * (CAUSAL === 1 ? Q * S - (Q * (Q - 1)) / 2 : Q * S),
  };
};

const CASES: readonly Case[] = [
  product("BERT-base", 128, 768, 768),
  product("BERT-base, by rows", 128, 768, 768, "matmul_rows"),
  product("BERT-base, up", 32, 768, 3072),
  product("LLaMA head, one token", 1, 2048, 2048),
  linear("BERT-base", 128, 768, 768),
  linear("one token", 1, 768, 768),
  ...[1, 8, 32, 128].map((t) => lora(t)),
  attention("BERT-base", { H: 2, Q: 128, S: 128, D: 64, CAUSAL: 0 }),
  attention("causal", { H: 2, Q: 128, S: 128, D: 64, CAUSAL: 1 }),
  attention("with a cache", { H: 8, Q: 1, S: 512, D: 64, CAUSAL: 1 }),
  {
    name: "aimc.sum of 3 x 128 x 768",
    kernel: "aimc.sum",
    loop: "sum",
    sizes: { R: 3, N: 128 * 768 },
    operands: [[3, 128, 768]],
    result: [128, 768],
    macs: 0,
  },
  {
    name: "nn.combine of 4 experts, 32 x 768",
    kernel: "nn.combine",
    loop: "combine",
    sizes: { M: 32, N: 768 },
    operands: [[32, 4], ...Array.from({ length: 4 }, () => [32, 768])],
    result: [32, 768],
    macs: 0,
  },
  {
    name: "nn.router, 2 of 8 experts, 32 tokens",
    kernel: "nn.router",
    attrs: { top_k: 2, normalize: false, score: "softmax", first: "score" },
    loop: "router",
    sizes: { M: 32, E: 8, K: 2 },
    operands: [[32, 8]],
    result: [32, 8],
    macs: 0,
  },
];

function filled(shape: readonly number[], seed: number): Tensor {
  const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) =>
    // Every other weight of an expert is 0.
    shape.at(-1) === 4 && i % 2 === 1 ? 0 : Math.sin(12.9898 * (i + 1) * seed),
  );
  return tensor("f32", shape, values);
}

function agree(found: Buffer, wanted: Buffer, what: string): void {
  const [a, b] = [found, wanted].map((x) => new Float32Array(Uint8Array.from(x).buffer));
  const off = a?.findIndex((v, i) => !(Math.abs(v - (b?.[i] ?? 0)) <= 1e-3)) ?? 0;
  if (off >= 0) throw new Error(`${what}: element ${off} is ${a?.[off]}, not ${b?.[off]}`);
}

const row = (name: string, m: Measured, macs: number, peak: number): string => {
  const share = macs === 0 ? "" : `${((100 * macs) / m.cycles / peak).toFixed(1)} %`;
  return `| ${name} | ${m.instructions} | ${m.cycles} | ${share} |`;
};

const [only = ""] = process.argv.slice(2);
console.log("| kernel | instructions | cycles | of the peak |\n| --- | --- | --- | --- |");
for (const c of CASES.filter(({ name }) => name.includes(only))) {
  const operands = c.operands.map((shape, i) => shape && filled(shape, i + 1));
  const results = [{ elem: "f32" as const, shape: c.result }];
  const c99 = measured(compiled(c, operands, sizeOf(c.result) * bytesPer("f32")), scalar);
  console.log(row(`${c.name}: gcc -O3`, c99, c.macs, 1));
  for (const { isa, peak, timing } of CORES) {
    const request = {
      kernel: c.kernel,
      attrs: c.attrs ?? {},
      operands: c.operands.map((shape) => shape && { elem: "f32" as const, shape }),
      results,
      isa: isaOf(isa),
      cores: 1,
    };
    const ours = measured(standalone(request, operands).elf, timing);
    agree(ours.written, c99.written, `${c.name} on ${isa}`);
    console.log(row(`${c.name}: ${isa}`, ours, c.macs, peak));
    if (ours.instructions >= c99.instructions) throw new Error(`${c.name} is no faster than gcc's`);
  }
}
console.log(["", ...engineRows(only)].join("\n"));
