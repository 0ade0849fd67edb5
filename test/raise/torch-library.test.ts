/** Modules as the functions of PyTorch's operator library write them: constants take the type of their partner. */

import { expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { frontOf } from "../expand/on-ort.ts";
import { node, port, ramp, write } from "../onnx/small-model.ts";
import { census } from "./raised.ts";

const W = 8;

test("a norm whose mean and deviation nobody reads, and an activation with CastLike", async () => {
  const number = (value: number) => fromNumbers("f64", [], [value]);
  const model = write({
    input: [port("x", [2, 3, W])],
    output: [port("y", [2, 3, W])],
    initializer: [toProto("scale", ramp([W])), toProto("bias", ramp([W]))],
    node: [
      node("LayerNormalization", ["x", "scale", "bias"], ["n", "mean", "deviation"]),
      node("Constant", [], ["root"], { value: number(Math.SQRT2) }),
      node("CastLike", ["root", "n"], ["root_like"]),
      node("Div", ["n", "root_like"], ["inner"]),
      node("Erf", ["inner"], ["erf"]),
      node("Constant", [], ["one"], { value: fromNumbers("i64", [], [1]) }),
      node("CastLike", ["one", "erf"], ["one_like"]),
      node("Add", ["erf", "one_like"], ["sum"]),
      node("Mul", ["n", "sum"], ["twice"]),
      node("Constant", [], ["half"], { value: number(0.5) }),
      node("CastLike", ["half", "twice"], ["half_like"]),
      node("Mul", ["half_like", "twice"], ["y"]),
    ],
  });
  const { raised, store } = await frontOf(model);
  expect(census(raised)).toEqual({ "nn.layer_norm": 1, "nn.activation": 1 });
  const feeds = new Map([["x", ramp([2, 3, W])]]);
  const [expected, actual] = [
    await runModel(model, feeds),
    await runModel(exportModule(raised, store), feeds),
  ].map((r) => r.get("y"));
  if (!expected) throw new Error("no output");
  expect(differenceOf(actual, expected).relative).toBeLessThan(1e-5);
});
