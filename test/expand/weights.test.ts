/** Products with quantised weights and mixtures of experts, written out. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Attrs } from "../../src/ir/op.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Draw, int, pick, values } from "../tensor/on-ort.ts";
import { type Example, expands, outcomeOf } from "./on-ort.ts";

/** Bytes of a drawn seed; every value from 0 to 255 may occur. */
const bytes = (draw: Draw, shape: readonly number[]): Tensor => {
  const drawn = values(draw, "f32", shape, 1);
  const data = Uint8Array.from(drawn.data as Float32Array, (v) => Math.floor((v + 1) * 127.99));
  return { elem: "ui8", shape, data };
};

const scales = (draw: Draw, shape: readonly number[]): Tensor => {
  const drawn = values(draw, "f32", shape, 1);
  const data = Float32Array.from(drawn.data as Float32Array, (v) => 0.01 + Math.abs(v) / 20);
  return { elem: "f32", shape, data };
};

describe("MatMulNBits", () => {
  const example = (draw: Draw): Example => {
    const bits = pick(draw, 2, 4, 8);
    const block = pick(draw, 16, 32, 64, 128);
    const [rows, columns] = [int(draw, 1, 9), pick(draw, 16, 32, 40, 96, 160)];
    const blocks = Math.ceil(columns / block);
    const packed = Math.ceil((blocks * bits) / 8);
    const lead = pick(draw, [3], [2, 3]);
    const coded = bytes(draw, pick(draw, [rows * packed], [rows, packed]));
    // Zero points between the codes are for 4 bits only.
    const between = bits === 4 ? values(draw, "f32", [rows, blocks], 8) : null;
    const zeros = pick(draw, null, coded, between);
    return {
      op: "com.microsoft.MatMulNBits",
      inputs: [
        values(draw, "f32", [...lead, columns]),
        bytes(draw, [rows, blocks, (block * bits) / 8]),
        scales(draw, pick(draw, [rows * blocks], [rows, blocks])),
        zeros,
        null,
        pick(draw, null, values(draw, "f32", [rows])),
      ],
      attrs: { K: columns, N: rows, bits, block_size: block, accuracy_level: pick(draw, 0, 1) },
      constants: [1, 2, 3, 5],
    };
  };
  expands("by blocks", example, 60);

  test("reads the columns of groups that are not in order", async () => {
    const draw = <T>() => 5 as T;
    const groups = Int32Array.from({ length: 64 }, (_, c) => ((c * 7) % 64) >> 5);
    const { error, raised } = await outcomeOf({
      op: "com.microsoft.MatMulNBits",
      inputs: [
        values(draw, "f32", [2, 64]),
        bytes(draw, [4, 2, 16]),
        scales(draw, [8]),
        null,
        { elem: "i32", shape: [64], data: groups },
      ],
      attrs: { K: 64, N: 4, bits: 4, block_size: 32 },
      constants: [1, 2, 4],
    });
    expect(error).toBeLessThan(1e-5);
    expect(raised.filter((kind) => kind !== "onnx.Constant")).toEqual(["onnx.Gather", "nn.linear"]);
  });

  test("is one linear", async () => {
    const draw = <T>() => 5 as T;
    const { raised } = await outcomeOf({
      op: "com.microsoft.MatMulNBits",
      inputs: [values(draw, "f32", [2, 32]), bytes(draw, [4, 1, 16]), scales(draw, [4])],
      attrs: { K: 32, N: 4, bits: 4, block_size: 32 },
      constants: [1, 2],
    });
    expect(raised).toEqual(["nn.linear"]);
  });
});

describe("8-bit products", () => {
  const integers = (draw: Draw, shape: readonly number[], elem: "i8" | "ui8"): Tensor => {
    const { data } = bytes(draw, shape);
    return elem === "ui8"
      ? { elem, shape, data }
      : { elem, shape, data: Int8Array.from(data as Uint8Array) };
  };
  expands(
    "DynamicQuantizeMatMul",
    (draw) => {
      const [rows, inner, columns] = [int(draw, 1, 4), int(draw, 1, 9), int(draw, 1, 5)];
      const elem = pick(draw, "i8", "ui8");
      const each = pick(draw, [1], [columns]);
      return {
        op: "com.microsoft.DynamicQuantizeMatMul",
        inputs: [
          values(draw, "f32", [rows, inner]),
          integers(draw, [inner, columns], elem),
          scales(draw, each),
          pick(draw, null, integers(draw, each, elem)),
          pick(draw, null, values(draw, "f32", [columns])),
        ],
        constants: [1, 2, 3, 4],
      };
    },
    40,
  );
  expands(
    "MatMulIntegerToFloat",
    (draw) => {
      const [rows, inner, columns] = [int(draw, 1, 4), int(draw, 1, 9), int(draw, 1, 5)];
      const elem = pick(draw, "i8", "ui8");
      const each = pick(draw, [1], [columns]);
      return {
        op: "com.microsoft.MatMulIntegerToFloat",
        inputs: [
          integers(draw, [rows, inner], "ui8"),
          integers(draw, [inner, columns], elem),
          scales(draw, [1]),
          scales(draw, each),
          pick(draw, null, integers(draw, [1], "ui8")),
          pick(draw, null, integers(draw, each, elem)),
          pick(draw, null, values(draw, "f32", [columns])),
        ],
        constants: [1, 2, 3, 4, 5, 6],
        elems: ["f32"],
      };
    },
    40,
  );
});

const SWIGLU = { activation_type: "swiglu", swiglu_fusion: 1 };

describe("MoE", () => {
  const [experts, width] = [4, 6];
  const example = (draw: Draw, attrs: Attrs = {}, biased = true): Example => {
    const fused = attrs["activation_type"] === "swiglu" ? 2 : 1;
    const [tokens, inner] = [int(draw, 1, 5), 8];
    const f32 = (...shape: number[]) => values(draw, "f32", shape, 1);
    const lead = pick(draw, [tokens], [1, tokens]);
    return {
      op: "com.microsoft.MoE",
      inputs: [
        f32(...lead, width),
        values(draw, "f32", [tokens, experts], 4),
        f32(experts, fused * inner, width),
        biased ? f32(experts, fused * inner) : null,
        f32(experts, width, inner),
        biased ? f32(experts, width) : null,
      ],
      attrs: { k: int(draw, 1, 3), normalize_routing_weights: int(draw, 0, 1), ...attrs },
      constants: [2, 3, 4, 5],
    };
  };
  for (const activation_type of ["relu", "gelu", "silu", "identity"]) {
    expands(activation_type, (draw) => example(draw, { activation_type }, pick(draw, true, false)));
  }
  expands(
    "swiglu",
    (draw) => {
      const more = {
        ...pick(draw, {}, { activation_alpha: 1.702 }),
        ...pick(draw, {}, { activation_beta: 1 }),
        ...pick(draw, {}, { swiglu_limit: 0.9 }),
      };
      return example(draw, { ...SWIGLU, ...more }, pick(draw, true, false));
    },
    40,
  );

  test.each([{}, { activation_alpha: 1.702, activation_beta: 1, swiglu_limit: 0.9 }])(
    "without biases is a router, linears of experts and their sum, with %o",
    async (more) => {
      const attrs = { ...SWIGLU, normalize_routing_weights: 1, ...more };
      const [plain] = fc.sample(
        fc.gen().map((gen) => example((arbitrary) => gen(() => arbitrary), attrs, false)),
        { numRuns: 1, seed: 7 },
      );
      if (!plain) throw new Error("nothing was drawn");
      const { raised, error } = await outcomeOf(plain);
      expect(error).toBeLessThan(1e-4);
      const kinds = raised.filter((k) => k.startsWith("nn."));
      const expert = ["nn.linear", "nn.gated", "nn.linear"];
      expect(kinds.toSorted()).toEqual(
        ["nn.router", ...new Array(experts).fill(expert).flat(), "nn.combine"].toSorted(),
      );
    },
  );
});

describe("QMoE", () => {
  const [experts, width, inner] = [3, 64, 96];
  expands(
    "by rows and by blocks",
    (draw) => {
      const bits = pick(draw, 4, 8);
      const block = pick(draw, 0, 0, 16, 32);
      const swiglu = pick(draw, true, false);
      const tokens = int(draw, 1, 4);
      const f32 = (...shape: number[]) => values(draw, "f32", shape, 1);
      const zeros = pick(draw, true, false);
      const layer = (rows: number, columns: number) => {
        const blocks = block === 0 ? 1 : columns / block;
        const each = block === 0 ? [experts, rows] : [experts, rows, blocks];
        const packed =
          block === 0
            ? [experts, Math.ceil((rows * bits) / 8)]
            : [experts, rows, Math.ceil((blocks * bits) / 8)];
        return {
          weights: bytes(draw, [experts, rows, (columns * bits) / 8]),
          scales: scales(draw, each),
          zeros: zeros ? bytes(draw, packed) : null,
          bias: pick(draw, null, f32(experts, rows)),
        };
      };
      const up = layer(swiglu ? 2 * inner : inner, width);
      const down = layer(width, inner);
      const nothing = [null, null, null];
      return {
        op: "com.microsoft.QMoE",
        inputs: [
          f32(tokens, width),
          values(draw, "f32", [tokens, experts], 4),
          ...[up.weights, up.scales, up.bias],
          ...[down.weights, down.scales, down.bias],
          ...nothing,
          ...[up.zeros, down.zeros, null],
          pick(draw, null, scales(draw, [tokens, experts])),
        ],
        attrs: {
          k: int(draw, 1, 2),
          normalize_routing_weights: int(draw, 0, 1),
          expert_weight_bits: bits,
          ...(block > 0 ? { block_size: block } : {}),
          ...(swiglu ? SWIGLU : { activation_type: pick(draw, "relu", "silu", "gelu") }),
        },
        constants: [2, 3, 4, 5, 6, 7, 11, 12],
      };
    },
    60,
  );
});
