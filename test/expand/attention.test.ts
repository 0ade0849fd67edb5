/** com.microsoft's attention operators, written out. */

import { describe, expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Draw, int, pick, values } from "../tensor/on-ort.ts";
import { expands, fileOf, frontOf, outcomeOf } from "./on-ort.ts";

const [heads, depth] = [2, 4];
const width = heads * depth;

const int32 = (list: readonly number[], shape: readonly number[] = [list.length]): Tensor => ({
  elem: "i32",
  shape,
  data: Int32Array.from(list),
});

/** The first keys of a cache [2, 1, heads, keys, depth]. */
function part({ shape, data }: Tensor, keys: number): Tensor {
  const room = (shape[3] ?? 1) * depth;
  const rows = Array.from({ length: data.length / room }, (_, i) =>
    Array.from((data as Float32Array).subarray(i * room, i * room + keys * depth)),
  );
  return { elem: "f32", shape: shape.with(3, keys), data: Float32Array.from(rows.flat()) };
}

type Make = (...shape: number[]) => Tensor;

/** Masks in all the forms that the CPU takes; the first key of each row is always seen. */
function maskOf(draw: Draw, batch: number, tokens: number, all: number): Tensor | null {
  const bits = (n: number) =>
    Array.from({ length: n }, (_, i) => (i % all === 0 ? 1 : int(draw, 0, 1)));
  const ends = Array.from({ length: batch }, () => int(draw, 1, all));
  const starts = ends.map((end) => int(draw, 0, end - 1));
  return pick(
    draw,
    null,
    int32(ends),
    int32([...ends, ...starts]),
    int32(bits(batch * all), [batch, all]),
    int32(bits(batch * tokens * all), [batch, tokens, all]),
  );
}

describe("Attention", () => {
  const example = (draw: Draw, unidirectional: number) => {
    const [batch, tokens] = [int(draw, 1, 3), int(draw, 1, 4)];
    const past = pick(draw, 0, 0, 3);
    const all = past + tokens;
    const f32 = (...shape: number[]) => values(draw, "f32", shape);
    const valueWidth = past > 0 ? width : pick(draw, width, 12);
    const packed = 2 * width + valueWidth;
    const inputs = [
      f32(batch, tokens, 6),
      f32(6, packed),
      f32(packed),
      maskOf(draw, batch, tokens, all),
      past > 0 ? f32(2, batch, heads, past, depth) : null,
      past > 0 ? null : pick(draw, null, f32(1, heads, tokens, all), f32(batch, 1, tokens, all)),
    ];
    const sizes = valueWidth === width ? {} : { qkv_hidden_sizes: [width, width, valueWidth] };
    return {
      op: "com.microsoft.Attention",
      inputs,
      attrs: {
        num_heads: heads,
        unidirectional,
        ...sizes,
        ...pick(draw, {}, { scale: 0.7 }),
        ...pick(
          draw,
          {},
          { mask_filter_value: -3.4028234663852886e38 },
          { mask_filter_value: -50.5 },
        ),
      },
      constants: [1, 2],
      results: past > 0 ? [0, 1] : [0],
    };
  };
  expands("in both directions", (draw) => example(draw, 0), 40);
  expands("in one direction", (draw) => example(draw, 1), 40);

  test("with room for keys to come in the past, as without where there is none", async () => {
    const draw = <T>() => 5 as T;
    const [tokens, used, room] = [2, 3, 6];
    const cache = values(draw, "f32", [2, 1, heads, room, depth]);
    const past = part(cache, used);
    const inputs = [[1, tokens, 6], [6, 3 * width], [3 * width]].map((s) => values(draw, "f32", s));
    const attrs = { num_heads: heads, unidirectional: 1 };
    const op = "com.microsoft.Attention";
    const plain = {
      op,
      inputs: [...inputs, null, past],
      attrs,
      constants: [1, 2],
      results: [0, 1],
    };
    // The CPU of ONNX Runtime has no cache with room in it.
    const shared = {
      ...plain,
      inputs: [...inputs, null, cache, null, int32([used], [])],
      attrs: { ...attrs, past_present_share_buffer: 1 },
      constants: [1, 2, 6],
    };
    const { raised, store } = await frontOf(fileOf(shared));
    const x = inputs[0] as Tensor;
    const model = exportModule(raised, store);
    const got = await runModel(
      model,
      new Map([
        ["x0", x],
        ["x4", cache],
      ]),
    );
    const expected = await runModel(
      fileOf(plain),
      new Map([
        ["x0", x],
        ["x4", past],
      ]),
    );
    expect(differenceOf(got.get("y0"), expected.get("y0") as Tensor).relative).toBeLessThan(1e-5);
    const present = got.get("y1") as Tensor;
    expect(present.shape).toEqual(cache.shape);
    const seen = differenceOf(part(present, used + tokens), expected.get("y1") as Tensor);
    expect(seen.relative).toBeLessThan(1e-5);
    expect(raised.ops.map((o) => o.kind)).toContain("nn.attention");
  });

  test("is one linear and one attention", async () => {
    const draw = <T>() => 5 as T;
    const inputs = [[1, 4, 6], [6, 3 * width], [3 * width]].map((s) => values(draw, "f32", s));
    const attrs = { num_heads: heads, unidirectional: 1 };
    const { raised, error } = await outcomeOf({
      op: "com.microsoft.Attention",
      inputs,
      attrs,
      constants: [1, 2],
    });
    expect(error).toBeLessThan(1e-4);
    expect(raised.filter((k) => k.startsWith("nn."))).toEqual(["nn.linear", "nn.attention"]);
  });
});

describe("MultiHeadAttention", () => {
  /** Query, key and value; a past; whether a bias may come before. */
  const layouts = {
    separate: (f32: Make, batch: number, tokens: number, fresh: number, last: number) => [
      f32(batch, tokens, width),
      f32(batch, fresh, width),
      f32(batch, fresh, heads * last),
    ],
    cross: (f32: Make, batch: number, tokens: number, fresh: number) => [
      f32(batch, tokens, width),
      f32(batch, heads, fresh, depth),
      f32(batch, heads, fresh, depth),
    ],
  };
  const example = (draw: Draw, unidirectional: number) => {
    const f32 = (...shape: number[]) => values(draw, "f32", shape);
    const layout = pick(draw, "separate", "cross", "past");
    const past = layout === "past" ? 3 : 0;
    const [batch, tokens] = [int(draw, 1, 3), int(draw, 1, 4)];
    const fresh = past > 0 ? tokens : int(draw, 1, 5);
    const all = past + fresh;
    const last = layout === "separate" ? pick(draw, depth, 3) : depth;
    const cached = () => (past > 0 ? f32(batch, heads, past, depth) : null);
    const bits = Array.from({ length: batch * all }, (_, i) =>
      i % all === 0 || pick(draw, true, false) ? 1 : 0,
    );
    const inputs = [
      ...layouts[layout === "cross" ? "cross" : "separate"](f32, batch, tokens, fresh, last),
      layout === "cross" ? null : pick(draw, null, f32(2 * width + heads * last)),
      pick(draw, null, int32(bits, [batch, all])),
      pick(draw, null, f32(batch, heads, tokens, all), f32(1, 1, tokens, all)),
      cached(),
      cached(),
    ];
    return {
      op: "com.microsoft.MultiHeadAttention",
      inputs,
      attrs: {
        num_heads: heads,
        unidirectional: fresh === tokens ? unidirectional : 0,
        ...pick(draw, {}, { scale: 2 }),
      },
      constants: [3],
      results: past > 0 ? [0, 1, 2] : [0],
    };
  };
  expands("in both directions", (draw) => example(draw, 0), 40);
  expands("in one direction", (draw) => example(draw, 1), 40);
});
