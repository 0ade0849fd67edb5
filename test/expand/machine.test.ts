/** Fused operators through the whole compiler: the simulated machine gives ONNX Runtime's answer. */

import { join } from "node:path";
import { expect, test } from "vitest";
import { verifyWith } from "../../src/cli/commands/verify.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { cast } from "../../src/tensor/kernels/cast.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { compile } from "../e2e/corpus.ts";
import { folder, node, port, ramp, write } from "../onnx/small-model.ts";
import { type Example, fileOf } from "./on-ort.ts";

const int32 = (list: readonly number[], shape: readonly number[] = [list.length]): Tensor => ({
  elem: "i32",
  shape,
  data: Int32Array.from(list),
});

const codes = (shape: readonly number[]): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return { elem: "ui8", shape, data: Uint8Array.from({ length: size }, (_, i) => (i * 37) % 251) };
};

/** Two query heads of 32 features share one of keys and values. */
const group = (
  batch: number,
  tokens: number,
  past: number,
  totals: readonly number[],
): Example => ({
  op: "com.microsoft.GroupQueryAttention",
  inputs: [
    ramp([batch, tokens, 64]),
    ramp([batch, tokens, 32]),
    ramp([batch, tokens, 32]),
    past > 0 ? ramp([batch, 1, past, 32]) : null,
    past > 0 ? ramp([batch, 1, past, 32]) : null,
    int32(totals.map((t) => t - 1)),
    int32([Math.max(...totals)], []),
    ramp([16, 16]),
    ramp([16, 16]),
  ],
  attrs: { num_heads: 2, kv_num_heads: 1, do_rotary: 1, rotary_interleaved: batch - 1 },
  constants: [5, 6, 7, 8],
  results: [0, 1, 2],
});

const mixture = (biased: boolean, attrs: Example["attrs"] = {}): Example => ({
  op: "com.microsoft.MoE",
  inputs: [
    ramp([5, 6]),
    ramp([5, 4]),
    ramp([4, 16, 6]),
    biased ? ramp([4, 16]) : null,
    ramp([4, 6, 8]),
    biased ? ramp([4, 6]) : null,
  ],
  attrs: {
    k: 2,
    activation_type: "swiglu",
    swiglu_fusion: 1,
    normalize_routing_weights: 1,
    ...attrs,
  },
  constants: [2, 3, 4, 5],
});

/** A quantised product whose first factor counts in steps of `scale`. */
const gemm = (scale: number): Example => ({
  op: "com.microsoft.QGemm",
  inputs: [
    ...[codes([3, 16]), { elem: "f32" as const, shape: [], data: Float32Array.of(scale) }],
    ...[codes([]), codes([16, 8]), ramp([8]), codes([8])],
    int32([1, 20, -300, 4, 0, 6, 70, 8]),
  ],
  constants: [1, 2, 3, 4, 5, 6],
  elems: ["f32"],
});

const EXAMPLES: Readonly<Record<string, Example>> = {
  "a prompt of GroupQueryAttention": group(1, 4, 0, [4]),
  "a step of GroupQueryAttention": group(1, 2, 3, [5]),
  "a step behind caches of different lengths": group(2, 1, 4, [3, 5]),
  MatMulNBits: {
    op: "com.microsoft.MatMulNBits",
    inputs: [ramp([3, 64]), codes([8, 2, 16]), ramp([8, 2])],
    attrs: { K: 64, N: 8, bits: 4, block_size: 32 },
    constants: [1, 2],
  },
  DynamicQuantizeMatMul: {
    op: "com.microsoft.DynamicQuantizeMatMul",
    inputs: [ramp([3, 16]), codes([16, 8]), ramp([8]), codes([8]), ramp([8])],
    constants: [1, 2, 3, 4],
  },
  "a table of 4-bit integers": {
    op: "com.microsoft.GatherBlockQuantized",
    inputs: [
      { elem: "i4", shape: [5, 32], data: Int8Array.from({ length: 160 }, (_, i) => (i % 16) - 8) },
      int32([4, 0, 2]),
      ramp([5, 2]),
    ],
    attrs: { gather_axis: 0, quantize_axis: 1, block_size: 16 },
    constants: [0, 2],
    elems: ["f32"],
  },
  QGemm: gemm(0.02),
  "integers that are worth nothing": gemm(0),
  "experts with biases": mixture(true),
  "experts without biases": mixture(false),
  "experts whose gates are limited and moved": mixture(true, {
    activation_alpha: 1.702,
    activation_beta: 1,
    swiglu_limit: 0.4,
  }),
  "attention with capped scores": {
    op: "Attention",
    inputs: [ramp([1, 4, 3, 8]), ramp([1, 2, 3, 8]), ramp([1, 2, 3, 8])],
    attrs: { is_causal: 1, softcap: 2 },
  },
};

test.each(Object.entries(EXAMPLES))("%s", async (_, example) => {
  const dir = join(folder(), "artifact");
  await compile(fileOf(example), dir, undefined);
  const artifact = loadArtifact(dir);
  const options = { mode: "ideal", seed: 0, seeds: 1, time: [0] } as const;
  const { runs } = await verifyWith(artifact, options, () => undefined);
  const outputs = runs[0]?.outputs ?? [];
  expect(outputs.length).toBe(example.results?.length ?? 1);
  for (const { difference, output } of outputs) {
    expect(difference.relative, output).toBeLessThanOrEqual(1e-3);
  }
});

test("half floats between inputs and outputs of single precision allow what half floats do", async () => {
  const path = write(
    {
      input: [port("x", [2, 8])],
      output: [{ name: "y" }],
      initializer: [toProto("w", cast(ramp([8, 4]), "f16"))],
      node: [
        { ...node("Cast", ["x"], ["half"]), attribute: [{ name: "to", type: 2, i: 10 }] },
        node("MatMul", ["half", "w"], ["product"]),
        { ...node("Cast", ["product"], ["y"]), attribute: [{ name: "to", type: 2, i: 1 }] },
      ],
    },
    17,
  );
  const dir = join(folder(), "artifact");
  await compile(path, dir, undefined);
  const options = { mode: "ideal", seed: 0, seeds: 1, time: [0] } as const;
  const { tolerance, verdict } = await verifyWith(loadArtifact(dir), options, () => undefined);
  expect({ tolerance, verdict }).toEqual({ tolerance: 0.01, verdict: "agrees" });
});
