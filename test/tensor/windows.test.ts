/** Convolution, pooling and quantisation against ONNX Runtime. */

import { describe } from "vitest";
import type { Elem, Tensor } from "../../src/tensor/tensor.ts";
import { agrees, type Draw, int, pick, values } from "./on-ort.ts";

/** Attributes of a window over `rank` axes of sizes 6 to 9. */
function window(draw: Draw, rank: number, kernel: readonly number[]) {
  const each = (least: number, most: number) => kernel.map(() => int(draw, least, most));
  const auto = pick(draw, "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID");
  const pads = Array.from({ length: 2 * rank }, () => int(draw, 0, 1));
  // ONNX Runtime wants no stride beyond the window where it chooses the padding.
  const strides = each(1, auto.startsWith("SAME") ? 2 : 3);
  const shared = { kernel_shape: kernel, strides, auto_pad: auto };
  return auto === "NOTSET" ? { ...shared, pads } : shared;
}

const spatial = (draw: Draw, rank: number) => Array.from({ length: rank }, () => int(draw, 6, 9));
const kernelOf = (draw: Draw, rank: number) => Array.from({ length: rank }, () => int(draw, 2, 3));

describe.each([1, 2])("windows over %i axes", (rank) => {
  agrees(
    "Conv",
    (draw) => {
      const group = pick(draw, 1, 2);
      const kernel = kernelOf(draw, rank);
      const [channels, features] = [2 * group, 3 * group];
      const attrs = { ...window(draw, rank, kernel), group };
      const dilations = kernel.map(() => int(draw, 1, 2));
      const spaced = attrs.auto_pad.startsWith("SAME") ? attrs : { ...attrs, dilations };
      const x = values(draw, "f32", [int(draw, 1, 2), channels, ...spatial(draw, rank)]);
      const w = values(draw, "f32", [features, channels / group, ...kernel]);
      const bias = pick(draw, true, false) ? values(draw, "f32", [features]) : null;
      return { kind: "onnx.Conv", inputs: [x, w, bias], attrs: spaced };
    },
    undefined,
    40,
  );
  agrees(
    "MaxPool",
    (draw) => {
      const kernel = kernelOf(draw, rank);
      const attrs = { ...window(draw, rank, kernel), ceil_mode: int(draw, 0, 1) };
      const x = values(draw, "f32", [2, 2, ...spatial(draw, rank)]);
      return { kind: "onnx.MaxPool", inputs: [x], attrs };
    },
    undefined,
    30,
  );
  agrees(
    "AveragePool",
    (draw) => {
      const kernel = kernelOf(draw, rank);
      const attrs = { ...window(draw, rank, kernel), count_include_pad: int(draw, 0, 1) };
      const x = values(draw, "f32", [2, 2, ...spatial(draw, rank)]);
      return { kind: "onnx.AveragePool", inputs: [x], attrs };
    },
    undefined,
    30,
  );
  agrees("GlobalAveragePool", (draw) => {
    const x = values(draw, "f32", [2, 3, ...spatial(draw, rank)]);
    return { kind: "onnx.GlobalAveragePool", inputs: [x] };
  });
});

/** Positive numbers that single precision holds exactly, so that quotients have no ties by accident. */
const positive = (draw: Draw, shape: readonly number[]): Tensor => {
  const t = values(draw, "f32", shape, 1);
  return { ...t, data: (t.data as Float32Array).map((v) => 0.05 + Math.abs(v)) };
};

describe("quantisation", () => {
  /** A tensor [3, 4, 5] with one scale, one for each index of axis 1, or one for blocks of two. */
  const scaling = (draw: Draw, elem: Elem) => {
    const form = pick(draw, "tensor", "axis", "blocked");
    const shape = form === "tensor" ? [] : form === "axis" ? [4] : [3, 2, 5];
    const attrs = form === "blocked" ? { axis: 1, block_size: 2 } : { axis: 1 };
    const zero = pick(draw, true, false) || elem === "i8" ? values(draw, elem, shape, 9) : null;
    return { scale: positive(draw, shape), zero, attrs };
  };
  for (const elem of ["ui8", "i8"] as const) {
    agrees(
      `QuantizeLinear to ${elem}`,
      (draw) => {
        const { scale, zero, attrs } = scaling(draw, elem);
        const x = values(draw, "f32", [3, 4, 5], 40);
        return { kind: "onnx.QuantizeLinear", inputs: [x, scale, zero], attrs };
      },
      undefined,
      30,
    );
    agrees(
      `DequantizeLinear from ${elem}`,
      (draw) => {
        const { scale, zero, attrs } = scaling(draw, elem);
        const x = values(draw, elem, [3, 4, 5], 100);
        return { kind: "onnx.DequantizeLinear", inputs: [x, scale, zero], attrs };
      },
      undefined,
      30,
    );
  }
  agrees("DynamicQuantizeLinear", (draw) => ({
    kind: "onnx.DynamicQuantizeLinear",
    inputs: [values(draw, "f32", [3, 7], int(draw, 1, 50))],
    results: 3,
  }));
  const sizes = (draw: Draw) => [int(draw, 1, 5), int(draw, 1, 9), int(draw, 1, 5)] as const;
  agrees("MatMulInteger", (draw) => {
    const [m, k, n] = sizes(draw);
    const elem = pick(draw, "ui8" as const, "i8" as const);
    const a = values(draw, "ui8", [2, m, k], 255);
    const b = values(draw, elem, [k, n], 100);
    const zeros = [values(draw, "ui8", [], 100), values(draw, elem, pick(draw, [], [n]), 50)];
    return { kind: "onnx.MatMulInteger", inputs: [a, b, ...zeros] };
  });
  agrees("QLinearMatMul", (draw) => {
    const [m, k, n] = sizes(draw);
    const scale = () => positive(draw, []);
    const inputs = [values(draw, "ui8", [m, k], 255), scale(), values(draw, "ui8", [], 100)];
    inputs.push(values(draw, "ui8", [k, n], 255), scale(), values(draw, "ui8", [], 100));
    // A coarse result scale keeps the sums in range, where rounding shows.
    const coarse: Tensor = { elem: "f32", shape: [], data: Float32Array.of(331.7 * k) };
    return {
      kind: "onnx.QLinearMatMul",
      inputs: [...inputs, coarse, values(draw, "ui8", [], 100)],
    };
  });
  /** x, filters and the attributes of a window without a choice of padding. */
  const windowed = (draw: Draw) => {
    const kernel = kernelOf(draw, 2);
    const attrs = { kernel_shape: kernel, strides: [int(draw, 1, 2), 1], pads: [1, 0, 0, 1] };
    const x = values(draw, "ui8", [2, 3, ...spatial(draw, 2)], 255);
    return { attrs, x, w: values(draw, "ui8", [4, 3, ...kernel], 255) };
  };
  agrees("ConvInteger", (draw) => {
    const { attrs, x, w } = windowed(draw);
    const zeros = [values(draw, "ui8", [], 100), values(draw, "ui8", [], 100)];
    return { kind: "onnx.ConvInteger", inputs: [x, w, ...zeros], attrs };
  });
  agrees("QLinearConv", (draw) => {
    const { attrs, x, w } = windowed(draw);
    const zero = () => values(draw, "ui8", [], 100);
    const byFilter = pick(draw, [], [4]);
    const weights = [w, positive(draw, byFilter), values(draw, "ui8", byFilter, 0)];
    const bias = pick(draw, true, false) ? values(draw, "i32", [4], 9000) : null;
    const coarse: Tensor = { elem: "f32", shape: [], data: Float32Array.of(2331.7) };
    const inputs = [x, positive(draw, []), zero(), ...weights, coarse, zero(), bias];
    return { kind: "onnx.QLinearConv", inputs, attrs };
  });
});
