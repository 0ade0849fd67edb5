/** Scaled dot-product attention in plain operators, as raise-attention knows it. */

import type { Value } from "../../src/ir/op.ts";
import { type Builder, cannot } from "./builder.ts";
import { add, dimOf, dimsOf, elemOf, flipped, reshape, scaled, slice, unsqueeze } from "./write.ts";

export interface Attend {
  /** [B, H, S, D]. */
  readonly q: Value;
  /** [B, Hk, T, D]; every group of H / Hk query heads reads one of them. */
  readonly k: Value;
  readonly v: Value;
  readonly scale: number;
  /** Added to the scores, in this order. */
  readonly masks: readonly (Value | null | undefined)[];
  /** Scores are squeezed into -softcap … softcap; 0 does nothing. */
  readonly softcap?: number;
  /** [1, H, 1, 1] or [1, 1, 1, 1]: the score of a key without a value, which takes its share. */
  readonly sink?: Value | undefined;
  /** A query whose scores are all minus infinity weighs every key with 0. */
  readonly emptyIsZero?: boolean;
}

export interface Attended {
  /** [B, H, S, Dv]. */
  readonly y: Value;
  /** Stages of the scores [B, H, S, T]. */
  readonly product: Value;
  readonly capped: Value;
  readonly masked: Value;
  readonly weights: Value;
}

/** Heads repeated so that query head h finds its own at h. */
function repeated(b: Builder, x: Value, heads: number): Value {
  const [batch = 1, stored = 1, keys = 1, depth = 1] = dimsOf(x);
  if (stored === heads) return x;
  if (heads % stored !== 0) cannot(`${heads} heads do not divide by ${stored}`);
  const group = heads / stored;
  const wide = b.op("Expand", [unsqueeze(b, x, 2), b.ints([batch, stored, group, keys, depth])]);
  return reshape(b, wide, [batch, heads, keys, depth]);
}

/** Softmax over the keys and one more, which is dropped again. */
function withSink(b: Builder, scores: Value, sink: Value): Value {
  const [batch = 1, heads = 1, queries = 1, keys = 1] = dimsOf(scores);
  const column = b.op("Expand", [sink, b.ints([batch, heads, queries, 1])]);
  const all = b.op("Softmax", [b.op("Concat", [scores, column], { axis: 3 })], { axis: -1 });
  return slice(b, all, 3, 0, keys);
}

/** Softmax over the keys; the empty row of zeros as PyTorch's exporter writes it. */
function weighed(b: Builder, scores: Value, emptyIsZero: boolean): Value {
  const weights = b.op("Softmax", [scores], { axis: -1 });
  if (!emptyIsZero) return weights;
  return b.op("Where", [b.op("IsNaN", [weights]), b.number(elemOf(weights), 0), weights]);
}

export function attend(b: Builder, how: Attend): Attended {
  const { q, k, v, scale, masks, softcap = 0, sink, emptyIsZero = false } = how;
  const heads = dimOf(q, 1);
  const keys = flipped(b, repeated(b, k, heads));
  const product = scaled(b, b.op("MatMul", [q, keys]), scale);
  const capped = softcap > 0 ? squeezed(b, product, softcap) : product;
  const masked = masks.reduce<Value>((scores, mask) => add(b, scores, mask), capped);
  const weights = sink ? withSink(b, masked, sink) : weighed(b, masked, emptyIsZero);
  const y = b.op("MatMul", [weights, repeated(b, v, heads)]);
  return { y, product, capped, masked, weights };
}

function squeezed(b: Builder, scores: Value, softcap: number): Value {
  const small = b.op("Div", [scores, b.number(elemOf(scores), softcap)]);
  return b.op("Mul", [b.op("Tanh", [small]), b.number(elemOf(scores), softcap)]);
}
