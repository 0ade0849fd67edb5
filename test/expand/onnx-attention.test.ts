/** ONNX's own attention, written out. */

import { describe } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Draw, int, ints, pick, values } from "../tensor/on-ort.ts";
import { expands } from "./on-ort.ts";

/** Truths or numbers, of two to four axes; every row sees its first key. */
function maskOf(draw: Draw, batch: number, heads: number, queries: number, keys: number) {
  const shape = pick(
    draw,
    [queries, keys],
    [1, 1, queries, keys],
    [batch, 1, queries, keys],
    [batch, heads, queries, keys],
  );
  const size = shape.reduce((a, b) => a * b, 1);
  const bits = Array.from({ length: size }, (_, i) => (i % keys === 0 ? 1 : int(draw, 0, 1)));
  return pick(draw, values(draw, "f32", shape), fromNumbers("i1", shape, bits));
}

function example(draw: Draw, causal: number, more: { readonly lengths?: boolean } = {}) {
  const batch = int(draw, 1, 2);
  const group = pick(draw, 1, 2);
  const stored = 2;
  const heads = stored * group;
  const [queries, size] = [int(draw, 1, 4), 4];
  const past = more.lengths ? 0 : pick(draw, 0, 3);
  const fresh = causal || past > 0 ? queries : int(draw, 1, 5);
  const last = pick(draw, 4, 6);
  const flat = pick(draw, true, false);
  const own = (n: number, s: number, d: number): Tensor =>
    values(draw, "f32", flat ? [batch, s, n * d] : [batch, n, s, d]);
  const keys = past + fresh;
  const cache = (d: number) => (past > 0 ? values(draw, "f32", [batch, stored, past, d]) : null);
  const mask = pick(draw, null, maskOf(draw, batch, heads, queries, keys));
  const lengths = Array.from({ length: batch }, () => (causal ? keys : int(draw, 1, keys)));
  const inputs = [
    own(heads, queries, size),
    own(stored, fresh, size),
    own(stored, fresh, last),
    more.lengths ? null : mask,
    cache(size),
    cache(last),
    more.lengths ? ints(lengths) : null,
  ];
  return {
    op: "Attention",
    inputs,
    attrs: {
      is_causal: causal,
      ...(flat ? { q_num_heads: heads, kv_num_heads: stored } : {}),
      ...pick(draw, {}, { scale: 0.6 }),
      ...pick(draw, {}, { softcap: 2.5 }),
    },
    constants: pick(draw, [], [3]),
    results: past > 0 ? [0, 1, 2] : [0],
    opset: more.lengths ? 24 : 23,
  };
}

describe("Attention", () => {
  expands("in both directions", (draw) => example(draw, 0), 60);
  expands("in one direction", (draw) => example(draw, 1), 60);
  expands("with lengths of keys", (draw) => example(draw, 0, { lengths: true }), 20);
  expands(
    "with lengths of keys, in one direction",
    (draw) => example(draw, 1, { lengths: true }),
    20,
  );
  expands(
    "with its scores",
    (draw) => {
      const mode = int(draw, 0, 3);
      const plain = example(draw, 0);
      return {
        ...plain,
        attrs: { ...plain.attrs, qk_matmul_output_mode: mode },
        results: plain.results.length > 1 ? [0, 1, 2, 3] : [0, 3],
      };
    },
    40,
  );
});
