/** Norms as frameworks other than PyTorch write them. */

import { expect, test } from "vitest";
import { feedsOf, numbers, raisedAs } from "./judged.ts";
import { census } from "./raised.ts";
import { small, type Writer } from "./small.ts";

const W = 8;
const X = { x: [2, 3, W] };

const mean = (w: Writer, x: string) => w.op("ReduceMean", [x, w.ints([-1])], { keepdims: 1 });
const row = (w: Writer, seed: number) => w.constant([W], numbers([W], seed));
const inverse = (w: Writer, c: string) => {
  const variance = w.op("Add", [mean(w, w.op("Mul", [c, c])), w.number(1e-12)]);
  return w.op("Reciprocal", [w.op("Sqrt", [variance])]);
};

const FORMS: Readonly<Record<string, readonly [string, number, (w: Writer) => string]>> = {
  "x s + (shift - mean s), as TensorFlow does": [
    "nn.layer_norm",
    3,
    (w) => {
      const average = mean(w, "x");
      const s = w.op("Mul", [inverse(w, w.op("Sub", ["x", average])), row(w, 3)]);
      const rest = w.op("Sub", [row(w, 4), w.op("Mul", [average, s])]);
      return w.op("Add", [w.op("Mul", ["x", s]), rest]);
    },
  ],
  "the same without a scale": [
    "nn.layer_norm",
    3,
    (w) => {
      const average = mean(w, "x");
      const s = inverse(w, w.op("Sub", ["x", average]));
      const rest = w.op("Sub", [row(w, 4), w.op("Mul", [average, s])]);
      return w.op("Add", [w.op("Mul", ["x", s]), rest]);
    },
  ],
  "a scale on the root's reciprocal": [
    "nn.rms_norm",
    2,
    (w) => w.op("Mul", ["x", w.op("Mul", [row(w, 3), inverse(w, "x")])]),
  ],
  "a scale before the division": [
    "nn.layer_norm",
    2,
    (w) => {
      const c = w.op("Sub", ["x", mean(w, "x")]);
      return w.op("Mul", [w.op("Mul", [c, row(w, 3)]), inverse(w, c)]);
    },
  ],
};

test.each(Object.entries(FORMS))("%s", async (_, [kind, operands, write]) => {
  const after = await raisedAs(small(X, write), feedsOf(X));
  expect(census(after)).toEqual({ [kind]: 1 });
  expect(after.ops.find((op) => op.kind === kind)?.operands).toHaveLength(operands);
});
