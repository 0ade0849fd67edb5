/** Gates whose factors were multiplied in another order, and factors of one between them. */

import { expect, test } from "vitest";
import { foldConstants } from "../../passes/fold-constants.ts";
import { inferShapes } from "../../passes/infer-shapes.ts";
import { simplify } from "../../passes/simplify.ts";
import { apply } from "../ir/onnx-models.ts";
import { feedsOf, raisedAs } from "./judged.ts";
import { census, raised } from "./raised.ts";
import { small, type Writer } from "./small.ts";

const X = { x: [2, 3, 4], up: [2, 3, 4] };

const gelu = (w: Writer) => {
  const erf = w.op("Erf", [w.op("Div", ["x", w.number(Math.SQRT2)])]);
  return w.op("Mul", [w.op("Add", [w.number(1), erf]), w.number(0.5)]);
};

test.each([
  ["silu", (w: Writer) => w.op("Mul", ["x", w.op("Mul", ["up", w.op("Sigmoid", ["x"])])])],
  ["silu", (w: Writer) => w.op("Mul", [w.op("Mul", ["x", "up"]), w.op("Sigmoid", ["x"])])],
  ["gelu_erf", (w: Writer) => w.op("Mul", [w.op("Mul", ["up", gelu(w)]), "x"])],
])("%s of x, with the other factor between", async (name, write) => {
  const after = await raisedAs(small(X, write), feedsOf(X));
  const gates = after.ops.filter((op) => op.kind === "nn.gated");
  expect(gates.map((op) => [op.attrs["function"], ...op.operands.map((v) => v?.id)])).toEqual([
    [name, "x", "up"],
  ]);
});

/** ONNX's numbers of the types. */
const HALVES = { f16: 10, bf16: 16 } as const;

test.each(["f16", "bf16"] as const)("numbers rounded to %s are those of the form", (elem) => {
  const { module, store } = small(X, (w) => {
    const n = (value: number) => w.tensor(elem, [], [value]);
    const x = w.op("Cast", ["x"], { to: HALVES[elem] });
    const erf = w.op("Erf", [w.op("Div", [x, n(Math.SQRT2)])]);
    const y = w.op("Mul", [w.op("Mul", [x, w.op("Add", [erf, n(1)])]), n(0.5)]);
    const z = w.op("Mul", [y, w.op("Sigmoid", [w.op("Mul", [y, n(1.702)])])]);
    return w.op("Cast", [z], { to: 1 });
  });
  const found = raised(module, store).ops.filter((op) => op.kind === "nn.activation");
  expect(found.map((op) => op.attrs["function"])).toEqual(["gelu_erf", "quick_gelu"]);
});

test("a factor of one goes, unless it widens", () => {
  const { module, store } = small({ x: [4], up: [2, 4] }, ({ op, number, constant }) => {
    const same = op("Div", [op("Mul", [number(1), "x"]), constant([1], [1])]);
    const wide = op("Mul", [same, constant([2, 1], [1, 1])]);
    return op("Add", [wide, "up"]);
  });
  const simple = [inferShapes, foldConstants, simplify].reduce(
    (m, p) => apply(p, m, store),
    module,
  );
  expect(census(simple)).toEqual({ "onnx.Mul": 1, "onnx.Add": 1 });
});
