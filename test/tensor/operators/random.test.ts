/**
 * The operators that models are mostly made of, with shapes and attributes drawn at random: folded and on the
 * simulated machine as on ONNX Runtime. The seed is in the name of every test; AIMCC_SEED takes another one.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Draw, int, narrowed, permutation, pick, shapeOf } from "../on-ort.ts";
import { verdictOn } from "./judged.ts";
import {
  type Attributes,
  constant,
  ints,
  type Operand,
  type Row,
  typed,
  values,
  x,
  y,
} from "./row.ts";

const SEED = Number(process.env["AIMCC_SEED"] ?? 20);
const RUNS = 20;

type Form = Pick<Row, "inputs"> & { readonly attrs?: Attributes; readonly results?: number };

const axisIn = (draw: Draw, shape: readonly number[]): number =>
  int(draw, -shape.length, shape.length - 1);

/** Fed, or a constant of the model. */
const either = (draw: Draw, operand: Operand): Operand =>
  pick(draw, operand, operand, constant(operand));

function indices(draw: Draw, shape: readonly number[], size: number): Operand {
  const count = shape.reduce((a, b) => a * b, 1);
  const list = Array.from({ length: count }, () => int(draw, -size, size - 1));
  return typed("i64", values(shape, ...list));
}

function matmul(draw: Draw): Form {
  const [m, k, n] = [int(draw, 1, 4), int(draw, 1, 5), int(draw, 1, 4)];
  const batch = shapeOf(draw, 0, 2);
  const a = pick(draw, [...batch, m, k], [...narrowed(draw, batch), m, k], [k]);
  return { inputs: [either(draw, x(...a)), either(draw, y(...narrowed(draw, batch), k, n))] };
}

function gemm(draw: Draw): Form {
  const [m, k, n] = [int(draw, 1, 4), int(draw, 1, 5), int(draw, 1, 4)];
  const [transA, transB] = [int(draw, 0, 1), int(draw, 0, 1)];
  const c = pick(draw, null, x(n), x(m, 1), x(), x(1, n));
  return {
    inputs: [x(...(transA ? [k, m] : [m, k])), either(draw, y(...(transB ? [n, k] : [k, n]))), c],
    attrs: { transA, transB, "alpha:f": pick(draw, 1, 0.5), "beta:f": pick(draw, 1, 2) },
  };
}

function slice(draw: Draw): Form {
  const shape = shapeOf(draw, 1, 4);
  const axes = draw(fc.subarray([...shape.keys()], { minLength: 1 }));
  const bounds = () => ints(...axes.map(() => int(draw, -7, 7)));
  const steps = ints(...axes.map(() => pick(draw, 1, 1, 2, -1, -3)));
  return { inputs: [x(...shape), bounds(), bounds(), ints(...axes), steps] };
}

function concat(draw: Draw): Form {
  const shape = shapeOf(draw);
  const axis = axisIn(draw, shape);
  const part = () => x(...shape.with(axis, int(draw, 0, 3)));
  return { inputs: [part(), either(draw, part()), part()], attrs: { axis } };
}

function reduction(draw: Draw): Form {
  const shape = shapeOf(draw);
  const axes = draw(fc.subarray([...shape.keys()]));
  const attrs = { keepdims: int(draw, 0, 1), noop_with_empty_axes: int(draw, 0, 1) };
  return { inputs: [x(...shape), ints(...axes)], attrs };
}

function softmax(draw: Draw): Form {
  const shape = shapeOf(draw);
  return { inputs: [x(...shape)], attrs: { axis: axisIn(draw, shape) } };
}

function layerNorm(draw: Draw): Form {
  const shape = shapeOf(draw, 1, 4, 2);
  const axis = axisIn(draw, shape);
  const end = shape.slice(axis);
  const bias = pick(draw, null, constant(y(...end)));
  return { inputs: [x(...shape), either(draw, x(...end)), bias], attrs: { axis } };
}

function einsum(draw: Draw): Form {
  const letters = ["i", "j", "k", "l"].slice(0, int(draw, 2, 4));
  const sizes = new Map(letters.map((l) => [l, int(draw, 1, 4)]));
  const term = () => draw(fc.shuffledSubarray(letters, { minLength: 1 }));
  const [a, b] = [term(), term()];
  const result = draw(fc.shuffledSubarray([...new Set([...a, ...b])]));
  const shape = (names: readonly string[]) => names.map((l) => sizes.get(l) ?? 1);
  const equation = `${a.join("")},${b.join("")}->${result.join("")}`;
  return { inputs: [x(...shape(a)), y(...shape(b))], attrs: { equation } };
}

function conv(draw: Draw): Form {
  const group = int(draw, 1, 2);
  const [depth, features, n] = [int(draw, 1, 2), int(draw, 1, 2) * group, int(draw, 1, 2)];
  const kernel = Array.from({ length: n }, () => int(draw, 1, 3));
  const space = kernel.map(() => int(draw, 5, 7));
  const attrs = {
    group,
    strides: kernel.map(() => int(draw, 1, 2)),
    dilations: kernel.map(() => int(draw, 1, 2)),
    pads: [...kernel, ...kernel].map(() => int(draw, 0, 2)),
  };
  const bias = pick(draw, null, constant(x(features)));
  const batch = int(draw, 1, 2);
  const filters = either(draw, y(features, depth, ...kernel));
  return { inputs: [x(batch, depth * group, ...space), filters, bias], attrs };
}

function scatterElements(draw: Draw): Form {
  const shape = shapeOf(draw);
  const axis = axisIn(draw, shape);
  const chosen = shape.map((d) => int(draw, 1, d));
  const at = indices(draw, chosen, shape.at(axis) ?? 1);
  const reduction = pick(draw, "add", "mul", "max", "min");
  return { inputs: [x(...shape), at, y(...chosen)], attrs: { axis, reduction } };
}

function scatterNd(draw: Draw): Form {
  const shape = shapeOf(draw, 1, 3, 2);
  const [count, width] = [int(draw, 0, 3), int(draw, 1, shape.length)];
  const least = Math.min(...shape);
  const at = indices(draw, [count, width], least);
  const updates = y(count, ...shape.slice(width));
  return { inputs: [x(...shape), at, updates], attrs: { reduction: pick(draw, "add", "max") } };
}

function gather(draw: Draw): Form {
  const shape = shapeOf(draw);
  const axis = axisIn(draw, shape);
  const at = indices(draw, shapeOf(draw, 0, 2), shape.at(axis) ?? 1);
  return { inputs: [either(draw, x(...shape)), either(draw, at)], attrs: { axis } };
}

function topK(draw: Draw): Form {
  const shape = shapeOf(draw);
  const axis = axisIn(draw, shape);
  const attrs = { axis, largest: int(draw, 0, 1) };
  return { inputs: [x(...shape), ints(int(draw, 0, shape.at(axis) ?? 1))], attrs, results: 2 };
}

function reshape(draw: Draw): Form {
  const shape = shapeOf(draw);
  const order = permutation(draw, shape.length).map((i) => shape[i] ?? 1);
  const to = pick(draw, order, [-1], [0, -1], [...order, 1], order.with(0, -1));
  return { inputs: [x(...shape), ints(...(shape.length === 1 && to[0] === 0 ? [-1] : to))] };
}

function transpose(draw: Draw): Form {
  const shape = shapeOf(draw, 1, 5, 0);
  return { inputs: [x(...shape)], attrs: { perm: permutation(draw, shape.length) } };
}

function expand(draw: Draw): Form {
  const shape = shapeOf(draw);
  return { inputs: [x(...narrowed(draw, shape)), ints(...narrowed(draw, shape))] };
}

function where(draw: Draw): Form {
  const shape = shapeOf(draw);
  const operand = () => narrowed(draw, shape);
  return { inputs: [typed("i1", x(...operand())), x(...operand()), either(draw, y(...operand()))] };
}

const OPERATORS: Readonly<Record<string, (draw: Draw) => Form>> = {
  MatMul: matmul,
  Gemm: gemm,
  Reshape: reshape,
  Transpose: transpose,
  Slice: slice,
  Gather: gather,
  Concat: concat,
  Expand: expand,
  Where: where,
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceSumSquare: reduction,
  Softmax: softmax,
  LogSoftmax: softmax,
  LayerNormalization: layerNorm,
  Einsum: einsum,
  Conv: conv,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  TopK: topK,
};

/** Rows that say what they are: a fault is found again by its seed, and read without it. */
function rowsOf(op: string, make: (draw: Draw) => Form): Row[] {
  const drawn = fc.gen().map((gen) => make((arbitrary) => gen(() => arbitrary)));
  return fc.sample(drawn, { seed: SEED, numRuns: RUNS }).map((form): Row => {
    const shapes = form.inputs.map((o) => (o ? `[${o.make("f32").shape.join(", ")}]` : "none"));
    const tolerance = { relative: 1e-4, absolute: 1e-4 };
    const shown = `${shapes.join(" ")} ${JSON.stringify(form.attrs ?? {})}`;
    return { op, form: shown, elems: ["f32"], tolerance, ...form };
  });
}

describe(`seed ${SEED}`, () => {
  test.each(Object.entries(OPERATORS))("%s", async (op, make) => {
    expect(await verdictOn(rowsOf(op, make))).toEqual([]);
  });
});
