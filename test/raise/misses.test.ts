/** What is nearly a module says which condition failed, and at which node. */

import { expect, test } from "vitest";
import type { NearMiss } from "../../passes/pass.ts";
import type { Module } from "../../src/ir/op.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { numbers } from "./judged.ts";
import { raised } from "./raised.ts";
import { small, type Writer } from "./small.ts";

/** The last near miss of every operation that is still there. */
function missesOf({ module, store }: { readonly module: Module; readonly store: WeightStore }) {
  const found = new Map<unknown, NearMiss>();
  const after = raised(module, store, (m) => found.set(m.op.results[0], m));
  return after.ops.flatMap((op) => {
    const miss = found.get(op.results[0]);
    return miss?.op.kind === op.kind ? [miss] : [];
  });
}

type Shapes = Readonly<Record<string, readonly number[]>>;
type Case = readonly [pattern: string, why: RegExp, shapes: Shapes, write: (w: Writer) => string];

const [S, D] = [4, 8];
const QKV = { q: [1, 2, S, D], k: [1, 2, S, D], v: [1, 2, S, D] };
const ROW = { x: [2, 3, D] };

const scores = (w: Writer) =>
  w.op("MatMul", ["q", w.op("Transpose", ["k"], { perm: [0, 1, 3, 2] })]);
const weighed = (w: Writer, masked: string, axis = -1) =>
  w.op("MatMul", [w.op("Softmax", [masked], { axis }), "v"]);

const meanOfSquares = (w: Writer, axis: number, keepdims = 1) =>
  w.op("ReduceMean", [w.op("Mul", ["x", "x"]), w.ints([axis])], { keepdims });
const divided = (w: Writer, by: string) => w.op("Div", ["x", by]);

const gelu = (w: Writer, factor: number, inside: number, of = "x") => {
  const erf = w.op("Erf", [w.op("Mul", [of, w.number(inside)])]);
  return w.op("Mul", [w.op("Mul", ["x", w.op("Add", [erf, w.number(1)])]), w.number(factor)]);
};

/** x cos + [-b, a] sin on the last axis; the parts are cut at `half`. */
function rotation(w: Writer, half: number, table: readonly number[]): string {
  const cut = (from: number, to: number) =>
    w.op("Slice", ["x", w.ints([from]), w.ints([to]), w.ints([-1])]);
  const turn = w.op("Concat", [w.op("Neg", [cut(half, D)]), cut(0, half)], { axis: -1 });
  const t = w.constant(table, numbers(table, 2));
  return w.op("Add", [w.op("Mul", ["x", t]), w.op("Mul", [turn, t])]);
}

const CASES: Readonly<Record<string, Case>> = {
  "softmax over the queries": [
    "attention",
    /softmax is taken over axis 2, not the last/,
    QKV,
    (w) => weighed(w, scores(w), 2),
  ],
  "scores out of a table": [
    "attention",
    /its keys are constants/,
    QKV,
    (w) => weighed(w, w.op("MatMul", ["q", w.constant([1, 2, D, S], numbers([2, D, S], 1))])),
  ],
  "scores that are given": [
    "attention",
    /its scores are an input of the graph/,
    { s: [1, 2, S, S], v: [1, 2, S, D] },
    (w) => weighed(w, "s"),
  ],
  "scores by another function": [
    "attention",
    /its scores come out of Sin, not of a product of queries and keys/,
    QKV,
    (w) => weighed(w, w.op("Sin", [scores(w)])),
  ],
  "a fill that hides nothing": [
    "attention",
    /its mask fills in -5, which hides nothing/,
    { ...QKV, m: [1, 1, 1, S] },
    (w) =>
      weighed(w, w.op("Where", [w.op("Greater", ["m", w.number(0)]), scores(w), w.number(-5)])),
  ],
  "a floor that hides nothing": [
    "attention",
    /no score stays below -3, which hides nothing/,
    QKV,
    (w) => weighed(w, w.op("Max", [scores(w), w.number(-3)])),
  ],
  "weights that are shifted": [
    "attention",
    /its weights go through Concat behind softmax/,
    { ...QKV, q: [1, 2, S, D], v: [1, 2, 2 * S, D] },
    (w) => {
      const weights = w.op("Softmax", [scores(w)], { axis: -1 });
      return w.op("MatMul", [w.op("Concat", [weights, weights], { axis: -1 }), "v"]);
    },
  ],
  "scores multiplied behind a mask": [
    "attention",
    /scores are multiplied behind a mask/,
    QKV,
    (w) => {
      const masked = w.op("Add", [scores(w), w.constant([S], [0, 0, -1e9, 0])]);
      return weighed(w, w.op("Mul", [masked, w.constant([2, 1, 1], [1, 2])]));
    },
  ],
  "a mean over tokens": [
    "layer norm or RMS norm",
    /its mean is not taken over the last axis alone/,
    ROW,
    (w) => divided(w, w.op("Sqrt", [w.op("Add", [meanOfSquares(w, 1), w.number(1e-5)])])),
  ],
  "no epsilon": [
    "layer norm or RMS norm",
    /not that of a mean of squares plus a constant epsilon/,
    ROW,
    (w) => divided(w, w.op("Sqrt", [meanOfSquares(w, -1)])),
  ],
  "epsilon beside the root": [
    "layer norm or RMS norm",
    /not that of a mean of squares plus a constant epsilon/,
    ROW,
    (w) => divided(w, w.op("Add", [w.op("Sqrt", [meanOfSquares(w, -1)]), w.number(1e-5)])),
  ],
  "a sum in place of the mean": [
    "layer norm or RMS norm",
    /root of a sum, not of a mean/,
    ROW,
    (w) => {
      const sum = w.op("ReduceSum", [w.op("Mul", ["x", "x"]), w.ints([-1])], { keepdims: 1 });
      return divided(w, w.op("Sqrt", [w.op("Add", [sum, w.number(1e-5)])]));
    },
  ],
  "another value divided": [
    "layer norm or RMS norm",
    /what it divides is not what was squared/,
    { ...ROW, y: [2, 3, D] },
    (w) => {
      const root = w.op("Sqrt", [w.op("Add", [meanOfSquares(w, -1), w.number(1e-5)])]);
      return w.op("Div", ["y", root]);
    },
  ],
  "a norm of two axes": [
    "layer norm or RMS norm",
    /it is taken from axis 1 on/,
    ROW,
    (w) => w.op("LayerNormalization", ["x", w.constant([3, D], numbers([3, D], 2))], { axis: 1 }),
  ],
  "Erf of another multiple": [
    "activation function",
    /Erf is taken of 0.5 x, not of 0.707107 x \(gelu_erf\)/,
    ROW,
    (w) => gelu(w, 0.5, 0.5),
  ],
  "a GELU twice as large": [
    "activation function",
    /the product has the factor 1, not 0.5/,
    ROW,
    (w) => gelu(w, 1, Math.SQRT1_2),
  ],
  "Erf of another value": [
    "activation function",
    /Erf is not taken of what it is multiplied with/,
    { ...ROW, y: [2, 3, D] },
    (w) => gelu(w, 0.5, Math.SQRT1_2, "y"),
  ],
  "a rotation of unequal parts": [
    "rotary position embedding",
    /is not the second feature of every pair/,
    { x: [1, 2, S, D] },
    (w) => rotation(w, 2, [S, D]),
  ],
  "a rotation of three axes": [
    "rotary position embedding",
    /\[2, 3, 8\], is not \[B, H, S, D\]/,
    ROW,
    (w) => rotation(w, D / 2, [3, D]),
  ],
  "a product of two computed values": [
    "linear layer",
    /neither of its factors is a constant/,
    { x: [2, 3], y: [3, 4] },
    (w) => w.op("MatMul", ["x", "y"]),
  ],
  "a matrix for every position": [
    "linear layer",
    /holds 70 matrices, more than heads/,
    { x: [70, 1, 2] },
    (w) => w.op("MatMul", ["x", w.constant([70, 2, 3], numbers([70, 2, 3], 1))]),
  ],
  "one filter for each channel": [
    "linear layer on patches",
    /its filters see one channel each/,
    { x: [1, 3, 6] },
    (w) => w.op("Conv", ["x", w.constant([3, 1, 2], numbers([3, 1, 2], 3))], { group: 3 }),
  ],
  "filters that are computed": [
    "linear layer on patches",
    /its filters are no constants/,
    { x: [1, 3, 6], f: [2, 3, 2] },
    (w) => w.op("Conv", ["x", "f"]),
  ],
  "a choice that no experts follow": [
    "mixture of experts",
    /what it chooses reaches no loop over all experts/,
    { x: [3, 4] },
    (w) => {
      const logits = w.op("MatMul", ["x", w.constant([4, 6], numbers([4, 6], 1))]);
      return w.several("TopK", [logits, w.ints([2])], 2, { axis: -1 })[0] ?? "";
    },
  ],
  "columns of a table": [
    "embedding",
    /it picks along axis 1 of its table, not rows/,
    { i: [2] },
    (w) =>
      w.op("Gather", [w.constant([3, 4], numbers([3, 4], 1)), w.op("Cast", ["i"], { to: 7 })], {
        axis: 1,
      }),
  ],
  "a cache of another layout": [
    "cache of keys or values",
    /\[2, 3, 8\], is not \[B, H, S, D\]/,
    { past: [2, 3, D], x: [2, 1, D] },
    (w) => w.op("Concat", ["past", w.op("Sin", ["x"])], { axis: 1 }),
  ],
};

test.each(Object.entries(CASES))("%s", (_, [pattern, why, shapes, write]) => {
  const found = missesOf(small(shapes, write));
  const told = found.filter((m) => m.pattern === pattern && why.test(m.why));
  expect(told, found.map((m) => `${m.pattern}: ${m.why}`).join("; ")).not.toEqual([]);
  for (const { nodes } of found) expect(nodes).not.toEqual([]);
});
