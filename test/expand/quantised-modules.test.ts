/** Modules of ONNX Runtime's domain with quantised tables and weights, written out. */

import { describe, expect, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { type Draw, int, pick, values } from "../tensor/on-ort.ts";
import { type Example, expands, outcomeOf } from "./on-ort.ts";

const RANGES: Readonly<Partial<Record<Elem, readonly [number, number]>>> = {
  i8: [-128, 127],
  ui8: [0, 255],
  i4: [-8, 7],
  ui4: [0, 15],
  i16: [-32768, 32767],
  ui16: [0, 65535],
};

/** Integers of the whole range of their type. */
function integers(draw: Draw, elem: Elem, shape: readonly number[]): Tensor {
  const drawn = values(draw, "f32", shape, 1).data as Float32Array;
  const [low, high] = RANGES[elem] ?? [0, 0];
  const list = Array.from(drawn, (v) => Math.round(low + ((v + 1) / 2) * (high - low)));
  return fromNumbers(elem, shape, list);
}

const scales = (draw: Draw, shape: readonly number[], about = 0.02): Tensor => {
  const drawn = values(draw, "f32", shape, 0.5).data as Float32Array;
  return fromNumbers(
    "f32",
    shape,
    Array.from(drawn, (v) => about * (1 + v)),
  );
};

const ids = (draw: Draw, most: number, shape: readonly number[]): Tensor =>
  fromNumbers(
    "i32",
    shape,
    Array.from({ length: sizeOf(shape) }, () => int(draw, 0, most)),
  );

describe("QAttention", () => {
  const [heads, depth] = [2, 4];
  const width = heads * depth;
  const example = (draw: Draw): Example => {
    const [batch, tokens, past] = [int(draw, 1, 2), int(draw, 1, 4), pick(draw, 0, 3)];
    const elem = pick(draw, "i8", "ui8");
    const each = pick(draw, [], [3 * width]);
    const ends = Array.from({ length: batch }, () => int(draw, 1, past + tokens));
    return {
      op: "com.microsoft.QAttention",
      inputs: [
        integers(draw, "ui8", [batch, tokens, 6]),
        integers(draw, elem, [6, 3 * width]),
        values(draw, "f32", [3 * width]),
        scales(draw, []),
        scales(draw, each),
        pick(draw, null, fromNumbers("i32", [batch], ends)),
        integers(draw, "ui8", []),
        integers(draw, elem, each),
        past > 0 ? values(draw, "f32", [2, batch, heads, past, depth]) : null,
      ],
      attrs: { num_heads: heads, unidirectional: int(draw, 0, 1) },
      constants: [1, 2, 3, 4, 6, 7],
      results: past > 0 ? [0, 1] : [0],
      elems: ["f32", "f32"],
    };
  };
  expands("with and without a past", example, 30);

  test("is one linear of the integers and one attention", async () => {
    const draw = <T>() => 5 as T;
    const { raised, error } = await outcomeOf({
      op: "com.microsoft.QAttention",
      inputs: [
        ...[integers(draw, "ui8", [1, 4, 6]), integers(draw, "i8", [6, 3 * width])],
        ...[values(draw, "f32", [3 * width]), scales(draw, []), scales(draw, []), null],
        ...[fromNumbers("ui8", [], [120]), fromNumbers("i8", [], [0])],
      ],
      attrs: { num_heads: heads, unidirectional: 1 },
      constants: [1, 2, 3, 4, 6, 7],
      elems: ["f32"],
    });
    expect(error).toBeLessThan(1e-5);
    expect(raised.filter((kind) => kind === "nn.linear")).toHaveLength(1);
    expect(raised).toContain("nn.attention");
    expect(raised).not.toContain("onnx.MatMul");
  });
});

expands("QEmbedLayerNormalization", (draw) => {
  const [batch, tokens] = [int(draw, 1, 3), int(draw, 1, 5)];
  const elem = pick(draw, "i8", "ui8");
  const segments = pick(draw, true, false);
  const table = (...shape: number[]) => integers(draw, elem, shape);
  const five = (make: () => Tensor) =>
    Array.from({ length: 5 }, (_, i) => (i === 2 && !segments ? null : make()));
  return {
    op: "com.microsoft.QEmbedLayerNormalization",
    inputs: [
      ids(draw, 9, [batch, tokens]),
      segments ? ids(draw, 1, [batch, tokens]) : null,
      ...[table(10, 8), table(6, 8), segments ? table(2, 8) : null, table(8), table(8)],
      pick(draw, null, ids(draw, 1, [batch, tokens])),
      ...five(() => scales(draw, [])),
      ...five(() => integers(draw, elem, [])),
    ],
    attrs: { epsilon: 1e-3 },
    constants: [2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
    results: [0, 1],
    elems: ["f32", "i32"],
  };
});

describe("GatherBlockQuantized", () => {
  const example = (draw: Draw, elem: "i4" | "ui4"): Example => {
    const [rows, width, block] = [int(draw, 2, 5), pick(draw, 16, 32, 40), pick(draw, 16, 32)];
    const own = [rows, Math.ceil(width / block)];
    return {
      op: "com.microsoft.GatherBlockQuantized",
      inputs: [
        integers(draw, elem, [rows, width]),
        ids(draw, rows - 1, pick(draw, [3], [2, 2])),
        scales(draw, own),
        pick(draw, null, integers(draw, elem, own)),
      ],
      attrs: { gather_axis: 0, quantize_axis: 1, block_size: block },
      constants: [0, 2, 3],
      elems: ["f32"],
    };
  };
  expands("signed", (draw) => example(draw, "i4"));
  expands("unsigned", (draw) => example(draw, "ui4"));
  expands("two codes in a byte, or one", (draw) => {
    const [rows, blocks, block, bits] = [3, 2, pick(draw, 16, 32), pick(draw, 4, 8)];
    return {
      op: "com.microsoft.GatherBlockQuantized",
      inputs: [
        integers(draw, "ui8", [rows, (blocks * block * bits) / 8]),
        ids(draw, rows - 1, [2, 2]),
        scales(draw, [rows, blocks]),
        pick(draw, null, integers(draw, "ui8", [rows, (blocks * bits) / 8])),
      ],
      attrs: { bits, gather_axis: 0, quantize_axis: 1, block_size: block },
      constants: [0, 2, 3],
      elems: ["f32"],
    };
  });
});

expands("MatMulBnb4", (draw) => {
  const [rows, columns, block] = [int(draw, 1, 9), pick(draw, 16, 24, 64), pick(draw, 16, 32)];
  const size = rows * columns;
  return {
    op: "com.microsoft.MatMulBnb4",
    inputs: [
      values(draw, "f32", [...pick(draw, [3], [2, 3]), columns]),
      integers(draw, "ui8", [Math.ceil(size / 2)]),
      scales(draw, [Math.ceil(size / block)]),
    ],
    attrs: { K: columns, N: rows, block_size: block, quant_type: int(draw, 0, 1) },
    constants: [1, 2],
  };
});

describe("linear quantisation from before ONNX had it for long integers", () => {
  const TYPES = ["i8", "ui8", "i16", "ui16"] as const;
  expands("QuantizeLinear", (draw) => {
    const elem = pick(draw, ...TYPES);
    return {
      op: "com.microsoft.QuantizeLinear",
      inputs: [values(draw, "f32", [2, 5]), scales(draw, []), integers(draw, elem, [])],
      constants: [1, 2],
      elems: [elem],
    };
  });
  expands("DequantizeLinear", (draw) => {
    const elem = pick(draw, ...TYPES);
    const along = pick(draw, true, false);
    const shape = along ? [5] : [];
    return {
      op: "com.microsoft.DequantizeLinear",
      inputs: [integers(draw, elem, [2, 5]), scales(draw, shape), integers(draw, elem, shape)],
      attrs: along ? { axis: 1 } : {},
      constants: [1, 2],
      elems: ["f32"],
    };
  });
});
