/** ONNX's own Attention (opset 23, and 24's lengths of unpadded keys). */

import { floatAttr, intAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { type Elem, isFloat } from "../../src/tensor/tensor.ts";
import { type Attended, attend } from "./attend.ts";
import { type Builder, cannot } from "./builder.ts";
import { type Expansion, gives } from "./expansion.ts";
import { causal, fill, lowest, type Sizes } from "./masks.ts";
import { concat, countTo, dimOf, elemOf, joinHeads, reshape, splitHeads } from "./write.ts";

/**
 * What hides a key: minus infinity, which tells a query that sees none of them, so that all of its weights
 * are 0. Where the masked scores themselves are asked for, ONNX Runtime gives the lowest number.
 */
const hiding = (op: Op, elem: Elem): number =>
  gives(op, 3) && stageOf(op) === "masked" ? lowest(elem) : Number.NEGATIVE_INFINITY;

/** A mask of truths as numbers to add; one that ends before the keys do hides the rest. */
function maskOf(b: Builder, op: Op, mask: Value, q: Value, keys: number): Value {
  const elem = elemOf(q);
  const added = isFloat(elemOf(mask)) ? mask : fill(b, mask, elem, hiding(op, elem));
  const width = dimOf(added, -1);
  if (width === keys || width === 1) return added;
  const rank = added.type.shape.length;
  const zeros = new Array<number>(2 * rank - 1).fill(0);
  const pads = b.ints([...zeros, keys - width]);
  return b.op("Pad", [added, pads, b.number(elem, Number.NEGATIVE_INFINITY)], { mode: "constant" });
}

/** Without lengths causality counts from the first key on; past keys move the diagonal. */
function hidden(
  b: Builder,
  op: Op,
  lengths: Value | null | undefined,
  q: Value,
  sizes: Sizes,
  past: number,
) {
  const elem = elemOf(q);
  const low = hiding(op, elem);
  const isCausal = intAttr(op, "is_causal", 0) !== 0;
  const { batch, queries, keys } = sizes;
  if (!lengths) {
    // One query that is the newest sees everything.
    return isCausal && past + 1 < keys + (queries > 1 ? 1 : 0)
      ? fill(b, causal(b, sizes, past), elem, low)
      : null;
  }
  const ends = reshape(b, lengths, [batch, 1, 1, 1]);
  const at = countTo(b, keys, [1, 1, 1, keys]);
  const within = b.op("Less", [at, ends]);
  if (!isCausal) return fill(b, within, elem, low);
  const rows = b.op("Add", [ends, b.ints(range(1 - queries, queries), [1, 1, queries, 1])]);
  const before = b.op("And", [within, b.op("Less", [at, rows])]);
  return fill(b, before, elem, low);
}

const range = (from: number, length: number): number[] =>
  Array.from({ length }, (_, i) => from + i);

/** The stages of the scores in the order of qk_matmul_output_mode. */
const STAGES = ["product", "capped", "masked", "weights"] as const satisfies (keyof Attended)[];

const stageOf = (op: Op): (typeof STAGES)[number] =>
  STAGES[intAttr(op, "qk_matmul_output_mode", 0)] ?? cannot("no such output mode");

/** Operands: q, k, v, mask?, past key?, past value?, lengths?. */
const attention: Expansion = (b, op, operands) => {
  const [query, key, value, mask, pastKey, pastValue, lengths] = operands;
  if (!key || !value) cannot("it has no keys or values");
  const flat = query.type.shape.length === 3;
  const heads = (x: Value, name: string) => (flat ? splitHeads(b, x, intAttr(op, name)) : x);
  const q = heads(query, "q_num_heads");
  const grown = (fresh: Value, past: Value | null | undefined) => {
    const own = heads(fresh, "kv_num_heads");
    return past && dimOf(past, 2) > 0 ? concat(b, [past, own], 2) : own;
  };
  const [k, v] = [grown(key, pastKey), grown(value, pastValue)];
  const sizes = { batch: dimOf(q, 0), queries: dimOf(q, 2), keys: dimOf(k, 2) };
  const scale = floatAttr(op, "scale", 1 / Math.sqrt(dimOf(q, 3)));
  const past = pastKey ? dimOf(pastKey, 2) : 0;
  const masks = [
    mask && maskOf(b, op, mask, q, sizes.keys),
    hidden(b, op, lengths, q, sizes, past),
  ];
  const all = attend(b, {
    q,
    k,
    v,
    scale,
    masks,
    softcap: floatAttr(op, "softcap", 0),
    // Causality by itself leaves every query its own key.
    emptyIsZero: Boolean(mask ?? lengths),
  });
  return [flat ? joinHeads(b, all.y) : all.y, k, v, gives(op, 3) ? all[stageOf(op)] : null];
};

export const ONNX_ATTENTION: Readonly<Record<string, Expansion>> = { "onnx.Attention": attention };
