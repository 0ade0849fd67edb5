/** Attention with its masks and heads as exporters and hand-made tools write it. */

import { describe, expect, test } from "vitest";
import { feedsOf, numbers, raisedAs } from "./judged.ts";
import { census } from "./raised.ts";
import { small, type Writer } from "./small.ts";

const [B, H, S, D] = [2, 4, 5, 8];

describe("attention", () => {
  const shapes = { q: [B, H, S, D], k: [B, H, S, D], v: [B, H, S, D], m: [B, S] };
  /** The second sequence begins with two keys that are padding, so its first queries see nothing. */
  const padding = { m: [1, 1, 1, 1, 1, 0, 0, 1, 1, 1] };
  const lower = Array.from({ length: S * S }, (_, at) => (at % S <= Math.floor(at / S) ? 1 : 0));

  const product = (w: Writer, q = "q", k = "k") => {
    const columns = w.op("Transpose", [k], { perm: [0, 1, 3, 2] });
    return w.op("Mul", [w.op("MatMul", [q, columns]), w.number(D ** -0.5)]);
  };
  const weighed = (w: Writer, scores: string, v = "v") =>
    w.op("MatMul", [w.op("Softmax", [scores], { axis: -1 }), v]);
  const visible = (w: Writer) =>
    w.op("Greater", [w.op("Reshape", ["m", w.ints([B, 1, 1, S])]), w.number(0)]);
  const triangle = (w: Writer) => w.tensor("i1", [1, 1, S, S], lower);

  const forms: Readonly<Record<string, [boolean, (w: Writer) => string]>> = {
    "no mask": [false, (w) => weighed(w, product(w))],
    "a constant added": [
      true,
      (w) => {
        const mask = w.constant(
          [S, S],
          lower.map((v) => (v === 1 ? 0 : -1e9)),
        );
        return weighed(w, w.op("Add", [mask, product(w)]));
      },
    ],
    "a constant that chooses": [
      true,
      (w) => weighed(w, w.op("Where", [triangle(w), product(w), w.number(-1e4)])),
    ],
    "a constant that fills, expanded": [
      true,
      (w) => {
        const hidden = w.op("Not", [triangle(w)]);
        const fill = w.constant([1, 1, S, S], new Array(S * S).fill(-Infinity));
        return weighed(w, w.op("Where", [hidden, fill, product(w)]));
      },
    ],
    "two constants that are causal together": [
      true,
      (w) => {
        const split = (keep: (at: number) => boolean) =>
          lower.map((v, at) => (v === 1 || keep(at) ? 0 : -1e9));
        const odd = w.constant(
          [S, S],
          split((at) => at % 2 === 1),
        );
        const even = w.constant(
          [S, S],
          split((at) => at % 2 === 0),
        );
        return weighed(w, w.op("Add", [w.op("Add", [product(w), odd]), even]));
      },
    ],
    "padding that chooses, with a fill that scores would change": [
      false,
      (w) => weighed(w, w.op("Where", [visible(w), product(w), w.number(-1e5)])),
    ],
    "padding subtracted": [
      false,
      (w) => {
        const hidden = w.op("Sub", [w.number(1), w.op("Cast", [visible(w)], { to: 1 })]);
        const mask = w.op("Mul", [hidden, w.number(1e4)]);
        return weighed(w, w.op("Sub", [product(w), mask]));
      },
    ],
    "causal and padding joined by And": [
      false,
      (w) => {
        const both = w.op("And", [triangle(w), visible(w)]);
        return weighed(w, w.op("Where", [both, product(w), w.number(-3.4e38)]));
      },
    ],
    "two masks that a floor keeps finite": [
      false,
      (w) => {
        const lowest = w.number(-3.4028234663852886e38);
        const padded = w.op("Where", [visible(w), w.number(0), lowest]);
        const causal = w.constant(
          [S, S],
          lower.map((v) => (v === 1 ? 0 : -3.4028234663852886e38)),
        );
        const scores = w.op("Add", [w.op("Add", [product(w), causal]), padded]);
        return weighed(w, w.op("Max", [scores, lowest]));
      },
    ],
    "a choice around what was added": [
      false,
      (w) => {
        const padded = w.op("Where", [visible(w), w.number(0), w.number(-3.4e38)]);
        const scores = w.op("Add", [product(w), padded]);
        return weighed(w, w.op("Where", [triangle(w), scores, w.number(-3.4e38)]));
      },
    ],
    "a bias that cannot hide": [
      true,
      (w) => {
        const distance = w.op("Mul", [w.op("Cast", [visible(w)], { to: 1 }), w.number(-3)]);
        const scores = w.op("Add", [product(w), distance]);
        return weighed(w, w.op("Where", [triangle(w), scores, w.number(-1e9)]));
      },
    ],
    "scores kept small by tanh": [
      true,
      (w) => {
        const small = w.op("Tanh", [w.op("Div", [product(w), w.number(5)])]);
        const capped = w.op("Mul", [small, w.number(5)]);
        return weighed(w, w.op("Where", [triangle(w), capped, w.number(-1e9)]));
      },
    ],
    "empty queries made zero": [
      false,
      (w) => {
        const scores = w.op("Where", [visible(w), product(w), w.number(-Infinity)]);
        const weights = w.op("Softmax", [scores], { axis: -1 });
        const safe = w.op("Where", [w.op("IsNaN", [weights]), w.number(0), weights]);
        return w.op("MatMul", [safe, "v"]);
      },
    ],
    "contractions by Einsum": [
      false,
      (w) => {
        const scores = w.op("Einsum", ["q", "k"], { equation: "bhid,bhjd->bhij" });
        const weights = w.op("Softmax", [w.op("Mul", [scores, w.number(0.5)])], { axis: -1 });
        return w.op("Einsum", [weights, "v"], { equation: "bhij,bhjd->bihd" });
      },
    ],
    "heads folded into the batch": [
      true,
      (w) => {
        const flat = (v: string) => w.op("Reshape", [v, w.ints([B * H, S, D])]);
        const columns = w.op("Transpose", [flat("k")], { perm: [0, 2, 1] });
        const scores = w.op("MatMul", [w.op("Mul", [flat("q"), w.number(0.25)]), columns]);
        const mask = w.constant(
          [1, S, S],
          lower.map((v) => (v === 1 ? 0 : -1e9)),
        );
        return weighed(w, w.op("Add", [scores, mask]), flat("v"));
      },
    ],
    "heads folded, a mask for each": [
      false,
      (w) => {
        const flat = (v: string) => w.op("Reshape", [v, w.ints([B * H, S, D])]);
        const columns = w.op("Transpose", [flat("k")], { perm: [0, 2, 1] });
        const rows = w.op("Expand", [
          w.op("Reshape", ["m", w.ints([B, 1, 1, S])]),
          w.ints([B, H, 1, S]),
        ]);
        const mask = w.op("Reshape", [rows, w.ints([B * H, 1, S])]);
        return weighed(w, w.op("Add", [w.op("MatMul", [flat("q"), columns]), mask]), flat("v"));
      },
    ],
    "a sink for each head, beside scores of which the largest is taken off": [
      true,
      (w) => {
        const scores = w.op("Where", [triangle(w), product(w), w.number(-3.4e38)]);
        const sinks = w.op("Reshape", [w.constant([H], [0.5, -1, 2, 0]), w.ints([1, H, 1, 1])]);
        const column = w.op("Expand", [sinks, w.ints([B, H, S, 1])]);
        const all = w.op("Concat", [scores, column], { axis: -1 });
        const top = w.op("ReduceMax", [all, w.ints([-1])], { keepdims: 1 });
        const weights = w.op("Softmax", [w.op("Sub", [all, top])], { axis: -1 });
        const kept = w.op("Slice", [weights, w.ints([0]), w.ints([-1]), w.ints([3])]);
        return w.op("MatMul", [kept, "v"]);
      },
    ],
    "a sink before the keys of queries that may see none": [
      false,
      (w) => {
        const scores = w.op("Where", [visible(w), product(w), w.number(-3.4e38)]);
        const first = w.op("Slice", ["q", w.ints([0]), w.ints([1]), w.ints([3])]);
        const all = w.op("Concat", [first, scores], { axis: 3 });
        const weights = w.op("Softmax", [all], { axis: 3 });
        const kept = w.op("Slice", [weights, w.ints([1]), w.ints([S + 1]), w.ints([-1])]);
        return w.op("MatMul", [kept, "v"]);
      },
    ],
    "a sink beside heads folded into the batch": [
      false,
      (w) => {
        const flat = (v: string) => w.op("Reshape", [v, w.ints([B * H, S, D])]);
        const columns = w.op("Transpose", [flat("k")], { perm: [0, 2, 1] });
        const zeros = w.constant([B * H, S, 1], new Array(B * H * S).fill(0));
        const scores = w.op("MatMul", [flat("q"), columns]);
        const all = w.op("Concat", [scores, zeros], { axis: 2 });
        const weights = w.op("Softmax", [all], { axis: -1 });
        const kept = w.op("Slice", [weights, w.ints([0]), w.ints([S]), w.ints([2])]);
        return w.op("MatMul", [kept, flat("v")]);
      },
    ],
    "windows of the batch as an axis of the scores": [
      false,
      (w) => {
        const wide = w.op("Reshape", [product(w), w.ints([1, B, H, S, S])]);
        const mask = w.constant([1, B, 1, S, S], numbers([B, S, S], 3));
        const masked = w.op("Add", [wide, mask]);
        return weighed(w, w.op("Reshape", [masked, w.ints([B, H, S, S])]));
      },
    ],
  };

  test.each(Object.entries(forms))("with %s", async (_, [causal, write]) => {
    const after = await raisedAs(small(shapes, write), feedsOf(shapes, padding));
    const found = after.ops.filter((op) => op.kind === "nn.attention");
    expect(found.map((op) => op.attrs["causal"])).toEqual([causal]);
    expect(census(after)).not.toHaveProperty("onnx.MatMul");
  });

  test.each(["Expand", "Tile", "Concat", "Gather"])("heads repeated by %s", async (how) => {
    const stored = { q: [B, H, S, D], k: [B, 2, S, D], v: [B, 2, S, D] };
    const after = await raisedAs(
      small(stored, (w) => {
        const repeated = (v: string) => {
          if (how === "Gather") return w.op("Gather", [v, w.ints([0, 0, 1, 1])], { axis: 1 });
          const apart = w.op("Unsqueeze", [v, w.ints([2])]);
          const wide = {
            Expand: () => w.op("Expand", [apart, w.ints([B, 2, 2, S, D])]),
            Tile: () => w.op("Tile", [apart, w.ints([1, 1, 2, 1, 1])]),
            Concat: () => w.op("Concat", [apart, apart], { axis: 2 }),
          }[how as "Expand" | "Tile" | "Concat"]();
          return w.op("Reshape", [wide, w.ints([B, H, S, D])]);
        };
        return weighed(w, product(w, "q", repeated("k")), repeated("v"));
      }),
      feedsOf(stored),
    );
    const [found] = after.ops.filter((op) => op.kind === "nn.attention");
    expect(found?.operands.map((v) => v?.type.shape[1])).toEqual([H, 2, 2]);
  });

  test("groups of query heads as an axis", async () => {
    const grouped = { q: [B, 2, 2, S, D], k: [B, 2, 1, S, D], v: [B, 2, 1, S, D] };
    const after = await raisedAs(
      small(grouped, (w) => {
        const columns = w.op("Transpose", ["k"], { perm: [0, 1, 2, 4, 3] });
        return weighed(w, w.op("MatMul", ["q", columns]));
      }),
      feedsOf(grouped),
    );
    const [found] = after.ops.filter((op) => op.kind === "nn.attention");
    expect(found?.operands.map((v) => v?.type.shape[1])).toEqual([4, 2, 2]);
  });
});
