/** Loops over experts that are no whole mixture, on all rows: quantised, and in the forms of ONNX Runtime. */

import { describe, expect, test } from "vitest";
import { feedsOf, numbers, raisedAs } from "./judged.ts";
import { census } from "./raised.ts";
import { small, type Writer } from "./small.ts";

const [T, K, E, H, I] = [6, 2, 4, 8, 5];
const shapes = { x: [1, T, H] };

/** What is done with values between the operations. */
type Between = (w: Writer, x: string) => string;
const nothing: Between = (_, x) => x;

const rounded: Between = (w, x) => {
  const grid = [w.number(0.03), w.tensor("ui8", [], [131])];
  return w.op("DequantizeLinear", [w.op("QuantizeLinear", [x, ...grid]), ...grid]);
};

type Linear = (w: Writer, x: string, shape: readonly number[], seed: number) => string;

const product: Linear = (w, x, shape, seed) =>
  w.op("MatMul", [x, w.constant(shape, numbers(shape, seed))]);

/** The range of all rows that are given decides how they are rounded. A bias makes something of zeros. */
const dynamic: Linear = (w, x, shape, seed) => {
  const [levels = "", scale = "", zero = ""] = w.several("DynamicQuantizeLinear", [x], 3);
  const values = numbers(shape, seed).map((n) => Math.round(50 * n));
  const sums = w.op("MatMulInteger", [levels, w.tensor("i8", shape, values), zero]);
  const real = w.op("Mul", [w.op("Cast", [sums], { to: 1 }), w.op("Mul", [scale, w.number(0.02)])]);
  return w.op("Add", [real, w.constant([shape[1] ?? 1], numbers([shape[1] ?? 1], seed + 50))]);
};

interface Form {
  readonly between: Between;
  readonly linear: Linear;
  /** One expert's part [T, K] of one-hot indices [T, K, E] for all experts at once. */
  readonly isSplit: boolean;
}

/** As PyTorch writes it: of pairs (slot, token) the tokens' rows, times their weights, added to what there was. */
function loop(w: Writer, { between, linear, isSplit }: Form): string {
  const rows = between(w, w.op("Reshape", ["x", w.ints([T, H])]));
  const scores = between(w, w.op("Softmax", [product(w, rows, [H, E], 1)], { axis: -1 }));
  const [weights = "", experts = ""] = w.several("TopK", [scores, w.ints([K])], 2, { axis: -1 });
  const flat = w.op("Reshape", [weights, w.ints([T * K, 1])]);
  const offOn = w.tensor("i64", [2], [0, 1]);
  const hot = w.op("OneHot", [experts, w.ints([E]), offOn], { axis: -1 });
  const parts = isSplit ? w.several("Split", [hot, w.ints([1, 1, 1, 1])], E, { axis: 2 }) : [];
  const zeros = w.constant([T, H], new Array<number>(T * H).fill(0));
  return Array.from({ length: E }, (_, e) => e).reduce((sum, e) => {
    const own = isSplit
      ? w.op("Squeeze", [parts[e] ?? "", w.ints([2])])
      : w.op("Gather", [hot, w.tensor("i64", [], [e])], { axis: 2 });
    const turned = w.op("Transpose", [own], { perm: [1, 0] });
    const pairs = w.op("NonZero", [w.op("Cast", [turned], { to: 9 })]);
    const [slot, token] = [0, 1].map((i) =>
      w.op("Gather", [pairs, w.tensor("i64", [], [i])], { axis: 0 }),
    ) as [string, string];
    const picked = w.op("Gather", [rows, token], { axis: 0 });
    const inner = w.op("Sigmoid", [linear(w, between(w, picked), [H, I], 10 + e)]);
    const y = linear(w, between(w, inner), [I, H], 20 + e);
    const place = w.op("Add", [slot, w.op("Mul", [token, w.ints([K])])]);
    const own1 = w.op("Gather", [flat, place], { axis: 0 });
    const weighed = between(w, w.op("Mul", [y, own1]));
    const column = w.op("Unsqueeze", [token, w.ints([1])]);
    const at = w.op("Expand", [column, w.op("Shape", [weighed])]);
    return w.op("Add", [sum, w.op("ScatterElements", [zeros, at, weighed], { axis: 0 })]);
  }, zeros);
}

const FORMS: Readonly<Record<string, Form>> = {
  "rounded to fixed grids": { between: rounded, linear: product, isSplit: false },
  "rounded to the range of the chosen rows": { between: nothing, linear: dynamic, isSplit: true },
};

describe("experts on all rows", () => {
  test.each(Object.entries(FORMS))("%s", async (_, form) => {
    const after = await raisedAs(
      small(shapes, (w) => loop(w, form)),
      feedsOf(shapes),
    );
    const found = census(after);
    expect(found).not.toHaveProperty("onnx.NonZero");
    expect(found).not.toHaveProperty("onnx.ScatterElements");
    expect(found).not.toHaveProperty("nn.router");
    expect(after.ops.flatMap((op) => op.results).every((v) => !v.type.shape.includes(null))).toBe(
      true,
    );
    const skipping = after.ops.filter((op) => op.kind === "nn.linear" && op.operands[2]);
    expect(skipping.map((op) => op.attrs["expert"])).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  });

  test("also where nobody chose an expert", async () => {
    const form = FORMS["rounded to the range of the chosen rows"];
    if (!form) throw new Error("there is no such form");
    const one = numbers([H], 3);
    const feeds = feedsOf(shapes, { x: Array.from({ length: T }, () => one).flat() });
    const after = await raisedAs(
      small(shapes, (w) => loop(w, form)),
      feeds,
    );
    expect(census(after)).not.toHaveProperty("onnx.NonZero");
  });

  test("a whole mixture whose indices are split is one", async () => {
    const form: Form = { between: nothing, linear: product, isSplit: true };
    const after = await raisedAs(
      small(shapes, (w) => loop(w, form)),
      feedsOf(shapes),
    );
    expect(census(after)).toMatchObject({ "nn.router": 1, "nn.combine": 1 });
    expect(census(after)).not.toHaveProperty("onnx.NonZero");
  });

  test("a network that mixes rows stays as it is", async () => {
    const mixed: Between = (w, x) => w.op("Softmax", [x], { axis: 0 });
    const form: Form = { between: mixed, linear: product, isSplit: false };
    const after = await raisedAs(
      small(shapes, (w) => loop(w, form)),
      feedsOf(shapes),
    );
    expect(census(after)).toHaveProperty("onnx.NonZero");
  });
});
