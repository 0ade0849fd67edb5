/** What ONNX Runtime cannot judge: blocks of values, bfloat16, wrap-around, and the error function. */

import { describe, expect, test } from "vitest";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { erf } from "../../src/tensor/kernels/erf.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { agrees, int, values } from "./on-ort.ts";

function run(
  kind: string,
  inputs: readonly (Tensor | null)[],
  attrs: Readonly<Record<string, unknown>> = {},
  outShapes: readonly (readonly number[])[] | null = null,
): Tensor {
  const [result] = kernelOf(kind)?.({ inputs, attrs, outShapes }) ?? [];
  if (!result) throw new Error(`${kind} gave nothing`);
  return result;
}

const f32 = (shape: readonly number[], ...list: number[]) => fromNumbers("f32", shape, list);
const i64 = (...list: number[]) => fromNumbers("i64", [list.length], list);

/** erf by its Maclaurin series, which alternates: exact enough below 3 in doubles. */
function erfSeries(x: number): number {
  let [sum, term] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-18; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

describe("the error function", () => {
  test("agrees with its series", () => {
    for (let x = -3; x <= 3; x += 0.01) expect(Math.abs(erf(x) - erfSeries(x))).toBeLessThan(1e-12);
  });
  test("has the published values in its tails", () => {
    // Abramowitz and Stegun, table 7.1, and NIST's Digital Library of Mathematical Functions, 7.23.
    expect(1 - erf(3)).toBeCloseTo(2.209049699858544e-5, 15);
    expect(1 - erf(4)).toBeCloseTo(1.541725790028002e-8, 15);
    expect([erf(0), erf(7), erf(-7), erf(Infinity)]).toEqual([0, 1, -1, 1]);
    expect(erf(Number.NaN)).toBeNaN();
  });
});

describe("blocks of values", () => {
  test("shape-carrying kernels take the shape of the block, not of the whole", () => {
    const block = f32([1, 2, 6], ...Array(12).keys());
    expect(run("onnx.Reshape", [block, i64(1, 128, 2, 3)], {}, [[1, 2, 2, 3]]).shape).toEqual([
      1, 2, 2, 3,
    ]);
    expect(run("onnx.Expand", [f32([1, 1], 7), i64(4, 9)], {}, [[2, 3]]).data).toHaveLength(6);
    expect(run("onnx.Flatten", [block], { axis: 2 }, [[2, 6]]).shape).toEqual([2, 6]);
  });
  test("a block of one row keeps its axis when Squeeze names none", () => {
    const block = f32([1, 1, 3], 1, 2, 3);
    expect(run("onnx.Squeeze", [block], {}, [[1, 3]]).shape).toEqual([1, 3]);
  });
});

describe("storage", () => {
  test("64-bit arithmetic is exact beyond 2^53 and wraps at 2^63", () => {
    const x: Tensor = {
      elem: "i64",
      shape: [2],
      data: BigInt64Array.of(2n ** 62n, 2n ** 53n + 1n),
    };
    expect(run("onnx.Add", [x, x]).data).toEqual(BigInt64Array.of(-(2n ** 63n), 2n ** 54n + 2n));
    expect(run("onnx.Cast", [x], { to: 6 }).data).toEqual(Int32Array.of(0, 1));
  });
  test("bfloat16 sums round to nearest even", () => {
    const x = fromNumbers("bf16", [2], [256, 256]);
    const y = fromNumbers("bf16", [2], [1, 3]);
    // 8 bits of significand: 257 lies between 256 and 258, 259 between 258 and 260.
    expect(toNumbers(run("onnx.Add", [x, y]))).toEqual([256, 260]);
  });
  test("moving halves does not convert them, so the bits of a NaN survive", () => {
    const x: Tensor = { elem: "f16", shape: [2, 1], data: Uint16Array.of(0x7e01, 0xfe02) };
    expect(run("onnx.Transpose", [x], { perm: [1, 0] }).data).toEqual(x.data);
  });
  test("empty tensors go through", () => {
    const none = f32([0, 3]);
    expect(run("onnx.Add", [none, f32([3], 1, 2, 3)]).shape).toEqual([0, 3]);
    expect(run("onnx.MatMul", [none, f32([3, 2], 1, 2, 3, 4, 5, 6)]).shape).toEqual([0, 2]);
    expect(toNumbers(run("onnx.MatMul", [f32([2, 0]), f32([0, 1])]))).toEqual([0, 0]);
    expect(run("onnx.Softmax", [none]).shape).toEqual([0, 3]);
    expect(run("onnx.Concat", [none, f32([1, 3], 1, 2, 3)], { axis: 0 }).shape).toEqual([1, 3]);
  });
  test("an index outside of its axis is a fault, not a silent zero", () => {
    expect(() => run("onnx.Gather", [f32([2], 1, 2), i64(2)])).toThrow(
      "index 2 is outside an axis",
    );
  });
});

describe("double precision", () => {
  const tight = { relative: 1e-12, absolute: 1e-12 };
  test("Conv keeps what single precision would lose", () => {
    const x = fromNumbers("f64", [1, 1, 1, 2], [1, 2 ** -40]);
    const w = fromNumbers("f64", [1, 1, 1, 2], [1, 1]);
    expect(toNumbers(run("onnx.Conv", [x, w]))).toEqual([1 + 2 ** -40]);
  });
  agrees(
    "Gemm",
    (draw) => {
      const inputs = [values(draw, "f64", [2, 9]), values(draw, "f64", [int(draw, 1, 30), 9])];
      return { kind: "onnx.Gemm", inputs, attrs: { transB: 1 } };
    },
    tight,
  );
});
