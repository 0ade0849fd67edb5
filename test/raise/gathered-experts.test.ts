/** Mixtures of experts whose rows gather the matrices of their experts. */

import { describe, expect, test } from "vitest";
import { feedsOf, numbers, raisedAs } from "./judged.ts";
import { census } from "./raised.ts";
import { small, type Writer } from "./small.ts";

const [T, K, E, H, I] = [5, 2, 4, 8, 6];
const shapes = { x: [1, T, H] };

/** The weights [T, K] and the experts [T, K] of every token. */
function chosen(w: Writer): readonly [string, string] {
  const rows = w.op("Reshape", ["x", w.ints([T, H])]);
  const logits = w.op("MatMul", [rows, w.constant([H, E], numbers([H, E], 1))]);
  const [best = "", experts = ""] = w.several("TopK", [logits, w.ints([K])], 2, { axis: -1 });
  return [w.op("Softmax", [best], { axis: -1 }), experts];
}

const stack = (w: Writer, shape: readonly number[], seed: number) =>
  w.constant(shape, numbers(shape, seed));

/** The sum over the choices of each token. */
const summed = (w: Writer, y: string, weights: string) => {
  const weighed = w.op("Mul", [y, w.op("Reshape", [weights, w.ints([T * K, 1])])]);
  const apart = w.op("Reshape", [weighed, w.ints([T, K, H])]);
  return w.op("ReduceSum", [apart, w.ints([1])], { keepdims: 0 });
};

const repeated = (w: Writer) => {
  const apart = w.op("Reshape", ["x", w.ints([T, 1, H])]);
  return w.op("Expand", [apart, w.ints([T, K, H])]);
};

/** Matrices [E, out, in] times columns: Mixtral as transformers 5 writes it. */
function columns(w: Writer): string {
  const [weights, experts] = chosen(w);
  const indices = w.op("Reshape", [experts, w.ints([T * K, 1])]);
  const own = (shape: readonly number[], seed: number) =>
    w.op("GatherND", [stack(w, shape, seed), indices]);
  const x = w.op("Reshape", [repeated(w), w.ints([T * K, H, 1])]);
  const inner = w.op("Squeeze", [w.op("MatMul", [own([E, 2 * I, H], 2), x]), w.ints([-1])]);
  const [gate = "", up = ""] = w.several("Split", [inner, w.ints([I, I])], 2, { axis: 1 });
  const silu = w.op("Mul", [gate, w.op("Sigmoid", [gate])]);
  const gated = w.op("Unsqueeze", [w.op("Mul", [silu, up]), w.ints([-1])]);
  const y = w.op("Squeeze", [w.op("MatMul", [own([E, H, I], 3), gated]), w.ints([-1])]);
  return summed(w, y, weights);
}

/** Rows times matrices [E, in, out], with biases and clamped gates: gpt-oss as transformers 5 writes it. */
function rows(w: Writer): string {
  const [weights, experts] = chosen(w);
  const indices = w.op("Reshape", [experts, w.ints([T * K])]);
  const own = (shape: readonly number[], seed: number) =>
    w.op("Gather", [stack(w, shape, seed), indices], { axis: 0 });
  const picked = w.ints(Array.from({ length: T * K }, (_, i) => Math.floor(i / K)));
  const tokens = w.op("Reshape", ["x", w.ints([T, H])]);
  const x = w.op("Unsqueeze", [w.op("Gather", [tokens, picked], { axis: 0 }), w.ints([1])]);
  const product = w.op("Squeeze", [w.op("MatMul", [x, own([E, H, 2 * I], 2)]), w.ints([1])]);
  const inner = w.op("Add", [product, own([E, 2 * I], 4)]);
  const every = (from: number) =>
    w.op("Slice", [inner, w.ints([from]), w.ints([2 * I]), w.ints([1]), w.ints([2])]);
  const gate = w.op("Min", [every(0), w.number(0.7)]);
  const up = w.op("Clip", [every(1), w.number(-0.7), w.number(0.7)]);
  const sigmoid = w.op("Sigmoid", [w.op("Mul", [gate, w.number(1.702)])]);
  const gated = w.op("Mul", [w.op("Add", [w.number(1), up]), w.op("Mul", [gate, sigmoid])]);
  const column = w.op("Unsqueeze", [gated, w.ints([1])]);
  const y = w.op("Squeeze", [w.op("MatMul", [column, own([E, I, H], 3)]), w.ints([1])]);
  return summed(w, w.op("Add", [y, own([E, H], 5)]), weights);
}

describe("rows with a matrix each", () => {
  test.each(Object.entries({ columns, rows }))("as %s", async (_, write) => {
    const after = await raisedAs(small(shapes, write), feedsOf(shapes));
    const found = census(after);
    expect(found).toMatchObject({ "nn.router": 1, "nn.linear": 1 + 2 * E, "nn.combine": 1 });
    expect(found).not.toHaveProperty("onnx.MatMul");
    expect(found).not.toHaveProperty("onnx.TopK");
  });

  test("of which every token's follow one another after all tokens stay as they are", async () => {
    const after = await raisedAs(
      small(shapes, (w) => {
        const [weights, experts] = chosen(w);
        const indices = w.op("Reshape", [experts, w.ints([T * K])]);
        const own = w.op("Gather", [stack(w, [E, H, H], 2), indices], { axis: 0 });
        const tokens = w.op("Reshape", ["x", w.ints([T, H])]);
        const x = w.op("Unsqueeze", [w.op("Concat", [tokens, tokens], { axis: 0 }), w.ints([1])]);
        const y = w.op("Squeeze", [w.op("MatMul", [x, own]), w.ints([1])]);
        return summed(w, y, weights);
      }),
      feedsOf(shapes),
    );
    expect(census(after)).not.toHaveProperty("nn.combine");
  });
});
