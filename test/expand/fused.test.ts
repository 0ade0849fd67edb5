/** Activations, products and norms that are fused with their neighbours, written out. */

import { describe } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Draw, int, pick, shapeOf, values } from "../tensor/on-ort.ts";
import { expands } from "./on-ort.ts";

const int32 = (list: readonly number[], shape: readonly number[]): Tensor => ({
  elem: "i32",
  shape,
  data: Int32Array.from(list),
});

describe("activations", () => {
  const rows = (draw: Draw) => values(draw, "f32", [...shapeOf(draw, 0, 2), 8], 5);
  const bias = (draw: Draw) => values(draw, "f32", [8]);
  const example = (draw: Draw, op: string, more: readonly (Tensor | null)[] = [], attrs = {}) => ({
    op: `com.microsoft.${op}`,
    inputs: [rows(draw), ...more],
    attrs,
    constants: [1],
  });
  expands("Gelu", (draw) => example(draw, "Gelu"));
  expands("BiasGelu", (draw) => example(draw, "BiasGelu", [bias(draw)]));
  expands("FastGelu", (draw) => example(draw, "FastGelu", [pick(draw, null, bias(draw))]));
  expands("QuickGelu", (draw) =>
    example(draw, "QuickGelu", [], pick(draw, {}, { alpha: 1 }, { alpha: 0.5 })),
  );
});

describe("products", () => {
  expands(
    "FusedMatMul",
    (draw) => {
      const [m, k, n] = [int(draw, 1, 5), int(draw, 1, 5), int(draw, 1, 5)];
      const bit = () => int(draw, 0, 1);
      const batch = pick(draw, [], [3], [2, 3]);
      const many = () => (batch.length > 0 ? bit() : 0);
      const [transA, transB, transBatchA, transBatchB] = [bit(), bit(), many(), many()];
      const first = (shape: number[], moved: number) =>
        moved ? [shape.at(-2) ?? 1, ...shape.slice(0, -2), shape.at(-1) ?? 1] : shape;
      const a = first([...batch, ...(transA ? [k, m] : [m, k])], transBatchA);
      const b = first([...batch, ...(transB ? [n, k] : [k, n])], transBatchB);
      return {
        op: "com.microsoft.FusedMatMul",
        inputs: [values(draw, "f32", a), values(draw, "f32", b)],
        attrs: { transA, transB, transBatchA, transBatchB, alpha: pick(draw, 1, 0.3) },
        constants: pick(draw, [], [1]),
      };
    },
    40,
  );
  expands("FusedGemm", (draw) => {
    const [m, k, n] = [int(draw, 1, 5), int(draw, 1, 5), int(draw, 1, 5)];
    const [transA, transB] = [int(draw, 0, 1), int(draw, 0, 1)];
    const shapes = [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n], [n]];
    return {
      op: "com.microsoft.FusedGemm",
      inputs: shapes.map((s) => values(draw, "f32", s)),
      attrs: {
        alpha: pick(draw, 1, 0.5),
        beta: pick(draw, 1, 2),
        transA,
        transB,
        activation: pick(draw, "Relu", "Tanh", "Sigmoid", "LeakyRelu"),
        activation_alpha: 0.2,
      },
      constants: [1, 2],
    };
  });
});

describe("operators that are one or two of ONNX's", () => {
  const ACTIVATIONS = [
    { activation: "Relu" },
    { activation: "Tanh" },
    { activation: "Sigmoid" },
    { activation: "LeakyRelu", activation_params: [0.2] },
    { activation: "HardSigmoid", activation_params: [0.3, 0.4] },
    { activation: "Clip", activation_params: [-0.5, 1.5] },
  ];
  expands(
    "FusedConv",
    (draw) => {
      const f32 = (...shape: number[]) => values(draw, "f32", shape);
      const sum = pick(draw, true, false);
      return {
        op: "com.microsoft.FusedConv",
        inputs: [
          ...[f32(2, 4, 6, 6), f32(4, 4, 3, 3)],
          ...[pick(draw, null, f32(4)), sum ? f32(2, 4, 6, 6) : null],
        ],
        attrs: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], ...pick(draw, ...ACTIVATIONS) },
        constants: [1, 2],
      };
    },
    25,
  );
  expands("TransposeMatMul", (draw) => {
    const [transA, transB] = [int(draw, 0, 1), int(draw, 0, 1)];
    const shapes = [transA ? [4, 3] : [3, 4], transB ? [5, 4] : [4, 5]];
    return {
      op: "com.microsoft.TransposeMatMul",
      inputs: shapes.map((s) => values(draw, "f32", s)),
      attrs: { transA, transB, alpha: pick(draw, 1, 0.3) },
      constants: pick(draw, [], [1]),
    };
  });
  expands("Trilu", (draw) => ({
    op: "com.microsoft.Trilu",
    inputs: [values(draw, "f32", [2, 4, 5]), fromNumbers("i64", [], [int(draw, -2, 2)])],
    attrs: pick(draw, {}, { upper: 0 }),
    constants: [1],
  }));
  expands("ExpandDims", (draw) => ({
    op: "com.microsoft.ExpandDims",
    inputs: [values(draw, "f32", [2, 4, 5]), int32([int(draw, -4, 3)], [])],
    constants: [1],
  }));
});

describe("norms", () => {
  for (const op of ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"]) {
    expands(
      op,
      (draw) => {
        const shape = [int(draw, 1, 2), int(draw, 1, 3), 8];
        const row = () => values(draw, "f32", [8]);
        const optional = () => pick(draw, null, row());
        const skip = values(draw, "f32", pick(draw, shape, [1, ...shape.slice(1)], shape.slice(1)));
        const inputs = [values(draw, "f32", shape), skip, row(), optional()];
        if (op === "SkipLayerNormalization") inputs.push(optional());
        return {
          op: `com.microsoft.${op}`,
          inputs,
          attrs: pick(draw, { epsilon: 1e-3 }, {}),
          constants: [2, 3, 4],
          results: pick(draw, [0], [0, 3]),
        };
      },
      30,
    );
  }
  expands("SimplifiedLayerNormalization", (draw) => ({
    op: "SimplifiedLayerNormalization",
    inputs: [values(draw, "f32", [...shapeOf(draw, 1, 2), 8]), values(draw, "f32", [8])],
    attrs: { axis: -1, epsilon: 1e-3, stash_type: 1 },
    constants: [1],
  }));
  expands(
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
      return {
        op: "com.microsoft.EmbedLayerNormalization",
        inputs: [
          ids(9),
          segments ? ids(1) : null,
          table(10),
          table(6),
          segments ? table(2) : null,
          values(draw, "f32", [8]),
          values(draw, "f32", [8]),
          pick(draw, null, ids(1)),
          pick(draw, null, ids(5)),
        ],
        attrs: { epsilon: 1e-3 },
        constants: [2, 3, 4, 5, 6],
        results: pick(draw, [0, 1], [0, 1, 2]),
        elems: ["f32", "i32", "f32"],
      };
    },
    30,
  );
});
