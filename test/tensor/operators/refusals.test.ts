/**
 * Operands for which an operator has no meaning: a message with a code, whether constants show it or only a run
 * does, and never a result. ONNX Runtime refuses all of them, too.
 */

import { expect, test } from "vitest";
import { refusals } from "./judged.ts";
import { type Attributes, ints, type Operand, of, type Row, typed, values, x, y } from "./row.ts";

type Refused = readonly [
  op: string,
  why: RegExp,
  inputs: Row["inputs"],
  attrs?: Attributes,
  more?: Partial<Row>,
];

const at = (shape: readonly number[], ...list: number[]): Operand =>
  typed("i64", values(shape, ...list));
const i64 = (v: number): Operand => of("i64", [], v);
const OUTSIDE = /outside/;
const AXIS = /axis|axes/;

const INDICES: readonly Refused[] = [
  ["Gather", OUTSIDE, [x(4, 3), at([1], 4)]],
  ["Gather", OUTSIDE, [x(4, 3), at([1], -5)]],
  ["Gather", OUTSIDE, [x(0, 3), at([1], 0)]],
  ["GatherElements", OUTSIDE, [x(2, 3), at([1, 3], 0, 2, 0)]],
  ["GatherND", OUTSIDE, [x(2, 3), at([1, 2], 0, 3)]],
  ["GatherND", /tuples/, [x(2, 3), at([1, 3], 0, 0, 0)]],
  ["ScatterElements", OUTSIDE, [x(2, 3), at([1, 3], 0, 2, 0), y(1, 3)]],
  ["ScatterElements", /./, [x(2, 3), at([1, 3], 0, 1, 0), y(1, 2)]],
  ["ScatterElements", /./, [x(2, 3), at([3], 0, 1, 0), y(3)]],
  ["ScatterND", OUTSIDE, [x(2, 3), at([1, 1], 2), y(1, 3)]],
  ["ScatterND", /./, [x(2, 3), at([1, 1], 1), y(1, 2)]],
  ["ScatterND", /./, [x(2, 3), at([1, 1], 1), y(2, 3)]],
  ["GatherElements", /./, [x(2, 3), at([3, 3], 0, 0, 0, 0, 0, 0, 0, 0, 0)], { axis: 1 }],
  ["TensorScatter", /cache/, [x(2, 3, 4), y(2, 2, 4), at([2], 2, 0)], {}, { opset: 24 }],
];

const AXES: readonly Refused[] = [
  ["Concat", AXIS, [x(2, 3), y(2, 3)], { axis: 2 }],
  ["Gather", AXIS, [x(2, 3), at([1], 0)], { axis: 2 }],
  ["GatherElements", AXIS, [x(2, 3), at([1, 3], 0, 0, 0)], { axis: -3 }],
  ["ScatterElements", AXIS, [x(2, 3), at([1, 3], 0, 0, 0), y(1, 3)], { axis: 2 }],
  ["Softmax", AXIS, [x(2, 3)], { axis: 2 }],
  ["LogSoftmax", AXIS, [x(2, 3)], { axis: -3 }],
  ["Hardmax", AXIS, [x(2, 3)], { axis: 5 }],
  ["ReduceSum", AXIS, [x(2, 3), ints(2)]],
  ["ReduceMean", AXIS, [x(2, 3), ints(-3)]],
  ["ArgMax", AXIS, [x(2, 3)], { axis: 2 }],
  ["Squeeze", AXIS, [x(1, 3), ints(2)]],
  ["Squeeze", AXIS, [x(1, 3), ints(1)]],
  ["Unsqueeze", AXIS, [x(1, 3), ints(4)]],
  ["Unsqueeze", AXIS, [x(1, 3), ints(0, 0)]],
  ["Transpose", /permute/, [x(2, 3)], { perm: [0, 0] }],
  ["Transpose", /permute/, [x(2, 3)], { perm: [0] }],
  ["Flatten", AXIS, [x(2, 3)], { axis: 3 }],
  ["Split", AXIS, [x(2, 4)], { axis: 2, num_outputs: 2 }, { results: 2 }],
  ["Slice", AXIS, [x(2, 4), ints(0), ints(1), ints(2)]],
  ["TopK", AXIS, [x(2, 4), ints(1)], { axis: 2 }, { results: 2 }],
  ["CumSum", AXIS, [x(2, 4), i64(2)]],
  ["LayerNormalization", AXIS, [x(2, 4), y(4)], { axis: 2 }],
  ["LpNormalization", AXIS, [x(2, 4)], { axis: 2 }],
  ["OneHot", AXIS, [at([1], 0), i64(3), of("f32", [2], 0, 1)], { axis: 3 }],
  ["Pad", AXIS, [x(2, 3), ints(1, 1), null, ints(2)]],
  ["Compress", AXIS, [x(2, 3), of("i1", [2], 1, 1)], { axis: 2 }],
  ["Unique", AXIS, [x(2, 3)], { axis: 2 }],
  ["Resize", AXIS, [x(1, 1, 2, 2), null, of("f32", [1], 2)], { axes: [4] }],
  [
    "QuantizeLinear",
    AXIS,
    [x(2, 3), of("f32", [3], 1, 1, 1), of("ui8", [3], 0, 0, 0)],
    { axis: 2 },
  ],
];

const SIZES: readonly Refused[] = [
  ["Reshape", /elements/, [x(2, 3), ints(4, 2)]],
  ["Reshape", /./, [x(2, 3), ints(-1, -1)]],
  ["Reshape", /./, [x(2, 3), ints(-2, -3)]],
  ["Reshape", /divide/, [x(2, 3), ints(-1, 4)]],
  ["Reshape", /./, [x(2, 3), ints(2, 3, 0)]],
  ["Concat", /differ/, [x(2, 3), y(2)], { axis: 0 }],
  ["Concat", /differ/, [x(2, 3), y(2, 2)], { axis: 0 }],
  ["Expand", /broadcast/, [x(2, 3), ints(2, 2)]],
  ["Expand", /./, [x(1, 3), ints(-1, 3)]],
  ["Tile", /repeats/, [x(2, 3), ints(2)]],
  ["Tile", /./, [x(2, 3), ints(-1, 1)]],
  ["Slice", /step/, [x(4), ints(0), ints(2), ints(0), ints(0)]],
  ["Slice", /./, [x(4), ints(0, 1), ints(2), ints(0)]],
  ["Split", /parts/, [x(2, 4), ints(1, 2)], { axis: 1 }, { results: 2 }],
  ["Split", /./, [x(2, 4), ints(-1, 5)], { axis: 1 }, { results: 2 }],
  ["TopK", /./, [x(2, 4), ints(5)], {}, { results: 2 }],
  ["TopK", /./, [x(2, 4), ints(-1)], {}, { results: 2 }],
  ["Range", /step/, [of("f32", [], 0), of("f32", [], 1), of("f32", [], 0)]],
  ["ConstantOfShape", /./, [ints(2, -1)]],
  ["OneHot", /./, [at([1], 0), i64(0), of("f32", [2], 0, 1)]],
  ["OneHot", /./, [at([1], 0), i64(3), of("f32", [3], 0, 1, 2)]],
  ["Pad", /pads/, [x(2, 3), ints(1, 1)]],
  ["Pad", /./, [x(2, 3), ints(-3, 0, 0, 0)]],
  ["Pad", /./, [x(2, 0), ints(0, 1, 0, 0)], { mode: "edge" }],
  ["ReverseSequence", /./, [x(3, 2), ints(4, 1)]],
  ["ReverseSequence", /length/, [x(3, 2), ints(1, 1, 1)]],
  ["DepthToSpace", /divide/, [x(1, 6, 2, 2)], { blocksize: 2 }],
  ["SpaceToDepth", /divide/, [x(1, 2, 3, 2)], { blocksize: 2 }],
  ["Trilu", /./, [x(3)]],
  ["EyeLike", /matrix/, [x(3)]],
  ["ArgMax", /./, [x(2, 0)], { axis: 1 }],
  ["Resize", /scales or sizes/, [x(1, 1, 2, 2)]],
  ["Resize", /positive/, [x(1, 1, 2, 2), null, of("f32", [4], 1, 1, 0, 1)]],
  ["Resize", /axes/, [x(1, 1, 2, 2), null, of("f32", [2], 1, 1)]],
];

const PRODUCTS: readonly Refused[] = [
  ["MatMul", /contracted/, [x(2, 3), y(2, 3)]],
  ["MatMul", /scalar/, [x(2, 3), y()]],
  ["MatMul", /broadcast/, [x(2, 2, 3), y(3, 3, 2)]],
  ["Gemm", /matrices/, [x(2, 2, 3), y(3, 2)]],
  ["Gemm", /contracted/, [x(2, 3), y(2, 3)]],
  ["Gemm", /broadcast/, [x(2, 3), y(3, 2), x(3, 2)]],
  ["Einsum", /operands/, [x(2, 3)], { equation: "ij,jk->ik" }],
  ["Einsum", /axes/, [x(2, 3), y(3)], { equation: "ij,jk->ik" }],
  ["Einsum", /broadcast/, [x(2, 3), y(2, 2)], { equation: "ij,jk->ik" }],
  ["Einsum", /./, [x(2, 3)], { equation: "ij->ik" }],
  ["Einsum", /./, [x(2, 3)], { equation: "ij->ii" }],
  ["Einsum", /./, [x(2, 3)], { equation: "i1->i" }],
  ["Conv", /channels/, [x(1, 2, 4, 4), y(3, 1, 2, 2)]],
  ["Conv", /rank/, [x(1, 2, 4, 4), y(3, 2, 2)]],
  ["Conv", /fit/, [x(1, 1, 2, 2), y(1, 1, 3, 3)]],
  ["Conv", /kernel_shape/, [x(1, 1, 4, 4), y(1, 1, 3, 3)], { kernel_shape: [2, 2] }],
  ["Conv", /./, [x(1, 2, 4, 4), y(3, 2, 2, 2), x(2)]],
  ["Conv", /groups/, [x(1, 2, 4, 4), y(3, 1, 2, 2)], { group: 2 }],
  ["Conv", /strides/, [x(1, 1, 4, 4), y(1, 1, 2, 2)], { strides: [0, 1] }],
  ["ConvTranspose", /channels/, [x(1, 2, 4, 4), y(3, 2, 2, 2)]],
  ["MaxPool", /kernel/, [x(1, 1, 2, 2)], { kernel_shape: [2] }],
  ["BatchNormalization", /./, [x(2, 3, 4), y(2), y(3), y(3), y(3)]],
  ["InstanceNormalization", /./, [x(2, 3, 4), y(2), y(3)]],
  ["GroupNormalization", /./, [x(2, 4, 4), y(4), y(4)], { num_groups: 3 }],
  ["LayerNormalization", /broadcast/, [x(2, 4), y(3)]],
];

const TYPES: readonly Refused[] = [
  ["Add", /element type/, [x(2), typed("i64", y(2))]],
  ["Add", /numbers/, [typed("i1", x(2)), typed("i1", y(2))]],
  ["And", /truths/, [x(2), y(2)]],
  ["Not", /truths/, [x(2)]],
  ["Where", /true or false/, [x(2), x(2), y(2)]],
  ["Sqrt", /floats/, [typed("i64", x(2))]],
  ["Softmax", /floats/, [typed("i64", x(2))]],
  ["BitShift", /unsigned/, [typed("i32", x(2)), typed("i32", y(2))], { direction: "LEFT" }],
  ["BitwiseAnd", /integers/, [x(2), y(2)]],
  ["Gather", /indices/, [x(2, 3), typed("f32", values([1], 0))]],
  ["Concat", /element type/, [x(2), typed("i64", y(2))], { axis: 0 }],
  ["MatMul", /element type/, [x(2, 3), typed("f64", y(3, 2))]],
  ["MatMulInteger", /./, [x(2, 3), y(3, 2)]],
  ["Gelu", /floats/, [typed("i32", x(2))]],
  ["LayerNormalization", /./, [typed("i32", x(2, 3)), typed("i32", y(3))]],
  ["Conv", /./, [typed("i32", x(1, 1, 3, 3)), typed("i32", y(1, 1, 2, 2))]],
  ["Abs", /./, [typed("i1", x(2))]],
];

const ROWS = [...INDICES, ...AXES, ...SIZES, ...PRODUCTS, ...TYPES].map(
  ([op, why, inputs, attrs = {}, more = {}]) => ({ op, why, inputs, attrs, more }),
);

test.each(ROWS)("$op $attrs: $why", async ({ op, why, inputs, attrs, more }) => {
  const row: Row = { op, form: "", inputs, attrs, elems: ["f32"], ...more };
  const { runtime, folded, simulated } = await refusals(row);
  expect(runtime).not.toBe("");
  expect(folded).toMatch(/^A\d\d\d /);
  expect(folded).toMatch(why);
  expect(simulated).toMatch(/^A\d\d\d /);
});
