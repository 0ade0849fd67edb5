/** Linears and convolutions as exporters and hand-made tools write them. */

import { describe, expect, test } from "vitest";
import { feedsOf, numbers, raisedAs } from "./judged.ts";
import { census, raised } from "./raised.ts";
import { small, type Writer } from "./small.ts";

describe("linears", () => {
  const shapes = { x: [2, 3, 4], r: [2, 3, 6] };
  const weight = (w: Writer, shape: readonly number[]) => w.constant(shape, numbers(shape, 1));

  const forms: Readonly<Record<string, (w: Writer) => string>> = {
    "a bias with leading axes": (w) =>
      w.op("Add", [weight(w, [1, 1, 6]), w.op("MatMul", ["x", weight(w, [4, 6])])]),
    "a bias written out for every row": (w) => {
      const row = numbers([6], 2);
      const bias = w.constant([2, 3, 6], new Array(6).fill(row).flat());
      return w.op("Add", [w.op("MatMul", ["x", weight(w, [4, 6])]), bias]);
    },
    "a bias behind the residual": (w) => {
      const sum = w.op("Add", ["r", w.op("MatMul", ["x", weight(w, [4, 6])])]);
      return w.op("Add", [sum, weight(w, [6])]);
    },
    "a matrix with a leading axis": (w) => w.op("MatMul", ["x", weight(w, [1, 4, 6])]),
    "a contraction by Einsum": (w) =>
      w.op("Einsum", ["x", weight(w, [4, 6])], { equation: "bsh,hd->bsd" }),
    "heads of a contraction by Einsum": (w) =>
      w.op("Einsum", ["x", weight(w, [4, 2, 3])], { equation: "bsh,hnd->bnsd" }),
    "a Gemm with everything": (w) => {
      const flat = w.op("Reshape", ["x", w.ints([4, 6])]);
      const attrs = { alpha: 0.5, beta: 2, transA: 1, transB: 1 };
      return w.op("Gemm", [flat, weight(w, [5, 4]), weight(w, [6, 1])], attrs);
    },
    "a Gemm with a full bias": (w) => {
      const flat = w.op("Reshape", ["x", w.ints([6, 4])]);
      return w.op("Gemm", [flat, weight(w, [4, 5]), weight(w, [6, 5])]);
    },
  };

  test.each(Object.entries(forms))("with %s", async (_, write) => {
    const after = await raisedAs(small(shapes, write), feedsOf(shapes));
    expect(census(after)["nn.linear"]).toBe(1);
    expect(census(after)).not.toHaveProperty("onnx.Gemm");
    expect(census(after)).not.toHaveProperty("onnx.MatMul");
  });

  test.each(["a bias with leading axes", "a bias written out for every row"])(
    "%s belongs to the linear",
    (name) => {
      const write = forms[name];
      if (!write) throw new Error(name);
      const { module, store } = small(shapes, write);
      expect(census(raised(module, store))).toEqual({ "nn.linear": 1 });
    },
  );
});

describe("convolutions", () => {
  const conv = (x: readonly number[], filters: readonly number[], attrs = {}, bias = true) =>
    small({ x }, (w) => {
      const operands = ["x", w.constant(filters, numbers(filters, 1))];
      if (bias) operands.push(w.constant([filters[0] ?? 1], numbers([filters[0] ?? 1], 2)));
      return w.op("Conv", operands, attrs);
    });

  const cases: Readonly<Record<string, Parameters<typeof conv>>> = {
    "patches of an image": [[2, 3, 8, 12], [5, 3, 4, 4], { strides: [4, 4] }],
    "patches without a bias": [[2, 3, 8, 8], [5, 3, 4, 2], { strides: [4, 2] }, false],
    "patches that leave a rest": [[1, 3, 9, 10], [5, 3, 4, 4], { strides: [4, 4] }],
    "over time, with padding": [[2, 6, 11], [4, 6, 3], { pads: [1, 1] }],
    "over time, every second": [[2, 6, 11], [4, 6, 3], { pads: [1, 1], strides: [2] }],
    "overlapping, uneven padding": [
      [1, 2, 7, 9],
      [3, 2, 3, 2],
      { pads: [0, 1, 2, 1], strides: [2, 1] },
    ],
    "with gaps": [[1, 2, 9, 9], [3, 2, 3, 3], { dilations: [2, 3] }],
    SAME_UPPER: [[1, 2, 7, 8], [3, 2, 3, 4], { auto_pad: "SAME_UPPER", strides: [2, 3] }],
    SAME_LOWER: [[1, 2, 7, 8], [3, 2, 3, 4], { auto_pad: "SAME_LOWER", strides: [2, 3] }],
    "of single points": [
      [2, 6, 5, 4],
      [3, 6, 1, 1],
    ],
    "over volumes": [[1, 2, 4, 4, 6], [3, 2, 2, 2, 3], { strides: [2, 2, 3] }],
    "with one filter": [[2, 3, 8, 8], [1, 3, 4, 4], { strides: [4, 4] }],
  };

  test.each(Object.entries(cases))("%s", async (_, [x, filters, attrs, bias]) => {
    const written = conv(x, filters, attrs, bias);
    const after = await raisedAs(written, feedsOf({ x }));
    const [linear] = after.ops.filter((op) => op.kind === "nn.linear");
    expect(linear?.attrs).toMatchObject({ transposed: true, role: "patch" });
    expect(linear?.attrs["weight"]).toMatchObject({ type: { shape: filters } });
    expect(census(after)).not.toHaveProperty("onnx.Conv");
  });

  test("in groups it stays", async () => {
    const written = conv([1, 4, 6], [4, 1, 3], { group: 4 });
    expect(census(await raisedAs(written, feedsOf({ x: [1, 4, 6] })))).toEqual({ "onnx.Conv": 1 });
  });

  test("rows of patches are not turned around twice", async () => {
    const x = [2, 3, 8, 8];
    const written = small({ x }, (w) => {
      const filters = w.constant([5, 3, 4, 4], numbers([5, 3, 4, 4], 1));
      const y = w.op("Conv", ["x", filters], { strides: [4, 4] });
      const flat = w.op("Reshape", [y, w.ints([2, 5, -1])]);
      return w.op("Transpose", [flat], { perm: [0, 2, 1] });
    });
    const found = census(await raisedAs(written, feedsOf({ x })));
    expect(found).toEqual({ "onnx.Reshape": 2, "onnx.Transpose": 1, "nn.linear": 1 });
  });
});
