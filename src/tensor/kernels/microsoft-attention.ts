/** com.microsoft's Attention and MultiHeadAttention: ONNX Runtime's docs/ContribOperators.md. */

import { sizeOf, type Tensor } from "../tensor.ts";
import { allKeys, attend, causalKeys } from "./attention.ts";
import { plus } from "./elementwise.ts";
import {
  flag,
  type Kernel,
  type KernelCall,
  KernelFault,
  type KernelTable,
  maybe,
  num,
  nums,
  operand,
} from "./kernel.ts";
import { type Lanes, lanes, reshaped } from "./lanes.ts";
import { matmulOf } from "./matmul.ts";
import { concat, part } from "./movement.ts";
import { joinHeads, splitHeads } from "./onnx-attention.ts";
import { transposed } from "./strided.ts";

/** ONNX Runtime's stand-in for minus infinity where a mask operand says 0. */
const FILTER = -10000;

type Visible = (b: number, i: number, j: number) => boolean;

/** A mask [B, 1, rows, keys] of 0 where visible and the filter value elsewhere. */
function maskOf(batch: number, rows: number, keys: number, filter: number, see: Visible): Tensor {
  const shape = [batch, 1, rows, keys];
  const data = new Float32Array(sizeOf(shape));
  for (let at = 0; at < data.length; at++) {
    const row = Math.floor(at / keys);
    if (!see(Math.floor(row / rows), row % rows, at % keys)) data[at] = filter;
  }
  return { elem: "f32", shape, data };
}

interface Sizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
}

/** The forms a mask index takes, told apart by its shape. */
function maskFrom(index: Tensor, { batch, queries, keys }: Sizes, filter: number): Tensor {
  const v = lanes(index);
  const set = (at: number) => (v[at] as number) > 0;
  const { shape } = index;
  if (shape.length === 4) {
    // [B, 1, M, M] of the longest sequence: queries are its last rows before the keys end.
    const most = shape[3] ?? 1;
    const past = keys - queries;
    return maskOf(batch, queries, keys, filter, (b, i, j) => set((b * most + i + past) * most + j));
  }
  if (shape.length === 3) {
    return maskOf(batch, queries, keys, filter, (b, i, j) => set((b * queries + i) * keys + j));
  }
  if (shape.length === 2) return maskOf(batch, 1, keys, filter, (b, _, j) => set(b * keys + j));
  return maskOf(batch, 1, keys, filter, lengthsIn(v, batch));
}

/** [B] ends; or [2B] ends, then starts; or [3B + 2], which begins with the ends. */
function lengthsIn(v: Lanes, batch: number): Visible {
  const starts = v.length === 2 * batch ? v.subarray(batch) : null;
  return (b, _, j) => j < (v[b] as number) && j >= (starts ? (starts[b] as number) : 0);
}

/** [2, B, H, P, D]: the past keys and values, or nothing. */
function halves(past: Tensor | null): readonly [Tensor | null, Tensor | null] {
  if (!past) return [null, null];
  const shape = past.shape.slice(1);
  const half = (i: number) => reshaped(part(past, 0, i, 1), shape);
  return [half(0), half(1)];
}

const joined = (past: Tensor | null, fresh: Tensor): Tensor =>
  past && past.data.length > 0 ? concat([past, fresh], 2) : fresh;

/** The scale attribute, where 0 and absence both mean 1 / sqrt(head size). */
const scaleOf = (call: KernelCall, q: Tensor): number =>
  num(call, "scale", 0) || 1 / Math.sqrt(q.shape.at(-1) ?? 1);

/** Operands: x, weights, bias?, mask index?, past?, attention bias?. */
const attention: Kernel = (call) => {
  const heads = num(call, "num_heads");
  const bias = maybe(call, 2);
  const product = matmulOf(operand(call, 0), operand(call, 1));
  const qkv = bias ? plus(product, bias) : product;
  const third = (qkv.shape[2] ?? 0) / 3;
  const widths = nums(call, "qkv_hidden_sizes") ?? [third, third, third];
  const piece = (i: number) => {
    const start = widths.slice(0, i).reduce((a, b) => a + b, 0);
    return splitHeads(part(qkv, 2, start, widths[i] ?? 0), heads);
  };
  const [pastKey, pastValue] = halves(maybe(call, 4));
  const q = piece(0);
  const [k, v] = [joined(pastKey, piece(1)), joined(pastValue, piece(2))];
  const y = masked(call, { q, k, v, index: maybe(call, 3), bias: maybe(call, 5) });
  const present = concat(
    [k, v].map((t) => reshaped(t, [1, ...t.shape])),
    0,
  );
  return [joinHeads(y), present];
};

interface Masked {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly index: Tensor | null;
  readonly bias: Tensor | null;
}

function masked(call: KernelCall, { q, k, v, index, bias }: Masked): Tensor {
  const [batch = 1, , queries = 1] = q.shape;
  const keys = k.shape[2] ?? 1;
  const mask =
    index && maskFrom(index, { batch, queries, keys }, num(call, "mask_filter_value", FILTER));
  return attend({
    q,
    k,
    v,
    scale: scaleOf(call, q),
    masks: [mask, bias].filter((t) => t !== null),
    keys: flag(call, "unidirectional") ? causalKeys(queries, keys, 0) : allKeys(keys),
    softcap: 0,
  });
}

/** Query, key and value as [B, H, S, D], from any of the layouts that the operator takes. */
function unpacked(call: KernelCall, heads: number): readonly [Tensor, Tensor, Tensor] {
  const [query, key, value] = [operand(call, 0), maybe(call, 1), maybe(call, 2)];
  if (!key) return threeOf(packed(query, 3));
  if (!value) return threeOf([splitHeads(query, heads), ...packed(key, 2)]);
  const own = (t: Tensor) => (t.shape.length === 4 ? t : splitHeads(t, heads));
  return [splitHeads(query, heads), own(key), own(value)];
}

function threeOf(all: readonly Tensor[]): readonly [Tensor, Tensor, Tensor] {
  const [q, k, v] = all;
  if (!q || !k || !v) throw new KernelFault("attention needs a query, a key and a value");
  return [q, k, v];
}

/** [B, S, H, count, D] as `count` tensors [B, H, S, D]. */
function packed(t: Tensor, count: number): Tensor[] {
  const [batch = 1, tokens = 1, heads = 1, , depth = 1] = t.shape;
  return Array.from({ length: count }, (_, i) => {
    const one = reshaped(part(t, 3, i, 1), [batch, tokens, heads, depth]);
    return transposed(one, [0, 2, 1, 3]);
  });
}

/** Adds each third of the bias [H * (D + D + Dv)] to its projection. */
function biasedHeads(bias: Tensor | null, all: readonly Tensor[]): Tensor[] {
  if (!bias) return [...all];
  let start = 0;
  return all.map((t) => {
    const [, heads = 1, , depth = 1] = t.shape;
    const own = part(bias, 0, start, heads * depth);
    start += heads * depth;
    return plus(t, reshaped(own, [heads, 1, depth]));
  });
}

/** Operands: query, key?, value?, bias?, padding mask?, attention bias?, past key?, past value?. */
const multiHead: Kernel = (call) => {
  const all = biasedHeads(maybe(call, 3), unpacked(call, num(call, "num_heads")));
  const [q, key, value] = threeOf(all);
  const [k, v] = [joined(maybe(call, 6), key), joined(maybe(call, 7), value)];
  const y = masked(call, { q, k, v, index: maybe(call, 4), bias: maybe(call, 5) });
  return [joinHeads(y), k, v];
};

export const MICROSOFT_ATTENTION: KernelTable = {
  "com.microsoft.Attention": attention,
  "com.microsoft.MultiHeadAttention": multiHead,
};
