/** ONNX Runtime's operators from integers to integers, written out through real numbers. */

import { describe, expect, test } from "vitest";
import type { Attrs } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { type Draw, int, pick, values } from "../tensor/on-ort.ts";
import { type Example, expands, outcomeOf } from "./on-ort.ts";

type Byte = "i8" | "ui8";

/** Integers of the whole range of their type. */
function integers(draw: Draw, elem: Elem, shape: readonly number[]): Tensor {
  const drawn = values(draw, "f32", shape, 1).data as Float32Array;
  const [low, high] = elem === "i8" ? [-128, 127] : elem === "ui16" ? [0, 65535] : [0, 255];
  const list = Array.from(drawn, (v) => Math.round(low + ((v + 1) / 2) * (high - low)));
  return fromNumbers(elem, shape, list);
}

/** Uneven numbers, so that no result lies in the middle between two integers. */
const scales = (draw: Draw, shape: readonly number[] = []): Tensor =>
  fromNumbers(
    "f32",
    shape,
    Array.from({ length: sizeOf(shape) }, () => (int(draw, 1, 400) + 0.1234567) / 9973),
  );

/** A value with its scale and zero point. */
const quantised = (draw: Draw, elem: Byte, shape: readonly number[]): Tensor[] => {
  const scale = scales(draw);
  return [integers(draw, elem, shape), scale, integers(draw, elem, scale.shape)];
};

const lead = (draw: Draw): number[] => pick(draw, [], [2], [1, 3]);

/** Everything but a value is constant, as quantisers write it. */
const example = (op: string, inputs: readonly (Tensor | null)[], attrs: Attrs = {}): Example => {
  const isValue = (t: Tensor | null): boolean => t?.elem !== "f32" && sizeOf(t?.shape ?? []) > 1;
  const constants = inputs.flatMap((t, i) => (isValue(t) || i === 0 ? [] : [i]));
  return { op: `com.microsoft.${op}`, inputs, attrs, constants };
};

const byte = (draw: Draw): Byte => pick(draw, "i8", "ui8");

describe("element by element", () => {
  for (const op of ["QLinearAdd", "QLinearMul"]) {
    expands(op, (draw) => {
      const elem = byte(draw);
      const a = quantised(draw, elem, [...lead(draw), 2, 5]);
      const b = quantised(draw, elem, pick(draw, [5], [2, 5], [2, 1]));
      return example(op, [...a, ...b, ...quantised(draw, elem, []).slice(1)]);
    });
  }
  expands("QLinearWhere", (draw) => {
    const elem = byte(draw);
    const [shape, n] = [[...lead(draw), 6], () => quantised(draw, elem, []).slice(1)];
    const which = fromNumbers("i1", [6], [1, 0, 0, 1, 1, 0]);
    const [x, y] = [0, 1].map(() => [integers(draw, elem, shape), ...n()]);
    return {
      ...example("QLinearWhere", [which, ...(x ?? []), ...(y ?? []), ...n()]),
      elems: [elem],
    };
  });
  for (const [op, attrs] of [
    ["QLinearSigmoid", {}],
    ["QLinearLeakyRelu", { alpha: 0.3 }],
  ] as const) {
    expands(op, (draw) => {
      const elem = byte(draw);
      const x = quantised(draw, elem, [...lead(draw), 7]);
      return example(op, [...x, ...quantised(draw, elem, []).slice(1)], attrs);
    });
  }
});

describe("along axes", () => {
  expands("QLinearSoftmax", (draw) => {
    const opset = pick(draw, 11, 13);
    const x = quantised(draw, "ui8", [2, 3, 5]);
    const step = fromNumbers("f32", [], [1 / 256]);
    const attrs = { opset, axis: pick(draw, 1, 2, -1) };
    return example("QLinearSoftmax", [...x, step, fromNumbers("ui8", [], [0])], attrs);
  });
  expands("QLinearConcat", (draw) => {
    const parts = [2, 3, 1].map((n) => [integers(draw, "ui8", [2, n, 3]), scales(draw, [])]);
    const zero = () => integers(draw, "ui8", []);
    const inputs = [scales(draw, []), zero(), ...parts.flatMap((p) => [...p, zero()])];
    return {
      ...example("QLinearConcat", inputs, { axis: pick(draw, 1, -2) }),
      constants: [0, 1, 3, 4, 6, 7, 9, 10],
      elems: ["ui8"],
    };
  });
  expands("QLinearAveragePool", (draw) => {
    const channels_last = int(draw, 0, 1);
    const x = quantised(draw, "ui8", channels_last ? [1, 5, 6, 2] : [1, 2, 5, 6]);
    const attrs = { channels_last, kernel_shape: [2, 3], strides: [1, 2], pads: [1, 0, 0, 1] };
    const more = { count_include_pad: int(draw, 0, 1) };
    const y = quantised(draw, "ui8", []).slice(1);
    return example("QLinearAveragePool", [...x, ...y], { ...attrs, ...more });
  });
  expands("QLinearGlobalAveragePool", (draw) => {
    const x = quantised(draw, "ui8", [2, 4, 5, 3]);
    const attrs = { channels_last: int(draw, 0, 1) };
    return example(
      "QLinearGlobalAveragePool",
      [...x, ...quantised(draw, "ui8", []).slice(1)],
      attrs,
    );
  });
  expands("NhwcMaxPool", (draw) => {
    const elem = byte(draw);
    const attrs = { kernel_shape: [2, 2], strides: [1, 2], pads: [0, 1, 1, 0] };
    return example("NhwcMaxPool", [integers(draw, elem, [2, 5, 6, 3])], attrs);
  });
});

describe("products", () => {
  expands(
    "QGemm",
    (draw) => {
      const [transA, transB] = [int(draw, 0, 1), int(draw, 0, 1)];
      const turned = (shape: number[], flag: number) => (flag ? shape.toReversed() : shape);
      const [m, k, n] = [int(draw, 2, 4), int(draw, 2, 9), int(draw, 2, 5)];
      const each = pick(draw, [], [n]);
      const c = values(draw, "f32", [n], 900).data as Float32Array;
      const y = pick(draw, [], quantised(draw, "ui8", []).slice(1));
      return {
        op: "com.microsoft.QGemm",
        inputs: [
          ...quantised(draw, "ui8", turned([m, k], transA)),
          ...[integers(draw, "i8", turned([k, n], transB)), scales(draw, each)],
          integers(draw, "i8", each),
          pick(draw, null, fromNumbers("i32", [n], Array.from(c, Math.round))),
          ...y,
        ],
        attrs: { transA, transB, alpha: pick(draw, 1, 0.5) },
        constants: [1, 2, 3, 4, 5, 6, 7, 8],
        elems: [y.length > 0 ? "ui8" : "f32"],
      };
    },
    40,
  );
});

test("the integers of QGemm are the weights of a linear, its scale the input's range", async () => {
  const whole = (elem: Elem, shape: readonly number[]) =>
    fromNumbers(
      elem,
      shape,
      Array.from({ length: sizeOf(shape) }, (_, i) => (i * 37) % 120),
    );
  const number = (value: number) => fromNumbers("f32", [], [value]);
  const zero = (elem: Elem) => fromNumbers(elem, [], [3]);
  const { raised, error } = await outcomeOf({
    op: "com.microsoft.QGemm",
    inputs: [
      ...[whole("ui8", [2, 6]), number(0.02), zero("ui8")],
      ...[whole("i8", [6, 4]), number(0.013), fromNumbers("i8", [], [0])],
      ...[whole("i32", [4]), number(0.11), zero("ui8")],
    ],
    constants: [1, 2, 3, 4, 5, 6, 7, 8],
  });
  expect(error).toBe(0);
  expect(raised).toContain("nn.linear");
  expect(raised).not.toContain("onnx.Gemm");
});
