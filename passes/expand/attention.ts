/** com.microsoft's Attention and MultiHeadAttention (ONNX Runtime's docs/ContribOperators.md). */

import { floatAttr, intAttr, intsAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { attend } from "./attend.ts";
import { type Builder, cannot } from "./builder.ts";
import { type Expansion, gives } from "./expansion.ts";
import { causal, fill, lowest, type Sizes, visibleKeys } from "./masks.ts";
import { real } from "./requantised.ts";
import {
  add,
  concat,
  dimOf,
  dimsOf,
  elemOf,
  joinHeads,
  reshape,
  slice,
  split,
  splitHeads,
  transpose,
  unsqueeze,
} from "./write.ts";

/** What stands for minus infinity where a mask operand says 0, unless an attribute does. */
const FILTER = -10000;

interface Masked {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly index: Value | null | undefined;
  readonly bias: Value | null | undefined;
}

/** The padding mask; where the model is causal, the keys to come are hidden altogether. */
function maskOf(b: Builder, op: Op, index: Masked["index"], q: Value, sizes: Sizes): Value | null {
  const elem = elemOf(q);
  const { queries, keys } = sizes;
  const filter = floatAttr(op, "mask_filter_value", FILTER);
  const padding = index ? fill(b, visibleKeys(b, index, sizes), elem, filter) : null;
  if (intAttr(op, "unidirectional", 0) === 0 || queries === 1) return padding;
  const seen = causal(b, sizes, keys - queries);
  if (!padding) return fill(b, seen, elem, lowest(elem));
  return b.op("Where", [seen, padding, b.number(elem, lowest(elem))]);
}

function masked(b: Builder, op: Op, { q, k, v, index, bias }: Masked) {
  const sizes = { batch: dimOf(q, 0), queries: dimOf(q, 2), keys: dimOf(k, 2) };
  const scale = floatAttr(op, "scale", 0) || 1 / Math.sqrt(dimOf(q, 3));
  return attend(b, { q, k, v, scale, masks: [maskOf(b, op, index, q, sizes), bias] });
}

const grown = (b: Builder, past: Value | null | undefined, fresh: Value): Value =>
  past && dimOf(past, 2) > 0 ? concat(b, [past, fresh], 2) : fresh;

interface Projected extends Pick<Masked, "index"> {
  /** [B, S, features] and [features, queries + keys + values]. */
  readonly x: Value;
  readonly w: Value;
  readonly bias: Value | null | undefined;
  /** [2, B, H, T, D]: keys and values. */
  readonly past: Value | null | undefined;
  /** How many of them there are, where the past has room for more. */
  readonly length?: Value | null | undefined;
  readonly scores?: Value | null | undefined;
}

/** How much of a cache that past and present share is in use. */
function usedOf(b: Builder, op: Op, { past, length }: Projected): number | undefined {
  if (!past || intAttr(op, "past_present_share_buffer", 0) === 0) return undefined;
  const given = b.valueOf(length);
  return given
    ? (toNumbers(given)[0] ?? 0)
    : cannot("its past_sequence_length is not constant; give it a value with --set");
}

interface Cache {
  /** Keys or values that attention looks at. */
  readonly seen: Value;
  readonly present: Value;
}

/** New keys or values behind those of the past: at its end, or in its room behind `used` of them. */
function cacheOf(b: Builder, past: Value | null | undefined, fresh: Value, used?: number): Cache {
  if (!past || used === undefined) {
    const seen = grown(b, past, fresh);
    return { seen, present: seen };
  }
  const [room, end] = [dimOf(past, 2), used + dimOf(fresh, 2)];
  if (used < 0 || end > room) cannot(`${end} keys do not fit into the cache's ${room}`);
  const seen = used > 0 ? concat(b, [slice(b, past, 2, 0, used), fresh], 2) : fresh;
  return { seen, present: end < room ? concat(b, [seen, slice(b, past, 2, end, room)], 2) : seen };
}

/** Attention with its projection of queries, keys and values. */
function projected(b: Builder, op: Op, parts: Projected): readonly (Value | null)[] {
  const { x, w, bias, index, past, scores } = parts;
  if (intAttr(op, "do_rotary", 0) !== 0) {
    cannot(
      "it turns positions in by itself, which only GPUs do; RotaryEmbedding does so before it",
    );
  }
  const heads = intAttr(op, "num_heads");
  const third = dimOf(w, 1) / 3;
  const sizes = intsAttr(op, "qkv_hidden_sizes", [third, third, third]);
  const packed = split(b, add(b, b.op("MatMul", [x, w]), bias), 2, sizes);
  const [q, k0, v0] = packed.map((part) => splitHeads(b, part, heads));
  if (!q || !k0 || !v0) cannot("queries, keys and values must be three");
  const used = usedOf(b, op, parts);
  const half = (i: number) =>
    past && reshape(b, slice(b, past, 0, i, i + 1), dimsOf(past).slice(1));
  const [k, v] = [cacheOf(b, half(0), k0, used), cacheOf(b, half(1), v0, used)];
  const { y } = masked(b, op, { q, k: k.seen, v: v.seen, index, bias: scores });
  const both = () => concat(b, [unsqueeze(b, k.present, 0), unsqueeze(b, v.present, 0)], 0);
  return [joinHeads(b, y), gives(op, 1) ? both() : null];
}

/** Operands: x, weights, bias?, mask index?, past?, attention bias?, past length?. */
const attention: Expansion = (b, op, [x, w, bias, index, past, scores, length]) =>
  projected(b, op, { x, w: w ?? cannot("it has no weights"), bias, index, past, scores, length });

/** Operands: x, weights, bias, scales of both, mask index?, zero points of both?, past?. */
const quantised: Expansion = (b, op, [x, w, bias, sx, sw, index, zx, zw, past]) => {
  if (!w) cannot("it has no weights");
  return projected(b, op, { x: real(b, x, sx, zx), w: real(b, w, sw, zw, 1), bias, index, past });
};

/** [B, S, H, count, D] as `count` values [B, H, S, D]. */
function unpacked(b: Builder, x: Value, count: number): Value[] {
  const [batch = 1, tokens = 1, heads = 1, , depth = 1] = dimsOf(x);
  return split(b, x, 3, new Array(count).fill(1)).map((part) =>
    transpose(b, reshape(b, part, [batch, tokens, heads, depth]), [0, 2, 1, 3]),
  );
}

/** The parts of the bias [H · (D + D + Dv)], one for each of query, key and value. */
function biasParts(b: Builder, bias: Value, hidden: number): readonly Value[] {
  return split(b, bias, 0, [hidden, hidden, dimOf(bias, 0) - 2 * hidden]);
}

/** Query, key and value as [B, H, S, D], from any of the layouts that the operator takes. */
function headsOf(b: Builder, op: Op, operands: readonly (Value | null | undefined)[]): Value[] {
  const heads = intAttr(op, "num_heads");
  const [query, key, value, bias] = operands;
  if (!query) cannot("it has no query");
  const packed = !key ? unpacked(b, query, 3) : value ? null : unpacked(b, key, 2);
  const hidden = packed ? heads * dimOf(packed[0] ?? query, 3) : dimOf(query, 2);
  const parts = bias ? biasParts(b, bias, hidden) : [];
  // A bias is added before heads are told apart, where a projection that comes before can take it.
  const own = (x: Value, i: number) => {
    const part = parts[i];
    if (x.type.shape.length === 3) return splitHeads(b, add(b, x, part), heads);
    return part ? add(b, x, reshape(b, part, [heads, 1, dimOf(x, 3)])) : x;
  };
  if (packed) return (key ? [query, ...packed] : packed).map(own);
  return [query, key, value].map((x, i) => own(x ?? cannot("a key needs a value"), i));
}

/** Operands: query, key?, value?, bias?, padding mask?, attention bias?, past key?, past value?, …. */
const multiHead: Expansion = (b, op, operands) => {
  const [, key, , , index, scores, pastKey, pastValue, pastLength, indirection] = operands;
  if (pastLength || indirection) cannot("a cache shared between steps is not supported");
  const [q, k0, v0] = headsOf(b, op, operands);
  if (!q || !k0 || !v0) cannot("queries, keys and values must be three");
  if (key?.type.shape.length === 4 && pastKey) cannot("keys of cross attention have no past");
  const [k, v] = [grown(b, pastKey, k0), grown(b, pastValue, v0)];
  const all = masked(b, op, { q, k, v, index, bias: scores });
  return [joinHeads(b, all.y), k, v, all.masked];
};

export const ATTENTION: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.Attention": attention,
  "onnx.com.microsoft.QAttention": quantised,
  "onnx.com.microsoft.MultiHeadAttention": multiHead,
};
