/** Operators that take many elements to few. */

import { fromNumbers } from "../../../src/tensor/convert.ts";
import { FLOATS, fractions, ints, magnitudes, of, type Row, values, x } from "./row.ts";

const NAMES = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"];

/** Logarithms of sums want positive elements; products of whole numbers small ones. */
const operand = (op: string, ...shape: number[]) =>
  op.includes("Log")
    ? magnitudes(...shape)
    : op.endsWith("Prod")
      ? fractions(...shape)
      : x(...shape);

/** Float32 sums of logarithms and squares in another order. */
const LOOSE = { relative: 1e-4, absolute: 1e-5 };

function reduction(op: string): readonly Row[] {
  const first = op === "ReduceSum" ? 13 : 18;
  const row = (form: string, inputs: Row["inputs"], attrs = {}, more: Partial<Row> = {}): Row => ({
    op,
    form,
    inputs,
    attrs,
    // ONNX Runtime rounds every exponential of whole numbers.
    ...(op === "ReduceLogSumExp"
      ? { elems: FLOATS }
      : form === ""
        ? {}
        : { elems: ["f32", "i64", "f16"] }),
    ...more,
  });
  const a = operand(op, 2, 3, 4);
  return [
    row("", [a, ints(1)]),
    row("dropped", [a, ints(0, 2)], { keepdims: 0 }),
    row("negative axes", [a, ints(-1, -3)]),
    row("axes out of order", [a, ints(2, 0)], { keepdims: 0 }),
    row("an axis twice", [a, ints(1, 1)]),
    row("all", [a]),
    row("all, dropped", [a], { keepdims: 0 }),
    row("empty list of axes", [a, ints()]),
    row("none", [a], { noop_with_empty_axes: 1 }),
    row("none, empty list", [a, ints()], { noop_with_empty_axes: 1, keepdims: 0 }),
    row("of a scalar", [operand(op)]),
    row("of a scalar, dropped", [operand(op)], { keepdims: 0 }),
    row(
      "opset 13",
      op === "ReduceSum" ? [a, ints(1)] : [a],
      op === "ReduceSum" ? {} : { axes: [1] },
      { opset: 13 },
    ),
    row("opset 11, negative", [a], { axes: [-1], keepdims: 0 }, { opset: 11 }),
    row("opset 8", [a], { axes: [0, 1] }, { opset: 8 }),
    row("opset 8, all", [a], {}, { opset: 8 }),
    row(`opset ${first}`, [a, ints(-2)], { keepdims: 0 }, { opset: first }),
    row("kept axes empty", [operand(op, 2, 0, 4), ints(0)]),
    ...(/Max|Min|Mean/.test(op)
      ? []
      : [
          row(
            "from nothing",
            [operand(op, 2, 0, 4), ints(1)],
            {},
            { elems: ["f32", "i32", "i64"] },
          ),
        ]),
    row(
      "odd",
      [values([2, 4], Number.NaN, 1, 2, 3, Infinity, -Infinity, 1, 2), ints(1)],
      {},
      { elems: ["f32", "f64"] },
    ),
    row(
      "-infinity",
      [values([2, 2], -Infinity, -Infinity, -Infinity, 0), ints(1)],
      {},
      { elems: ["f32", "f64"] },
    ),
  ].map((r) => ({ ...r, tolerance: LOOSE }));
}

const EMPTY: Readonly<Record<string, number>> = {
  ReduceMax: -Infinity,
  ReduceMin: Infinity,
  ReduceMean: Number.NaN,
};
const whole = (value: number) => () => [fromNumbers("f32", [2, 1, 4], new Array(8).fill(value))];

/** What ONNX leaves undefined and NumPy gives; ONNX Runtime has 0 for the mean. */
const OF_NOTHING: readonly Row[] = Object.entries(EMPTY).map(([op, value]) => ({
  op,
  form: "from nothing (undefined)",
  inputs: [x(2, 0, 4), ints(1)],
  elems: ["f32"],
  expected: whole(value),
}));

const extreme = (op: string): readonly Row[] => {
  const tied = values([3, 4], 1, 3, 3, 0, 2, 2, 2, 2, 0, 0, 1, 1);
  return [
    { op, form: "", inputs: [x(2, 3, 4)] },
    ...[0, 1, 2, -1, -3].map(
      (axis): Row => ({
        op,
        form: `axis ${axis}`,
        attrs: { axis },
        inputs: [x(2, 3, 4)],
        elems: ["f32", "i32"],
      }),
    ),
    {
      op,
      form: "dropped",
      attrs: { axis: 1, keepdims: 0 },
      inputs: [x(2, 3, 4)],
      elems: ["f32", "i32"],
    },
    { op, form: "ties", attrs: { axis: 1 }, inputs: [tied], elems: ["f32", "i32"] },
    {
      op,
      form: "ties, last",
      attrs: { axis: 1, select_last_index: 1 },
      inputs: [tied],
      elems: ["f32", "i32"],
    },
    {
      op,
      form: "ties over rows, last",
      attrs: { axis: 0, select_last_index: 1 },
      inputs: [tied],
      elems: ["f32", "i32"],
    },
    { op, form: "opset 11", opset: 11, attrs: { axis: -1 }, inputs: [x(2, 3)], elems: ["f32"] },
    { op, form: "opset 7", opset: 7, attrs: { axis: 1 }, inputs: [x(2, 3)], elems: ["f32"] },
    { op, form: "kept axes empty", attrs: { axis: 1 }, inputs: [x(0, 3)], elems: ["f32"] },
    {
      op,
      form: "infinities",
      attrs: { axis: 1 },
      inputs: [values([2, 3], -Infinity, -Infinity, -Infinity, Infinity, 0, Infinity)],
      elems: ["f32"],
    },
  ];
};

const cumulative: readonly Row[] = [
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].flatMap((reverse) =>
      [0, 1, -1].map(
        (axis): Row => ({
          op: "CumSum",
          form: `exclusive ${exclusive} reverse ${reverse} axis ${axis}`,
          attrs: { exclusive, reverse },
          inputs: [x(3, 4), of("i64", [], axis)],
        }),
      ),
    ),
  ),
  { op: "CumSum", form: "axis i32", inputs: [x(3, 4), of("i32", [], 1)] },
  { op: "CumSum", form: "axis a list", inputs: [x(3, 4), of("i32", [1], 1)] },
  { op: "CumSum", form: "of nothing", inputs: [x(0, 4), of("i32", [], 1)], elems: ["f32"] },
  { op: "CumSum", form: "opset 11", opset: 11, inputs: [x(5), of("i32", [], -1)], elems: ["f32"] },
];

const TIED = values([2, 5], 3, 1, 3, 2, 1, 0, 0, 0, 0, 0);
const topK: readonly Row[] = [
  ...[0, 1].flatMap((largest) =>
    [0, 1, -1].map(
      (axis): Row => ({
        op: "TopK",
        form: `largest ${largest} axis ${axis}`,
        attrs: { largest, axis },
        inputs: [x(3, 4), ints(2)],
        results: 2,
      }),
    ),
  ),
  { op: "TopK", form: "ties", inputs: [TIED, ints(3)], results: 2, elems: ["f32", "i64"] },
  {
    op: "TopK",
    form: "ties, smallest",
    attrs: { largest: 0 },
    inputs: [TIED, ints(4)],
    results: 2,
    elems: ["f32", "i64"],
  },
  { op: "TopK", form: "all", inputs: [x(2, 4), ints(4)], results: 2, elems: ["f32", "i64"] },
  { op: "TopK", form: "none", inputs: [x(2, 4), ints(0)], results: 2, elems: ["f32", "i64"] },
  {
    op: "TopK",
    form: "infinities",
    inputs: [values([5], 1, -Infinity, Infinity, -0, 0), ints(5)],
    results: 2,
    elems: ["f32", "f64"],
  },
  {
    op: "TopK",
    form: "opset 10",
    opset: 10,
    attrs: { axis: 1 },
    inputs: [x(3, 4), ints(2)],
    results: 2,
    elems: ["f32"],
  },
  {
    op: "TopK",
    form: "opset 1",
    opset: 8,
    attrs: { axis: 1, k: 3 },
    inputs: [x(3, 4)],
    results: 2,
    elems: ["f32"],
  },
];

const softmax = (op: string): readonly Row[] => [
  ...[0, 1, 2, -1, -2].map(
    (axis): Row => ({ op, form: `axis ${axis}`, attrs: { axis }, inputs: [x(2, 3, 4)] }),
  ),
  { op, form: "", inputs: [x(2, 3, 4)] },
  { op, form: "vector", inputs: [x(5)] },
  ...[0, 1, 2, -1].map(
    (axis): Row => ({
      op,
      form: `opset 11 axis ${axis}`,
      opset: 11,
      attrs: { axis },
      inputs: [x(2, 3, 4)],
      elems: ["f32"],
    }),
  ),
  { op, form: "opset 12", opset: 12, inputs: [x(2, 3, 4)] },
  { op, form: "opset 8", opset: 8, inputs: [x(2, 3, 4)], elems: ["f32"] },
  { op, form: "of nothing", inputs: [x(0, 4)], elems: ["f32"] },
  {
    op,
    form: "-infinity",
    inputs: [values([2, 3], -Infinity, -Infinity, -Infinity, -Infinity, 0, 1)],
    elems: ["f32", "f64"],
  },
  {
    op,
    form: "large",
    inputs: [values([2, 3], 1000, 1000, 0, -1000, -1000, 0)],
    elems: ["f32", "f64", "f16"],
  },
  // ONNX does not say which of these is the largest.
  ...(op === "Hardmax"
    ? []
    : [
        {
          op,
          form: "NaN",
          inputs: [values([2, 2], Number.NaN, 0, 0, 1)],
          elems: ["f32", "f64"] as const,
        },
      ]),
];

export const REDUCE_ROWS: readonly Row[] = [
  ...NAMES.flatMap((n) => reduction(`Reduce${n}`)),
  ...OF_NOTHING,
  ...["ArgMax", "ArgMin"].flatMap(extreme),
  ...cumulative,
  ...topK,
  ...["Softmax", "LogSoftmax", "Hardmax"].flatMap(softmax),
];
