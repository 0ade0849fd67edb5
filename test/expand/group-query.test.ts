/** GroupQueryAttention, written out. */

import { describe, expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Draw, int, pick, values } from "../tensor/on-ort.ts";
import { type Example, expands, fileOf, frontOf, outcomeOf } from "./on-ort.ts";

const [heads, stored, size] = [4, 2, 32];

const int32 = (list: readonly number[], shape: readonly number[] = [list.length]): Tensor => ({
  elem: "i32",
  shape,
  data: Int32Array.from(list),
});

interface Form {
  readonly batch: number;
  readonly tokens: number;
  /** Positions that the cache of the past has. */
  readonly past: number;
  /** Total lengths of the batch entries. */
  readonly totals: readonly number[];
}

function example(draw: Draw, { batch, tokens, past, totals }: Form): Example {
  const f32 = (...shape: number[]) => values(draw, "f32", shape);
  const packed = pick(draw, true, false);
  const rotary = pick(draw, true, false);
  const total = Math.max(...totals);
  const part = pick(draw, size, size / 2);
  const table = () => (rotary ? f32(16, part / 2) : null);
  const cache = () => (past > 0 ? f32(batch, stored, past, size) : null);
  const bias = pick(draw, null, null, f32(batch, heads, tokens, total), f32(1, 1, tokens, total));
  return {
    op: "com.microsoft.GroupQueryAttention",
    inputs: [
      f32(batch, tokens, (packed ? heads + 2 * stored : heads) * size),
      packed ? null : f32(batch, tokens, stored * size),
      packed ? null : f32(batch, tokens, stored * size),
      cache(),
      cache(),
      int32(totals.map((t) => t - 1)),
      int32([total], []),
      table(),
      table(),
      null,
      bias,
      pick(draw, null, null, f32(heads)),
    ],
    attrs: {
      num_heads: heads,
      kv_num_heads: stored,
      do_rotary: rotary ? 1 : 0,
      rotary_interleaved: int(draw, 0, 1),
      ...pick(draw, {}, { scale: 0.4 }),
      ...pick(draw, {}, { softcap: 3 }),
      ...pick(draw, {}, { local_window_size: 2 }),
      ...pick(draw, {}, { smooth_softmax: 1 }),
    },
    constants: [6, 7, 8, ...pick(draw, [], [5])],
    results: [0, 1, 2],
  };
}

describe("GroupQueryAttention", () => {
  expands(
    "of a prompt",
    (draw) => {
      const [batch, tokens] = [int(draw, 1, 3), int(draw, 1, 5)];
      const past = pick(draw, 0, 0, 8);
      return example(draw, { batch, tokens, past, totals: new Array(batch).fill(tokens) });
    },
    50,
  );
  expands(
    "of a step behind a cache",
    (draw) => {
      const [tokens, before] = [int(draw, 1, 3), int(draw, 1, 4)];
      const past = before + pick(draw, 0, 0, 5);
      return example(draw, { batch: 1, tokens, past, totals: [before + tokens] });
    },
    50,
  );
  expands(
    "of a step behind caches of different lengths",
    (draw) => {
      const totals = [int(draw, 1, 6), int(draw, 1, 6)].map((t) => t + 1);
      const past = Math.max(...totals) - 1 + pick(draw, 0, 3);
      return example(draw, { batch: 2, tokens: 1, past, totals });
    },
    50,
  );

  test("says what it takes for granted of lengths that are inputs", async () => {
    const draw = <T>() => 5 as T;
    const f32 = (...shape: number[]) => values(draw, "f32", shape, 1);
    const { remarks } = await outcomeOf({
      op: "com.microsoft.GroupQueryAttention",
      inputs: [
        ...[f32(1, 3, heads * size), f32(1, 3, stored * size), f32(1, 3, stored * size)],
        ...[null, null, int32([2]), int32([3], [])],
      ],
      attrs: { num_heads: heads, kv_num_heads: stored },
      constants: [6],
    });
    expect(remarks).toEqual([
      "com.microsoft.GroupQueryAttention takes it that every batch entry is 3 tokens long with its past, without padding, whatever 'x5' says",
    ]);
  });

  test("believes a constant length that is shorter than the total one", async () => {
    const draw = <T>() => 5 as T;
    const f32 = (...shape: number[]) => values(draw, "f32", shape, 1);
    const { error, remarks } = await outcomeOf({
      op: "com.microsoft.GroupQueryAttention",
      inputs: [
        ...[f32(1, 1, heads * size), f32(1, 1, stored * size), f32(1, 1, stored * size)],
        ...[f32(1, stored, 8, size), f32(1, stored, 8, size), int32([3]), int32([6], [])],
      ],
      attrs: { num_heads: heads, kv_num_heads: stored },
      constants: [5, 6],
      results: [0, 1, 2],
    });
    expect(remarks).toEqual([]);
    expect(error).toBeLessThan(1e-4);
  });

  test("is one attention with a rotary embedding behind a cache", async () => {
    const draw = <T>() => 5 as T;
    const f32 = (...shape: number[]) => values(draw, "f32", shape, 1);
    const { raised, error } = await outcomeOf({
      op: "com.microsoft.GroupQueryAttention",
      inputs: [
        f32(1, 2, heads * size),
        f32(1, 2, stored * size),
        f32(1, 2, stored * size),
        f32(1, stored, 3, size),
        f32(1, stored, 3, size),
        int32([4]),
        int32([5], []),
        f32(16, size / 2),
        f32(16, size / 2),
      ],
      attrs: { num_heads: heads, kv_num_heads: stored, do_rotary: 1 },
      constants: [6, 7, 8],
      results: [0, 1, 2],
    });
    expect(error).toBeLessThan(1e-4);
    expect(raised.filter((k) => k.startsWith("nn."))).toEqual([
      "nn.rope",
      "nn.rope",
      "nn.cache_append",
      "nn.cache_append",
      "nn.attention",
    ]);
  });
});

test("heads are normalised before positions are turned in, as GPUs do by themselves", async () => {
  const f32 = (seed: number, ...shape: number[]) => values(() => seed as never, "f32", shape, 1);
  const [q, k, v] = [heads, stored, stored].map((n, i) => f32(i, 1, 3, n * size));
  const gammas = [f32(4, size), f32(5, size)];
  const epsilon = 0.01;
  const example = (norm: readonly Tensor[]): Example => ({
    op: "com.microsoft.GroupQueryAttention",
    inputs: [
      ...[q, k, v, null, null, int32([2]), int32([3], []), f32(6, 16, 16), f32(7, 16, 16)],
      ...(norm.length > 0 ? [null, null, null, null, null, ...norm] : []),
    ].map((t) => t ?? null),
    attrs: {
      ...{ num_heads: heads, kv_num_heads: stored, do_rotary: 1 },
      ...(norm.length > 0 ? { qk_norm_epsilon: epsilon } : {}),
    },
    constants: [5, 6, 7, 8, 14, 15],
    results: [0, 1, 2],
  });
  const normed = (x: Tensor | undefined, gamma: Tensor | undefined): Tensor => {
    const [data, by] = [x, gamma].map((t) => toNumbers(t as Tensor));
    const of = data?.map((d, i) => {
      const head = data.slice(i - (i % size), i - (i % size) + size);
      const square = head.reduce((sum, c) => sum + c * c, 0) / size;
      return (d / Math.sqrt(square + epsilon)) * (by?.[i % size] ?? 0);
    });
    return fromNumbers("f32", x?.shape ?? [], of ?? []);
  };
  const feedsOf = (list: readonly (Tensor | undefined)[]) =>
    new Map(list.map((t, i) => [`x${i}`, t as Tensor]));
  const normal = [normed(q, gammas[0]), normed(k, gammas[1]), v];
  const expected = await runModel(fileOf(example([])), feedsOf(normal));
  const { raised, store } = await frontOf(fileOf(example(gammas)));
  const actual = await runModel(exportModule(raised, store), feedsOf([q, k, v]));
  for (const [name, value] of expected) {
    expect(differenceOf(actual.get(name), value).relative).toBeLessThan(1e-5);
  }
  expect(raised.ops.filter((op) => op.kind === "nn.rms_norm")).toHaveLength(2);
});
