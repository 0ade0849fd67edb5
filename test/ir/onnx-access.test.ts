/**
 * What a record says about which operand elements a result element needs, against brute force: change
 * one operand element, run the kernel, see which result elements change.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Access, AxisAccess } from "../../src/ir/access.ts";
import type { Attrs, Op, Value } from "../../src/ir/op.ts";
import { defOf } from "../../src/ir/registry.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import { type Elem, sizeOf, stridesOf, type Tensor } from "../../src/tensor/tensor.ts";

interface Example {
  readonly kind: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly attrs?: Attrs;
  /** Operands that are constants of the model: never changed. */
  readonly constant?: readonly number[];
  /** Values that operands of indices may take. */
  readonly below?: number;
  /** The record names no element that is not needed. */
  readonly exact?: true;
  readonly results?: number;
}

/** Numbers without pattern, so that no two of them coincide or cancel. */
const f32 = (...shape: number[]): Tensor =>
  fromNumbers(
    "f32",
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(12.9898 * (i + 1)) + 1.5),
  );

const ints = (elem: Elem, shape: number[], values: number[]): Tensor =>
  fromNumbers(elem, shape, values);
const i64 = (...values: number[]): Tensor => ints("i64", [values.length], values);
const scalar = (value: number): Tensor => ints("i64", [], [value]);
const bools = (shape: number[]): Tensor =>
  ints("i1", shape, Array.from({ length: sizeOf(shape) }, (_, i) => (i * 7) % 3 === 0).map(Number));

/** The operation as a record sees it, and its constants by value. */
function operation(example: Example) {
  const { kind, inputs, attrs = {} } = example;
  const values = inputs.map((type, i): Value | null => type && { id: `v${i}`, type });
  const results = evaluate(example, inputs).slice(0, example.results ?? 1);
  const op: Op = {
    kind,
    operands: values,
    results: results.map((type, i) => ({ id: `r${i}`, type })),
    attrs,
    origin: ["node"],
  };
  const constants = new Map<Value, Tensor>();
  for (const i of example.constant ?? []) {
    const [v, t] = [values[i], inputs[i]];
    if (v && t) constants.set(v, t);
  }
  return { op, constants };
}

function evaluate({ kind, attrs = {} }: Example, inputs: Example["inputs"]): Tensor[] {
  const kernel = kernelOf(kind);
  if (!kernel) throw new Error(`no kernel for ${kind}`);
  return kernel({ inputs, attrs, outShapes: null });
}

const indexOf = (flat: number, shape: readonly number[]): number[] =>
  stridesOf(shape).map((stride, i) => Math.floor(flat / stride) % (shape[i] ?? 1));

function reads(access: AxisAccess, index: number, r: readonly number[]): boolean {
  const at = (axis: number): number => r[axis] ?? Number.NaN;
  switch (access.kind) {
    case "point":
      return index === at(access.axis);
    case "all":
      return true;
    case "prefix":
      return index <= at(access.axis) + access.offset;
    case "window": {
      const last = at(access.axis) + access.offset;
      return index <= last && index > last - access.width;
    }
    case "merge":
      return index === access.terms.reduce((sum, t) => sum + t.stride * at(t.axis), 0);
    case "digit":
      return index === Math.floor(at(access.axis) / access.stride) % access.extent;
  }
}

/** The tensor with one element changed to another that is allowed there. */
function changed(t: Tensor, at: number, below: number): Tensor {
  const values = toNumbers(t);
  const old = values[at] ?? 0;
  if (t.elem === "i1") values[at] = 1 - old;
  else if (t.elem === "f32") values[at] = old + 0.37;
  else values[at] = (old + 1) % below;
  return fromNumbers(t.elem, t.shape, values);
}

const same = (a: number | undefined, b: number | undefined): boolean =>
  a === b || (Number.isNaN(a) && Number.isNaN(b));

/** For each element of an operand, which elements of result 0 change with it. */
function* dependences(example: Example, operand: number) {
  const t = example.inputs[operand];
  const [before] = evaluate(example, example.inputs);
  if (!t || !before) return;
  const old = toNumbers(before);
  for (let at = 0; at < sizeOf(t.shape); at++) {
    const inputs = [...example.inputs];
    inputs[operand] = changed(t, at, example.below ?? Number.POSITIVE_INFINITY);
    const [after] = evaluate(example, inputs);
    if (after?.shape.join() !== before.shape.join()) throw new Error("the shape changed");
    const now = toNumbers(after);
    const moved = now.flatMap((v, r) => (same(v, old[r]) ? [] : [r]));
    yield { at, index: indexOf(at, t.shape), moved, shape: before.shape };
  }
}

function check(example: Example, access: Access | null | undefined, exact: boolean): void {
  if (!access) {
    expect(exact).toBe(false);
    return;
  }
  expect(access).toHaveLength(example.inputs.length);
  for (const [i, t] of example.inputs.entries()) {
    const axes = access[i];
    if (!t) expect(axes).toBeNull();
    if (!t || !axes) continue;
    expect(axes, `operand ${i}`).toHaveLength(t.shape.length);
    if (example.constant?.includes(i)) continue;
    for (const { at, index, moved, shape } of dependences(example, i)) {
      const allowed = Array.from({ length: sizeOf(shape) }, (_, r) => r).filter((r) =>
        axes.every((axis, k) => reads(axis, index[k] ?? 0, indexOf(r, shape))),
      );
      const extra = moved.filter((r) => !allowed.includes(r));
      expect(extra, `operand ${i}, element ${at} also changes`).toEqual([]);
      if (exact) expect(moved, `operand ${i}, element ${at} changes`).toEqual(allowed);
    }
  }
}

/** With the constants and, as far as that is known without them, less. */
function verifyExample(example: Example): void {
  const { op, constants } = operation(example);
  const def = defOf(op.kind);
  check(example, def.access?.(op, constants), example.exact === true);
  check(example, def.access?.(op), false);
}

const onnx = (name: string, inputs: Example["inputs"], rest: Partial<Example> = {}): Example => ({
  kind: `onnx.${name}`,
  inputs,
  ...rest,
});

const exact = { exact: true } as const;

const EXAMPLES: readonly Example[] = [
  ...["Exp", "Sigmoid", "Gelu", "Identity", "Cos", "Softplus"].map((f) =>
    onnx(f, [f32(2, 3)], exact),
  ),
  onnx("Cast", [f32(2, 3)], { attrs: { to: 11 }, exact: true }),
  onnx("Clip", [f32(2, 3), f32(), null]),
  onnx("PRelu", [f32(2, 3), f32(3)]),
  onnx("Where", [bools([2, 1]), f32(3), f32(2, 3)]),
  onnx("Mean", [f32(2, 3), f32(3), f32(2, 1)], exact),
  onnx("MatMul", [f32(2, 3), f32(3, 4)], exact),
  onnx("MatMul", [f32(2, 1, 2, 3), f32(3, 3, 2)], exact),
  onnx("MatMul", [f32(3), f32(2, 3, 4)], exact),
  onnx("MatMul", [f32(2, 4, 3), f32(3)], exact),
  onnx("MatMul", [f32(3), f32(3)], exact),
  onnx("Gemm", [f32(3, 2), f32(4, 3), f32(4)], { attrs: { transA: 1, transB: 1 }, exact: true }),
  onnx("Gemm", [f32(2, 3), f32(3, 4), f32(2, 1)], exact),
  onnx("Einsum", [f32(2, 3, 4), f32(2, 4, 5)], {
    attrs: { equation: "bij,bjk->bik" },
    exact: true,
  }),
  onnx("Einsum", [f32(2, 3, 4), f32(5, 4)], { attrs: { equation: "...i,ji->...j" }, exact: true }),
  onnx("Einsum", [f32(2, 3, 3)], { attrs: { equation: "bii->bi" } }),
  onnx("MatMulInteger", [
    ints("ui8", [2, 3], [1, 2, 3, 4, 5, 6]),
    ints("ui8", [3, 2], [9, 8, 7, 6, 5, 4]),
    ints("ui8", [], [1]),
    ints("ui8", [2], [3, 4]),
  ]),
  onnx("Transpose", [f32(2, 3, 4)], { attrs: { perm: [2, 0, 1] }, exact: true }),
  onnx("Transpose", [f32(2, 3, 4)], exact),
  onnx("Squeeze", [f32(2, 1, 2, 1), i64(1)], { constant: [1], exact: true }),
  onnx("Unsqueeze", [f32(2, 2), i64(0, -1)], { constant: [1], exact: true }),
  onnx("Flatten", [f32(2, 3, 2)], { attrs: { axis: 2 }, exact: true }),
  onnx("Expand", [f32(2, 1, 3), i64(4, 1, 5, 3)], { constant: [1], exact: true }),
  onnx("Concat", [f32(2, 1, 3), f32(2, 2, 3)], { attrs: { axis: 1 } }),
  onnx("Split", [f32(4, 3), i64(1, 3)], { attrs: { axis: 0 }, constant: [1], results: 2 }),
  onnx("Slice", [f32(3, 4), i64(1), i64(9), i64(1), i64(1)], { constant: [1, 2, 3, 4] }),
  onnx("Slice", [f32(3, 4), i64(-1), i64(-9), i64(0), i64(-1)], { constant: [1, 2, 3, 4] }),
  onnx("Slice", [f32(3, 4), i64(0, 0), i64(3, 2)], { constant: [1, 2] }),
  onnx("Tile", [f32(2, 1, 3), i64(2, 3, 1)], { constant: [1], exact: true }),
  onnx("Pad", [f32(2, 3), i64(0, 1, 0, 2)], { constant: [1] }),
  onnx("Pad", [f32(2, 3), i64(-1, 0, 1, 0)], { constant: [1] }),
  ...["Sum", "Mean", "L1", "L2", "SumSquare", "LogSumExp", "Prod"].flatMap((f) => [
    onnx(`Reduce${f}`, [f32(2, 2, 3), i64(1)], { constant: [1], exact: true }),
    onnx(`Reduce${f}`, [f32(2, 2, 3), i64(0, -1)], {
      attrs: { keepdims: 0 },
      constant: [1],
      exact: true,
    }),
    onnx(`Reduce${f}`, [f32(2, 3)], exact),
  ]),
  onnx("ReduceMax", [f32(2, 2, 3), i64(1)], { attrs: { keepdims: 0 }, constant: [1] }),
  onnx("ReduceMin", [f32(2, 2, 3), i64(-1)], { constant: [1] }),
  onnx("ReduceSum", [f32(2, 3)], { attrs: { noop_with_empty_axes: 1 }, exact: true }),
  onnx("ArgMax", [f32(2, 3)], { attrs: { axis: 1, keepdims: 0 } }),
  onnx("CumSum", [f32(2, 4), scalar(1)], { constant: [1], exact: true }),
  onnx("CumSum", [f32(2, 4), scalar(-1)], { attrs: { exclusive: 1 }, constant: [1], exact: true }),
  onnx("CumSum", [f32(4, 2), scalar(0)], { attrs: { reverse: 1 }, constant: [1] }),
  onnx("Softmax", [f32(2, 3, 2)], { attrs: { axis: 1 }, exact: true }),
  onnx("LogSoftmax", [f32(2, 3)], exact),
  onnx("LayerNormalization", [f32(2, 2, 3), f32(3), f32(3)], exact),
  onnx("LayerNormalization", [f32(2, 2, 3), f32(2, 3), null], { attrs: { axis: 1 }, exact: true }),
  onnx("RMSNormalization", [f32(2, 3), f32(3)], exact),
  onnx("SimplifiedLayerNormalization", [f32(2, 3), f32(3)], exact),
  onnx("InstanceNormalization", [f32(2, 2, 3), f32(2), f32(2)], exact),
  onnx("BatchNormalization", [f32(2, 2, 3), f32(2), f32(2), f32(2), f32(2)]),
  onnx("Conv", [f32(2, 2, 3, 3), f32(2, 2, 2, 2), f32(2)]),
  onnx("Conv", [f32(1, 4, 3), f32(4, 2, 3), null], { attrs: { group: 2, pads: [1, 1] } }),
  onnx("MaxPool", [f32(1, 2, 4)], { attrs: { kernel_shape: [2] } }),
  onnx("AveragePool", [f32(1, 2, 4)], { attrs: { kernel_shape: [2], strides: [2] } }),
  onnx("GlobalAveragePool", [f32(2, 2, 3)], exact),
  onnx("Gather", [f32(3, 4), ints("i64", [2, 2], [0, 2, 1, 0])], {
    attrs: { axis: 0 },
    below: 3,
  }),
  onnx("Gather", [f32(2, 3, 4), i64(1)], { attrs: { axis: 1 }, below: 3 }),
  onnx("Gather", [f32(2, 3), scalar(1)], { attrs: { axis: -1 }, below: 3 }),
  onnx("GatherElements", [f32(3, 2), ints("i64", [2, 2], [0, 2, 1, 0])], { below: 3 }),
  onnx("GatherND", [f32(2, 3, 2), ints("i64", [2, 1], [1, 0])], { below: 2 }),
  onnx("GatherND", [f32(2, 3, 2), ints("i64", [2, 1], [2, 0])], {
    attrs: { batch_dims: 1 },
    below: 3,
  }),
  onnx("ScatterElements", [f32(3, 2), ints("i64", [2, 2], [0, 2, 1, 0]), f32(2, 2)], { below: 3 }),
  onnx("ScatterElements", [f32(2, 3), ints("i64", [2, 1], [0, 2]), f32(2, 1)], {
    attrs: { axis: 1, reduction: "add" },
    below: 3,
  }),
  onnx("ScatterND", [f32(4, 2), ints("i64", [2, 1], [3, 1]), f32(2, 2)], { below: 4 }),
  onnx("OneHot", [i64(1, 0), scalar(3), f32(2)], { attrs: { axis: 0 }, constant: [1], below: 3 }),
  onnx("TopK", [f32(2, 4), i64(2)], { constant: [1], results: 2 }),
  onnx("Trilu", [f32(2, 3, 3), scalar(0)], { constant: [1] }),
  onnx("DequantizeLinear", [ints("ui8", [2, 3], [1, 2, 3, 4, 5, 6]), f32(3), null]),
  onnx("DequantizeLinear", [ints("ui8", [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]), f32(2, 2)], {
    attrs: { axis: 1, block_size: 2 },
    exact: true,
  }),
  onnx("QuantizeLinear", [f32(2, 3), f32(3), null]),
  onnx("Attention", [f32(1, 4, 2, 2), f32(1, 2, 3, 2), f32(1, 2, 3, 3)], exact),
  onnx("Attention", [f32(2, 2, 4), f32(2, 3, 2), f32(2, 3, 2), f32(2, 3)], {
    attrs: { q_num_heads: 2, kv_num_heads: 1 },
  }),
  onnx("RotaryEmbedding", [f32(1, 2, 3, 4), f32(1, 3, 2), f32(1, 3, 2)]),
  onnx("RotaryEmbedding", [f32(2, 3, 8), f32(2, 3, 2), f32(2, 3, 2)], { attrs: { num_heads: 2 } }),
];

describe("examples", () => {
  test.each(EXAMPLES.map((e, i) => [`${i} ${e.kind}`, e] as const))("%s", (_, example) => {
    verifyExample(example);
  });
});

const MICROSOFT: readonly Example[] = [
  onnx("com.microsoft.BiasGelu", [f32(2, 3), f32(3)], exact),
  onnx("com.microsoft.FusedMatMul", [f32(2, 3, 2), f32(2, 4, 3)], {
    attrs: { alpha: 0.5, transA: 1, transB: 1 },
    exact: true,
  }),
  onnx("com.microsoft.FusedGemm", [f32(2, 3), f32(3, 4), f32(4)], {
    attrs: { activation: "Relu" },
  }),
  onnx("com.microsoft.SkipLayerNormalization", [
    f32(2, 2, 3),
    f32(2, 2, 3),
    f32(3),
    f32(3),
    f32(3),
  ]),
  onnx("com.microsoft.SkipSimplifiedLayerNormalization", [f32(2, 3), f32(2, 3), f32(3), f32(3)]),
  onnx(
    "com.microsoft.EmbedLayerNormalization",
    [
      ints("i32", [2, 3], [0, 1, 2, 3, 2, 1]),
      ints("i32", [2, 3], [0, 1, 1, 0, 0, 1]),
      f32(4, 2),
      f32(3, 2),
      f32(2, 2),
      f32(2),
      f32(2),
    ],
    { below: 2 },
  ),
  onnx("com.microsoft.Attention", [f32(2, 2, 4), f32(4, 12), f32(12)], { attrs: { num_heads: 2 } }),
  onnx("com.microsoft.MultiHeadAttention", [f32(2, 2, 4), f32(2, 3, 4), f32(2, 3, 4), f32(12)], {
    attrs: { num_heads: 2 },
  }),
];

describe("com.microsoft", () => {
  test.each(MICROSOFT.map((e) => [e.kind, e] as const))("%s", (_, example) => {
    verifyExample(example);
  });
});

const dims = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 });

describe("properties", () => {
  test("broadcasting is exact", () => {
    const shapes = dims.chain((shape) =>
      fc
        .tuple(fc.nat(shape.length), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
        .map(([cut, ones]) => [shape, shape.map((d, i) => (ones[i] ? 1 : d)).slice(cut)] as const),
    );
    fc.assert(
      fc.property(shapes, fc.boolean(), ([big, small], swap) => {
        const operands = swap ? [small, big] : [big, small];
        verifyExample(
          onnx(
            "Add",
            operands.map((s) => f32(...s)),
            exact,
          ),
        );
      }),
      { numRuns: 60 },
    );
  });

  test("reshapes are sound, and exact where axes only split or merge", () => {
    const factors = fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 5 });
    const grouped = (list: readonly number[], cuts: readonly boolean[]): number[] => {
      const shape: number[] = [];
      list.forEach((d, i) => {
        if (i > 0 && cuts[i]) shape.push((shape.pop() ?? 1) * d);
        else shape.push(d);
      });
      return shape;
    };
    const cuts = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 });
    fc.assert(
      fc.property(factors, cuts, cuts, fc.boolean(), (list, a, b, split) => {
        const from = split ? list : grouped(list, a);
        const to = grouped(list, b);
        const example = onnx("Reshape", [f32(...from), i64(...to)], { constant: [1] });
        verifyExample(split ? { ...example, exact: true } : example);
        const back = onnx("Reshape", [f32(...to), i64(...from)], { constant: [1] });
        verifyExample(split ? { ...back, exact: true } : back);
      }),
      { numRuns: 100 },
    );
  });
});
