/** What networks do to the scores of attention between the product and softmax, and to the weights behind. */

import { describe, expect, test } from "vitest";
import { feedsOf, numbers, raisedAs } from "./judged.ts";
import { census } from "./raised.ts";
import { small, type Writer } from "./small.ts";

const [B, H, S, D] = [2, 3, 4, 8];
const LOWEST = -3.4028234663852886e38;

const shapes = { q: [B, H, S, D], k: [B, H, S, D], v: [B, H, S, D], m: [B, S] };
/** Queries 2 and 3 of the second sequence are padding. */
const padding = { m: [1, 1, 1, 1, 1, 1, 0, 0] };
const lower = Array.from({ length: S * S }, (_, at) => (at % S <= Math.floor(at / S) ? 1 : 0));

const product = (w: Writer) =>
  w.op("MatMul", ["q", w.op("Transpose", ["k"], { perm: [0, 1, 3, 2] })]);
const softmax = (w: Writer, scores: string) => w.op("Softmax", [scores], { axis: -1 });
const weighed = (w: Writer, scores: string) => w.op("MatMul", [softmax(w, scores), "v"]);
const halved = (w: Writer, scores: string) => w.op("Mul", [scores, w.number(0.5)]);

/** Pairs in which the query or the key is padding. */
function hiddenPairs(w: Writer): string {
  const rows = w.op("Reshape", ["m", w.ints([B, 1, S, 1])]);
  const keys = w.op("Reshape", ["m", w.ints([B, 1, 1, S])]);
  return w.op("Not", [w.op("Greater", [w.op("Mul", [rows, keys]), w.number(0)])]);
}

const additive = (w: Writer) => {
  const keys = w.op("Reshape", ["m", w.ints([B, 1, 1, S])]);
  return w.op("Mul", [w.op("Sub", [w.number(1), keys]), w.number(LOWEST)]);
};

/** Terms of the distance between query and key, gathered from products with a table (He et al., DeBERTa). */
function relative(w: Writer): string {
  const table = w.constant([1, H, D, 2 * S], numbers([H, D, 2 * S], 5));
  const at = Array.from({ length: B * H * S * S }, (_, i) => S + (Math.floor(i / S) % S) - (i % S));
  const indices = w.tensor("i64", [B, H, S, S], at);
  return w.op("GatherElements", [w.op("MatMul", ["q", table]), indices], { axis: 3 });
}

const forms: Readonly<Record<string, [boolean, (w: Writer) => string]>> = {
  "a scale behind a mask that fills, and padding": [
    false,
    (w) => {
      const causal = w.tensor("i1", [1, 1, S, S], lower);
      const kept = w.op("Where", [causal, product(w), w.number(LOWEST)]);
      return weighed(w, w.op("Add", [w.op("Div", [kept, w.number(2)]), additive(w)]));
    },
  ],
  "a scale behind a bias": [
    false,
    (w) => weighed(w, halved(w, w.op("Add", [product(w), relative(w)]))),
  ],
  "zeros and ones that multiply, and a number where there is a zero": [
    true,
    (w) => {
      const kept = w.op("Mul", [halved(w, product(w)), w.constant([1, 1, S, S], lower)]);
      const fill = lower.map((one) => (one === 1 ? 0 : -1e4));
      return weighed(w, w.op("Add", [kept, w.constant([1, 1, S, S], fill)]));
    },
  ],
  "a factor for each head": [
    false,
    (w) => weighed(w, w.op("Mul", [product(w), w.constant([H, 1, 1], [0.5, 2, 1])])),
  ],
  "a divisor for each query": [
    false,
    (w) => weighed(w, w.op("Div", [product(w), w.constant([S, 1], [1, 2, 3, 4])])),
  ],
  "a factor for each key": [
    false,
    (w) => weighed(w, w.op("Mul", [product(w), w.constant([S], [1, 2, 3, 4])])),
  ],
  "a bound behind which scores are scaled": [
    false,
    (w) => {
      const bounded = w.op("Mul", [
        w.op("Tanh", [w.op("Div", [product(w), w.number(9)])]),
        w.number(9),
      ]);
      return weighed(w, halved(w, bounded));
    },
  ],
  "weights made zero where a mask hid them, beside terms of the distance": [
    false,
    (w) => {
      const hidden = hiddenPairs(w);
      const scores = w.op("Add", [halved(w, product(w)), relative(w)]);
      const weights = softmax(w, w.op("Where", [hidden, w.number(LOWEST), scores]));
      return w.op("MatMul", [w.op("Where", [hidden, w.number(0), weights]), "v"]);
    },
  ],
  "biases of rows and columns on scores with an axis for each (Li et al., MViTv2)": [
    false,
    (w) => {
      const wide = w.op("Reshape", [product(w), w.ints([B * H, 2, 2, 2, 2])]);
      const rows = w.constant([B * H, 2, 2, 2, 1], numbers([B * H, 8], 3));
      const columns = w.constant([B * H, 2, 2, 1, 2], numbers([B * H, 8], 4));
      const sum = w.op("Add", [w.op("Add", [wide, rows]), columns]);
      return weighed(w, w.op("Reshape", [sum, w.ints([B, H, S, S])]));
    },
  ],
  "an ellipsis for the leading axes": [
    false,
    (w) => {
      const scores = w.op("Einsum", ["q", "k"], { equation: "...qd,...kd->...qk" });
      return w.op("Einsum", [softmax(w, scores), "v"], { equation: "...qk,...kd->...qd" });
    },
  ],
};

describe("attention with", () => {
  test.each(Object.entries(forms))("%s", async (_, [causal, write]) => {
    const after = await raisedAs(small(shapes, write), feedsOf(shapes, padding));
    const found = after.ops.filter((op) => op.kind === "nn.attention");
    expect(found.map((op) => op.attrs["causal"])).toEqual([causal]);
    expect(census(after)).not.toHaveProperty("nn.softmax");
  });

  test("queries that are parameters", async () => {
    const given = { k: [1, H, S, D], v: [1, H, S, D] };
    const after = await raisedAs(
      small(given, (w) => {
        const queries = w.constant([1, H, 2, D], numbers([H, 2, D], 9));
        const columns = w.op("Transpose", ["k"], { perm: [0, 1, 3, 2] });
        return weighed(w, w.op("MatMul", [queries, columns]));
      }),
      feedsOf(given),
    );
    expect(census(after)["nn.attention"]).toBe(1);
  });

  test("heads among the queries, all on one head of keys", async () => {
    const given = { q: [B, S * H, D], k: [B, S, D], v: [B, S, D] };
    const after = await raisedAs(
      small(given, (w) => {
        const scores = w.op("MatMul", ["q", w.op("Transpose", ["k"], { perm: [0, 2, 1] })]);
        const wide = w.op("Reshape", [scores, w.ints([B, S, H, S])]);
        const causal = w.tensor("i1", [1, S, 1, S], lower);
        const weights = softmax(w, w.op("Where", [causal, wide, w.number(LOWEST)]));
        return w.op("MatMul", [w.op("Reshape", [weights, w.ints([B, S * H, S])]), "v"]);
      }),
      feedsOf(given),
    );
    expect(census(after)["nn.attention"]).toBe(1);
  });
});
