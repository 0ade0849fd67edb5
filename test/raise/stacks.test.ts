/** Constant matrices for each head or group: linears side by side. */

import { describe, expect, test } from "vitest";
import { feedsOf, numbers, raisedAs } from "./judged.ts";
import { census } from "./raised.ts";
import { small } from "./small.ts";

describe("a product with a matrix for each head", () => {
  test.each([
    ["of their own rows", [2, 3, 5, 4], [3, 4, 6]],
    ["of the same rows", [2, 1, 5, 4], [1, 3, 4, 6]],
    ["in the batch", [3, 5, 4], [3, 4, 6]],
  ])("%s", async (_, x, w) => {
    const after = await raisedAs(
      small({ x }, ({ op, constant }) => op("MatMul", ["x", constant(w, numbers(w, 3))])),
      feedsOf({ x }),
    );
    const linears = after.ops.filter((op) => op.kind === "nn.linear");
    expect(linears.map((op) => op.attrs["slice"])).toEqual([0, 1, 2]);
    expect(census(after)).not.toHaveProperty("onnx.MatMul");
  });

  test("for each of many positions stays as it is", async () => {
    const [x, w] = [
      [65, 1, 2],
      [65, 2, 3],
    ];
    const after = await raisedAs(
      small({ x }, ({ op, constant }) => op("MatMul", ["x", constant(w, numbers(w, 3))])),
      feedsOf({ x }),
    );
    expect(census(after)).toEqual({ "onnx.MatMul": 1 });
  });
});

describe("a convolution in groups", () => {
  test.each([
    ["of single positions", [2, 6, 5], [4, 3, 1], {}],
    ["with padding and steps", [1, 4, 6, 5], [6, 2, 3, 2], { pads: [1, 0, 1, 1], strides: [2, 1] }],
  ])("%s", async (_, x, w, attrs) => {
    const after = await raisedAs(
      small({ x }, ({ op, constant }) => {
        const weights = constant(w, numbers(w, 3));
        const bias = constant([w[0] ?? 1], numbers([w[0] ?? 1], 4));
        return op("Conv", ["x", weights, bias], { group: 2, ...attrs });
      }),
      feedsOf({ x }),
    );
    expect(census(after)["nn.linear"]).toBe(2);
    expect(census(after)).not.toHaveProperty("onnx.Conv");
  });

  test("of one channel each stays as it is", async () => {
    const x = [1, 3, 6];
    const after = await raisedAs(
      small({ x }, ({ op, constant }) =>
        op("Conv", ["x", constant([3, 1, 2], numbers([3, 1, 2], 3))], { group: 3 }),
      ),
      feedsOf({ x }),
    );
    expect(census(after)).toEqual({ "onnx.Conv": 1 });
  });
});
