/** Operators of com.microsoft, and ONNX's attention and rotary embedding, against ONNX Runtime. */

import { describe, expect, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import { reshaped } from "../../src/tensor/kernels/lanes.ts";
import { part } from "../../src/tensor/kernels/movement.ts";
import { transposed } from "../../src/tensor/kernels/strided.ts";
import { sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { agrees, type Draw, int, ints, pick, shapeOf, values } from "./on-ort.ts";

const NORM = { relative: 1e-4, absolute: 1e-4 };
const GELU = { relative: 1e-4, absolute: 1e-5 };

const int32 = (list: readonly number[], shape: readonly number[] = [list.length]): Tensor => ({
  elem: "i32",
  shape,
  data: Int32Array.from(list),
});

describe("activations", () => {
  const rows = (draw: Draw) => values(draw, "f32", [int(draw, 1, 3), int(draw, 1, 4), 8], 5);
  const bias = (draw: Draw) => values(draw, "f32", [8]);
  const kind = (name: string) => `onnx.com.microsoft.${name}`;
  agrees("Gelu", (draw) => ({ kind: kind("Gelu"), inputs: [rows(draw)] }), GELU);
  agrees(
    "BiasGelu",
    (draw) => ({ kind: kind("BiasGelu"), inputs: [rows(draw), bias(draw)] }),
    GELU,
  );
  agrees(
    "FastGelu",
    (draw) => ({
      kind: kind("FastGelu"),
      inputs: [rows(draw), pick(draw, true, false) ? bias(draw) : null],
    }),
    GELU,
  );
  agrees(
    "QuickGelu",
    (draw) => ({
      kind: kind("QuickGelu"),
      inputs: [rows(draw)],
      attrs: { alpha: pick(draw, 1.702, 1) },
    }),
    GELU,
  );
});

describe("products", () => {
  agrees("FusedMatMul", (draw) => {
    const [m, k, n] = [int(draw, 1, 5), int(draw, 1, 5), int(draw, 1, 5)];
    const [transA, transB] = [int(draw, 0, 1), int(draw, 0, 1)];
    const batch = pick(draw, [], [3], [2, 3]);
    const a = values(draw, "f32", [...batch, ...(transA ? [k, m] : [m, k])]);
    const b = values(draw, "f32", [...batch, ...(transB ? [n, k] : [k, n])]);
    return {
      kind: "onnx.com.microsoft.FusedMatMul",
      inputs: [a, b],
      attrs: { transA, transB, alpha: 0.3 },
    };
  });
  agrees("FusedGemm", (draw) => {
    const [m, k, n] = [int(draw, 1, 5), int(draw, 1, 5), int(draw, 1, 5)];
    const activation = pick(draw, "Relu", "Tanh", "Sigmoid");
    const inputs = [[m, k], [n, k], [n]].map((s) => values(draw, "f32", s));
    return { kind: "onnx.com.microsoft.FusedGemm", inputs, attrs: { transB: 1, activation } };
  });
});

describe("norms", () => {
  for (const name of ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"]) {
    agrees(
      name,
      (draw) => {
        const shape = [int(draw, 1, 2), int(draw, 1, 3), 8];
        const vector = () => values(draw, "f32", [8]);
        const optional = () => (pick(draw, true, false) ? vector() : null);
        const skip = values(draw, "f32", pick(draw, shape, [1, ...shape.slice(1)], shape.slice(1)));
        const inputs = [values(draw, "f32", shape), skip, vector(), optional()];
        if (name === "SkipLayerNormalization") inputs.push(optional());
        return { kind: `onnx.com.microsoft.${name}`, inputs, attrs: { epsilon: 1e-3 } };
      },
      NORM,
      25,
    );
  }
  agrees(
    "SimplifiedLayerNormalization",
    (draw) => ({
      kind: "onnx.SimplifiedLayerNormalization",
      inputs: [values(draw, "f32", shapeOf(draw, 1, 2).concat(8)), values(draw, "f32", [8])],
      attrs: { axis: -1, epsilon: 1e-3, stash_type: 1 },
    }),
    NORM,
  );
  agrees(
    "EmbedLayerNormalization",
    (draw) => {
      const [batch, tokens] = [int(draw, 1, 3), int(draw, 1, 5)];
      const ids = (most: number) =>
        int32(
          Array.from({ length: batch * tokens }, () => int(draw, 0, most)),
          [batch, tokens],
        );
      const table = (rows: number) => values(draw, "f32", [rows, 8]);
      const segments = pick(draw, true, false);
      const affine = [values(draw, "f32", [8]), values(draw, "f32", [8])];
      const mask = int32(new Array(batch * tokens).fill(1), [batch, tokens]);
      return {
        kind: "onnx.com.microsoft.EmbedLayerNormalization",
        inputs: [
          ids(9),
          segments ? ids(1) : null,
          table(10),
          table(6),
          segments ? table(2) : null,
          ...affine,
          pick(draw, true, false) ? mask : null,
        ],
        attrs: { epsilon: 1e-3 },
        results: 2,
      };
    },
    NORM,
  );
});

describe("attention", () => {
  const [heads, depth] = [2, 4];
  const width = heads * depth;
  agrees(
    "Attention",
    (draw) => {
      const [batch, tokens] = [int(draw, 1, 3), int(draw, 1, 4)];
      const past = pick(draw, 0, 0, 3);
      const all = past + tokens;
      const f32 = (...shape: number[]) => values(draw, "f32", shape);
      const bits = (n: number) =>
        Array.from({ length: n }, (_, i) => (i % all === 0 ? 1 : int(draw, 0, 1)));
      const lengths = Array.from({ length: batch }, () => int(draw, 1, all));
      const mask = pick(
        draw,
        null,
        int32(lengths),
        int32(bits(batch * all), [batch, all]),
        int32(bits(batch * tokens * all), [batch, tokens, all]),
      );
      const inputs = [
        f32(batch, tokens, 6),
        f32(6, 3 * width),
        f32(3 * width),
        mask,
        past > 0 ? f32(2, batch, heads, past, depth) : null,
        // ONNX Runtime refuses past keys together with an additive bias.
        past === 0 && pick(draw, true, false) ? f32(batch, heads, tokens, all) : null,
      ];
      const attrs = { num_heads: heads, unidirectional: int(draw, 0, 1) };
      return { kind: "onnx.com.microsoft.Attention", inputs, attrs, results: past > 0 ? 2 : 1 };
    },
    NORM,
    60,
  );
  agrees(
    "MultiHeadAttention",
    (draw) => {
      const [batch, tokens, keys] = [int(draw, 1, 3), int(draw, 1, 4), int(draw, 1, 5)];
      const f32 = (...shape: number[]) => values(draw, "f32", shape);
      const plain = pick(draw, true, false);
      const kv = () => (plain ? f32(batch, keys, width) : f32(batch, heads, keys, depth));
      const projections = [f32(batch, tokens, width), kv(), kv()];
      const bias = plain && pick(draw, true, false) ? f32(3 * width) : null;
      const lengths = Array.from({ length: batch }, () => int(draw, 1, keys));
      const mask = plain && pick(draw, true, false) ? int32(lengths) : null;
      const added = pick(draw, true, false) ? f32(batch, heads, tokens, keys) : null;
      return {
        kind: "onnx.com.microsoft.MultiHeadAttention",
        inputs: [...projections, bias, mask, added],
        attrs: { num_heads: heads },
      };
    },
    NORM,
    60,
  );
  agrees(
    "MultiHeadAttention with past keys",
    (draw) => {
      const [batch, tokens, past] = [int(draw, 1, 3), int(draw, 1, 4), int(draw, 1, 4)];
      const f32 = (...shape: number[]) => values(draw, "f32", shape);
      const fresh = () => f32(batch, tokens, width);
      const cache = () => f32(batch, heads, past, depth);
      return {
        kind: "onnx.com.microsoft.MultiHeadAttention",
        inputs: [fresh(), fresh(), fresh(), null, null, null, cache(), cache()],
        attrs: { num_heads: heads, unidirectional: int(draw, 0, 1) },
        results: 3,
      };
    },
    NORM,
  );
  // ONNX Runtime has the packed layouts on GPUs alone, so they are held against the plain one.
  test("packed layouts of MultiHeadAttention are the same numbers in another order", () => {
    const kernel = kernelOf("onnx.com.microsoft.MultiHeadAttention");
    const counted = (shape: readonly number[]) =>
      fromNumbers(
        "f32",
        shape,
        Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * i)),
      );
    const packed = counted([2, 3, heads, 3, depth]);
    const heads4 = [0, 1, 2].map((i) => {
      const one = part(packed, 3, i, 1);
      return transposed(reshaped(one, [2, 3, heads, depth]), [0, 2, 1, 3]);
    });
    const [q, k, v] = heads4 as [Tensor, Tensor, Tensor];
    const query = reshaped(transposed(q, [0, 2, 1, 3]), [2, 3, width]);
    const pair = part(packed, 3, 1, 2);
    const call = (inputs: readonly (Tensor | null)[]) =>
      kernel?.({ inputs, attrs: { num_heads: heads }, outShapes: null })[0];
    const expected = call([query, k, v]);
    expect(expected?.shape).toEqual([2, 3, width]);
    expect(call([packed])).toEqual(expected);
    expect(call([query, pair])).toEqual(expected);
  });
  agrees(
    "ONNX's Attention",
    (draw) => {
      const [batch, tokens, keys] = [int(draw, 1, 3), int(draw, 1, 4), int(draw, 1, 5)];
      const q = values(draw, "f32", [batch, 4, tokens, depth]);
      const kv = () => values(draw, "f32", [batch, 2, keys, depth]);
      const mask = pick(draw, true, false) ? values(draw, "f32", [tokens, keys]) : null;
      const attrs = { is_causal: int(draw, 0, 1), scale: 0.3 };
      return { kind: "onnx.Attention", inputs: [q, kv(), kv(), mask], attrs };
    },
    NORM,
    30,
  );
  agrees("ONNX's RotaryEmbedding", (draw) => {
    const [batch, tokens] = [int(draw, 1, 3), int(draw, 1, 4)];
    const x = values(draw, "f32", [batch, heads, tokens, 8]);
    const [cos, sin] = [values(draw, "f32", [6, 4]), values(draw, "f32", [6, 4])];
    const ids = Array.from({ length: batch * tokens }, () => int(draw, 0, 5));
    return {
      kind: "onnx.RotaryEmbedding",
      inputs: [x, cos, sin, ints(ids, [batch, tokens])],
      attrs: { interleaved: int(draw, 0, 1) },
    };
  });
});
