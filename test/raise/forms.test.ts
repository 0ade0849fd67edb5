/** The same modules in the forms that different exporters and hand-made tools give them. */

import { describe, expect, test } from "vitest";
import { inferShapes } from "../../passes/infer-shapes.ts";
import type { Module } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { apply } from "../ir/onnx-models.ts";
import { randomOf } from "./perturb.ts";
import { census, expectSame, raised } from "./raised.ts";
import { small, type Writer } from "./small.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

/** Standard-looking numbers, the same for the same seed. */
function numbers(shape: readonly number[], seed: number): number[] {
  const random = randomOf(seed);
  return Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => 4 * random() - 2);
}

const feedsOf = (shapes: Shapes, given: Readonly<Record<string, readonly number[]>> = {}) =>
  new Map(
    Object.entries(shapes).map(([name, shape], i): [string, Tensor] => [
      name,
      fromNumbers("f32", shape, given[name] ?? numbers(shape, i + 7)),
    ]),
  );

/** Raises, and holds the answer against the module as it was written. */
async function raisedAs(
  { module, store }: { readonly module: Module; readonly store: WeightStore },
  feeds: ReadonlyMap<string, Tensor>,
): Promise<Module> {
  const after = raised(module, store);
  await expectSame(apply(inferShapes, module, store), after, store, feeds);
  return after;
}

const [B, H, S, D] = [2, 4, 5, 8];

describe("rotary embeddings", () => {
  const shapes = { x: [B, H, S, D], c: [1, 1, S, D], s: [1, 1, S, D] };
  const halfTables = { x: [B, H, S, D], c: [1, 1, S, D / 2], s: [1, 1, S, D / 2] };

  const part = (w: Writer, from: number, to: number, step = 1) =>
    w.op("Slice", ["x", ...[[from], [to], [-1], [step]].map((v) => w.ints(v))]);

  const whole = (w: Writer, turned: string) =>
    w.op("Add", [w.op("Mul", [turned, "s"]), w.op("Mul", ["x", "c"])]);

  const pairs = (w: Writer, a: string, b: string) => {
    const column = (v: string) => w.op("Unsqueeze", [v, w.ints([-1])]);
    const both = w.op("Concat", [column(a), column(b)], { axis: -1 });
    return w.op("Reshape", [both, w.ints([0, 0, 0, -1])]);
  };

  const rotation = (w: Writer, a: string, b: string): [string, string] => [
    w.op("Sub", [w.op("Mul", [a, "c"]), w.op("Mul", [b, "s"])]),
    w.op("Add", [w.op("Mul", ["s", a]), w.op("Mul", [b, "c"])]),
  ];

  const forms: Readonly<Record<string, [Shapes, boolean, (w: Writer) => string]>> = {
    "halves with Neg": [
      shapes,
      false,
      (w) => {
        const minus = w.op("Neg", [part(w, D / 2, D)]);
        return whole(w, w.op("Concat", [minus, part(w, 0, D / 2)], { axis: 3 }));
      },
    ],
    "halves from Split, times -1": [
      shapes,
      false,
      (w) => {
        const [a = "", b = ""] = w.several("Split", ["x", w.ints([D / 2, D / 2])], 2, { axis: -1 });
        const minus = w.op("Mul", [b, w.number(-1)]);
        return whole(w, w.op("Concat", [minus, a], { axis: -1 }));
      },
    ],
    "neighbours by strided slices": [
      shapes,
      true,
      (w) => whole(w, pairs(w, w.op("Neg", [part(w, 1, D, 2)]), part(w, 0, D, 2))),
    ],
    "halves turned one by one": [
      halfTables,
      false,
      (w) => w.op("Concat", rotation(w, part(w, 0, D / 2), part(w, D / 2, D)), { axis: -1 }),
    ],
    "neighbours turned one by one": [
      halfTables,
      true,
      (w) => pairs(w, ...rotation(w, part(w, 0, D, 2), part(w, 1, D, 2))),
    ],
    "pairs as a last axis": [
      halfTables,
      true,
      (w) => {
        const apart = w.op("Reshape", ["x", w.ints([B, H, S, D / 2, 2])]);
        const pick = (i: number) => w.op("Gather", [apart, w.tensor("i64", [], [i])], { axis: -1 });
        return pairs(w, ...rotation(w, pick(0), pick(1)));
      },
    ],
  };

  test.each(Object.entries(forms))("%s", async (_, [inputs, interleaved, write]) => {
    const after = await raisedAs(small(inputs, write), feedsOf(inputs));
    const ropes = after.ops.filter((op) => op.kind === "nn.rope");
    expect(ropes.map((op) => op.attrs["interleaved"])).toEqual([interleaved]);
    expect(census(after)).not.toHaveProperty("onnx.Neg");
  });

  test("the turn in the other direction is no rope", async () => {
    const written = small(shapes, (w) => {
      const minus = w.op("Neg", [part(w, 0, D / 2)]);
      return whole(w, w.op("Concat", [part(w, D / 2, D), minus], { axis: 3 }));
    });
    expect(census(await raisedAs(written, feedsOf(shapes)))).not.toHaveProperty("nn.rope");
  });
});

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
