/** Steps with constants that stay in their file give what they give with constants in memory. */

import { join } from "node:path";
import { expect, test } from "vitest";
import { inParts } from "../../src/sim/in-parts.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import type { Kernel } from "../../src/tensor/kernels/kernel.ts";
import { type Elem, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { writeSafetensors } from "../../src/weights/safetensors.ts";
import { lazySafetensors } from "../../src/weights/tensor-file.ts";
import { folder } from "../onnx/small-model.ts";

/** Integers that are no ramp, and quarters of them where they are real. */
function values(elem: Elem, shape: readonly number[], seed = 1): Tensor {
  const by = /f/.test(elem) ? 0.25 : 1;
  const numbers = Array.from(
    { length: sizeOf(shape) },
    (_, i) => (((i * 37 + seed) % 101) % 29) * by,
  );
  return fromNumbers(elem, shape, numbers);
}

/** The same tensors, in a file. */
function inFile(tensors: readonly Tensor[]): readonly Tensor[] {
  const path = join(folder(), "constants.safetensors");
  const specs = tensors.map(({ elem, shape }, i) => ({ name: `${i}`, elem, shape }));
  writeSafetensors(path, specs, ({ name }) => tensors[Number(name)] as Tensor);
  const read = lazySafetensors(path, 0);
  return tensors.map((_, i) => read.get(`${i}`) as Tensor);
}

const f = (...shape: number[]) => values("f32", shape);
const half = (...shape: number[]) => values("f16", shape);
const byte = (...shape: number[]) => values("i8", shape, 5);
const unsigned = (...shape: number[]) => values("ui8", shape, 7);
const ids = (shape: readonly number[], ...at: number[]) => fromNumbers("i64", shape, at);

interface Case {
  readonly given: readonly (Tensor | null)[];
  /** Places of constants. */
  readonly constant: readonly number[];
  readonly attrs?: Readonly<Record<string, unknown>>;
}

const products: readonly (readonly [string, string, Case])[] = [
  ["MatMul", "a matrix", { given: [f(2, 3, 37), f(37, 211)], constant: [1] }],
  ["MatMul", "a matrix for a vector", { given: [f(37), f(37, 211)], constant: [1] }],
  ["MatMul", "a matrix on the left", { given: [f(211, 37), f(2, 37, 3)], constant: [0] }],
  ["MatMul", "a stack", { given: [f(2, 1, 3, 7), f(5, 7, 90)], constant: [1] }],
  ["MatMul", "integers", { given: [values("i32", [3, 9]), values("i32", [9, 90])], constant: [1] }],
  ["Gemm", "a matrix", { given: [f(3, 37), f(37, 211), f(211)], constant: [1] }],
  [
    "Gemm",
    "everything turned and scaled",
    {
      given: [f(37, 3), f(211, 37), f(3, 211)],
      constant: [1, 2],
      attrs: { transA: 1, transB: 1, alpha: 0.3, beta: 1.7 },
    },
  ],
  [
    "com.microsoft.FusedGemm",
    "a transposed matrix",
    {
      given: [f(3, 37), f(211, 37), f(1)],
      constant: [1],
      attrs: { transB: 1, activation: "Relu" },
    },
  ],
  [
    "com.microsoft.FusedMatMul",
    "a transposed matrix",
    { given: [f(2, 3, 37), f(211, 37)], constant: [1], attrs: { transB: 1, alpha: 0.3 } },
  ],
  [
    "MatMulInteger",
    "a zero point for each column",
    { given: [unsigned(3, 37), byte(37, 211), unsigned(3), byte(211)], constant: [1, 3] },
  ],
  [
    "QLinearMatMul",
    "a scale for each column",
    {
      given: [
        unsigned(3, 37),
        f(1),
        unsigned(1),
        byte(37, 211),
        f(211),
        byte(211),
        f(1),
        unsigned(1),
      ],
      constant: [3, 4, 5],
    },
  ],
  [
    "Einsum",
    "letters",
    { given: [f(2, 3, 7), f(7, 5, 60)], constant: [1], attrs: { equation: "bti,ihd->bhtd" } },
  ],
  [
    "Conv",
    "filters",
    { given: [f(1, 7, 6, 6), f(60, 7, 3, 3), f(60)], constant: [1, 2], attrs: {} },
  ],
  ["ConvTranspose", "filters", { given: [f(1, 7, 4), f(7, 60, 3), f(60)], constant: [1] }],
  [
    "ConvInteger",
    "filters",
    { given: [unsigned(1, 7, 6), byte(60, 7, 3), unsigned(1), byte(60)], constant: [1] },
  ],
  [
    "QLinearConv",
    "filters",
    {
      given: [
        unsigned(1, 7, 6),
        f(1),
        unsigned(1),
        byte(60, 7, 3),
        f(60),
        byte(60),
        f(1),
        unsigned(1),
        values("i32", [60]),
      ],
      constant: [3, 4, 8],
    },
  ],
];

const linears: readonly (readonly [string, string, Case])[] = [
  ["nn.linear", "a bias", { given: [f(2, 3, 37), f(211), null, f(37, 211)], constant: [1, 3] }],
  [
    "nn.linear",
    "a transposed half matrix",
    { given: [f(2, 37), f(211), null, half(211, 37)], constant: [3], attrs: { transposed: true } },
  ],
  [
    "nn.linear",
    "routing and a stack",
    {
      given: [f(3, 37), null, f(3, 4), f(4, 37, 211)],
      constant: [3],
      attrs: { slice: 2, expert: 1 },
    },
  ],
  [
    "nn.linear",
    "block scales",
    {
      given: [f(3, 37), f(211), null, byte(37, 211), f(4, 211), byte(4, 211)],
      constant: [3, 4, 5],
      attrs: { block: 10 },
    },
  ],
  [
    "nn.linear",
    "a stack with transposed block scales",
    {
      given: [f(3, 37), null, null, byte(3, 211, 37), f(3, 211, 4), byte(3, 211, 4)],
      constant: [3, 4, 5],
      attrs: { block: 10, slice: 1, transposed: true },
    },
  ],
  [
    "nn.linear",
    "filters",
    {
      given: [f(3, 36), f(211), null, f(211, 4, 3, 3)],
      constant: [3],
      attrs: { transposed: true },
    },
  ],
  [
    "nn.linear",
    "a matrix engine",
    {
      given: [half(3, 37), null, null, half(37, 211)],
      constant: [3],
      attrs: { engine: "redmule" },
    },
  ],
];

const picks: readonly (readonly [string, string, Case])[] = [
  [
    "Gather",
    "another axis",
    { given: [f(90, 40), ids([2], 3, -1)], constant: [0], attrs: { axis: 1 } },
  ],
  [
    "GatherElements",
    "an axis",
    {
      given: [f(90, 40), ids([90, 1], ...Array.from({ length: 90 }, (_, i) => i % 40))],
      constant: [0],
      attrs: { axis: 1 },
    },
  ],
  [
    "Slice",
    "an axis",
    { given: [f(90, 40), ids([1], 3), ids([1], 20), ids([1], 1)], constant: [0] },
  ],
];

/** Elements that are held at once. */
const MOST = 800;

test.each([...products, ...linears, ...picks])(
  "%s with %s",
  (name, _, { given, constant, attrs = {} }) => {
    const kernel = KERNELS.get(name) as Kernel;
    const expected = kernel({ inputs: given, attrs, outShapes: null });
    const files = inFile(constant.map((i) => given[i] as Tensor));
    const inputs = given.map((t, i) =>
      constant.includes(i) ? (files[constant.indexOf(i)] as Tensor) : t,
    );
    let calls = 0;
    const compute: Kernel = (call) => {
      calls++;
      for (const i of constant) expect(call.inputs[i]?.data.length).toBeLessThanOrEqual(MOST);
      return kernel(call);
    };
    expect(inParts(name, { inputs, attrs, outShapes: null }, compute, MOST)).toEqual(
      expected.slice(0, 1),
    );
    expect(calls).toBeGreaterThan(1);
    expect(inParts(name, { inputs, attrs, outShapes: null }, kernel, 1e6)).toEqual(expected);
  },
);

test.each([
  ["Conv", "groups", { given: [f(1, 60, 6), f(60, 1, 3)], constant: [1], attrs: { group: 60 } }],
  ["Einsum", "a diagonal", { given: [f(30, 30)], constant: [0], attrs: { equation: "ii->i" } }],
  ["Transpose", "no rule", { given: [f(30, 30)], constant: [0], attrs: { perm: [1, 0] } }],
] as const)("%s with %s is computed at once", (name, _, { given, constant, attrs }) => {
  const kernel = KERNELS.get(name) as Kernel;
  const [file] = inFile(constant.map((i) => given[i] as Tensor));
  const inputs = given.map((t, i) =>
    (constant as readonly number[]).includes(i) ? (file as Tensor) : t,
  );
  const call = { inputs, attrs, outShapes: null };
  expect(inParts(name, call, kernel, 100)).toEqual(kernel({ ...call, inputs: given }));
});
