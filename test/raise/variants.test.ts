/**
 * Small networks written in other ways at random hold the same modules and give the same answer. A failure
 * names the seed and, made small, how many changes it takes.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldConstants } from "../../passes/fold-constants.ts";
import { inferShapes } from "../../passes/infer-shapes.ts";
import { shareRepeated } from "../../passes/share-repeated.ts";
import { simplify } from "../../passes/simplify.ts";
import type { Module } from "../../src/ir/op.ts";
import { apply } from "../ir/onnx-models.ts";
import { feedsOf, numbers, type Shapes } from "./judged.ts";
import { perturbed } from "./perturb.ts";
import { census, expectSame, raised } from "./raised.ts";
import { small, type Writer } from "./small.ts";

const [B, H, S, D] = [2, 2, 4, 8];
const W = H * D;
const X = { x: [B, S, W] };

const matrix = (w: Writer, shape: readonly number[], seed: number) =>
  w.constant(
    shape,
    numbers(shape, seed).map((n) => n / 4),
  );
const linear = (w: Writer, x: string, width: number, seed: number) => {
  const y = w.op("MatMul", [x, matrix(w, [W, width], seed)]);
  return w.op("Add", [y, matrix(w, [width], seed + 1)]);
};

const mean = (w: Writer, x: string) => w.op("ReduceMean", [x, w.ints([-1])], { keepdims: 1 });

function normed(w: Writer, x: string, centre: boolean): string {
  const c = centre ? w.op("Sub", [x, mean(w, x)]) : x;
  const variance = mean(w, w.op("Pow", [c, w.number(2)]));
  const root = w.op("Sqrt", [w.op("Add", [variance, w.number(1e-5)])]);
  const scaled = w.op("Mul", [w.op("Div", [c, root]), matrix(w, [W], 3)]);
  return centre ? w.op("Add", [scaled, matrix(w, [W], 4)]) : scaled;
}

function gelu(w: Writer, x: string): string {
  const erf = w.op("Erf", [w.op("Div", [x, w.number(Math.SQRT2)])]);
  return w.op("Mul", [w.op("Mul", [x, w.op("Add", [erf, w.number(1)])]), w.number(0.5)]);
}

function tanhGelu(w: Writer, x: string): string {
  const cube = w.op("Pow", [x, w.number(3)]);
  const inner = w.op("Add", [x, w.op("Mul", [cube, w.number(0.044715)])]);
  const tanh = w.op("Tanh", [w.op("Mul", [inner, w.number(Math.sqrt(2 / Math.PI))])]);
  return w.op("Mul", [w.op("Mul", [x, w.number(0.5)]), w.op("Add", [tanh, w.number(1)])]);
}

/** [B, S, W] as heads [B, H, S, D], turned by `perm`. */
const heads = (w: Writer, x: string, perm: readonly number[] = [0, 2, 1, 3]) =>
  w.op("Transpose", [w.op("Reshape", [x, w.ints([B, S, H, D])])], { perm });

function rotated(w: Writer, x: string): string {
  const cut = (from: number, to: number) =>
    w.op("Slice", [x, w.ints([from]), w.ints([to]), w.ints([-1])]);
  const turn = w.op("Concat", [w.op("Neg", [cut(D / 2, D)]), cut(0, D / 2)], { axis: -1 });
  const [cos, sin] = [matrix(w, [1, 1, S, D], 5), matrix(w, [1, 1, S, D], 6)];
  return w.op("Add", [w.op("Mul", [x, cos]), w.op("Mul", [turn, sin])]);
}

const LOWEST = -3.4028234663852886e38;

const MASKS: Readonly<Record<string, (w: Writer, scores: string) => string>> = {
  "a constant mask": (w, scores) =>
    w.op("Add", [
      scores,
      w.constant(
        [S, S],
        Array.from({ length: S * S }, (_, i) => (i % S > Math.floor(i / S) ? -1e9 : 0)),
      ),
    ]),
  "padding that chooses": (w, scores) => {
    const flags = w.op("Greater", [w.op("Reshape", ["m", w.ints([B, 1, 1, S])]), w.number(0)]);
    return w.op("Where", [flags, scores, w.number(LOWEST)]);
  },
  "padding that is added": (w, scores) => {
    const keys = w.op("Reshape", ["m", w.ints([B, 1, 1, S])]);
    const hidden = w.op("Mul", [w.op("Sub", [w.number(1), keys]), w.number(-1e4)]);
    return w.op("Add", [scores, hidden]);
  },
  "a causal mask from positions": (w, scores) => {
    const at = w.op("Range", [
      w.tensor("i64", [], [0]),
      w.tensor("i64", [], [S]),
      w.tensor("i64", [], [1]),
    ]);
    const column = w.op("Reshape", [at, w.ints([S, 1])]);
    return w.op("Where", [w.op("Less", [column, at]), w.number(-1e9), scores]);
  },
};

const attention = (mask: (w: Writer, scores: string) => string) => (w: Writer) => {
  const [q, k, v] = w.several("Split", [linear(w, "x", 3 * W, 10), w.ints([W, W, W])], 3, {
    axis: -1,
  });
  const columns = heads(w, k ?? "", [0, 2, 3, 1]);
  const scores = w.op("MatMul", [heads(w, q ?? ""), columns]);
  const masked = mask(w, w.op("Mul", [scores, w.number(D ** -0.5)]));
  const context = w.op("MatMul", [w.op("Softmax", [masked], { axis: -1 }), heads(w, v ?? "")]);
  const rows = w.op("Transpose", [context], { perm: [0, 2, 1, 3] });
  return linear(w, w.op("Reshape", [rows, w.ints([B, S, W])]), W, 12);
};

const FORMS: Readonly<Record<string, readonly [Shapes, (w: Writer) => string]>> = {
  "a linear": [X, (w) => linear(w, "x", 12, 1)],
  "a layer norm": [X, (w) => normed(w, "x", true)],
  "an RMS norm": [X, (w) => normed(w, "x", false)],
  "a feed-forward network with GELU": [X, (w) => linear(w, gelu(w, linear(w, "x", W, 1)), 12, 7)],
  "GELU with tanh": [X, (w) => tanhGelu(w, linear(w, "x", W, 1))],
  "a gate": [
    X,
    (w) => {
      const gate = linear(w, "x", W, 1);
      const silu = w.op("Mul", [gate, w.op("Sigmoid", [gate])]);
      return w.op("Mul", [silu, linear(w, "x", W, 7)]);
    },
  ],
  "rotary positions": [X, (w) => rotated(w, heads(w, linear(w, "x", W, 1)))],
  "an embedding": [
    X,
    (w) => {
      const ids = w.op("Cast", [w.op("ArgMax", ["x"], { axis: -1, keepdims: 0 })], { to: 7 });
      return w.op("Add", [w.op("Gather", [matrix(w, [W, W], 2), ids]), "x"]);
    },
  ],
  patches: [
    { x: [B, 3, 8, 8] },
    (w) => {
      const y = w.op("Conv", ["x", matrix(w, [W, 3, 4, 4], 2)], { strides: [4, 4] });
      const rows = w.op("Transpose", [w.op("Reshape", [y, w.ints([B, W, S])])], {
        perm: [0, 2, 1],
      });
      return normed(w, rows, true);
    },
  ],
  ...Object.fromEntries(
    Object.entries(MASKS).map(([name, mask]) => [
      `attention with ${name}`,
      [{ ...X, m: [B, S] }, attention(mask)] as const,
    ]),
  ),
  "a layer": [
    X,
    (w) => {
      const inner = w.op("Add", ["x", attention((_, s) => s)(w)]);
      return w.op("Add", [
        inner,
        linear(w, gelu(w, linear(w, normed(w, inner, true), W, 1)), W, 7),
      ]);
    },
  ],
};

/** Sums are left out: what is added to what is the order of the writer. */
const modules = (module: Module) =>
  Object.fromEntries(
    Object.entries(census(module)).filter(([k]) => k.startsWith("nn.") && k !== "nn.residual"),
  );

const RUNS = 15;

describe("written otherwise", () => {
  test.each(Object.entries(FORMS))("%s", async (_, [shapes, write]) => {
    const { module, store } = small(shapes, write);
    const typed = [inferShapes, foldConstants, simplify, shareRepeated].reduce(
      (m, p) => apply(p, m, store),
      module,
    );
    const plain = modules(raised(typed, store));
    const feeds = feedsOf(shapes, { m: [1, 1, 1, 1, 1, 1, 1, 0] });
    const same = fc.asyncProperty(fc.integer(), fc.nat(30), async (seed, budget) => {
      const after = raised(perturbed(typed, seed, budget), store);
      expect(modules(after)).toEqual(plain);
      await expectSame(typed, after, store, feeds, 1e-4);
    });
    await fc.assert(same, { numRuns: RUNS, seed: Number(process.env["RAISE_SEED"] ?? 11) });
  });
});
