/** Rotary embeddings as exporters write them. */

import { describe, expect, test } from "vitest";
import { feedsOf, raisedAs, type Shapes } from "./judged.ts";
import { census } from "./raised.ts";
import { small, type Writer } from "./small.ts";

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
