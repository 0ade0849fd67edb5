/** Masks of attention as values to add to the scores, from the many forms that operators take. */

import type { Value } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Elem } from "../../src/tensor/tensor.ts";
import { type Builder, cannot } from "./builder.ts";
import { countTo, dimOf, dimsOf, slice, unsqueeze } from "./write.ts";

export interface Sizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
}

/** The number that hides a key whatever its score: the lowest of the type, which stays finite. */
export const lowest = (elem: Elem): number => (elem === "f16" ? -65504 : -3.4028234663852886e38);

/** 0 where the condition holds and `hidden` elsewhere. */
export const fill = (b: Builder, visible: Value, elem: Elem, hidden: number): Value =>
  b.op("Where", [visible, b.number(elem, 0), b.number(elem, hidden)]);

/** Truths [1, 1, S, T]: query i sees keys up to i + offset, and no more than `window` of them. */
export function causal(b: Builder, { queries, keys }: Sizes, offset: number, window = 0): Value {
  const flags = Array.from({ length: queries * keys }, (_, at) => {
    const [last, j] = [Math.floor(at / keys) + offset, at % keys];
    return j <= last && (window <= 0 || j > last - window) ? 1 : 0;
  });
  return b.constant(fromNumbers("i1", [1, 1, queries, keys], flags));
}

/** What an index operand says: truths that broadcast to [B, 1, S, T]. */
export function visibleKeys(b: Builder, index: Value, sizes: Sizes): Value {
  const { batch, queries, keys } = sizes;
  const shape = dimsOf(index);
  const set = (v: Value) => b.op("Greater", [v, b.number(v.type.elem, 0)]);
  if (shape.length === 4) {
    // [B, 1, M, M] of the longest sequence: the queries are rows from where the past ends.
    const past = keys - queries;
    return set(slice(b, slice(b, index, 2, past, keys), 3, 0, keys));
  }
  if (shape.length === 3) return set(unsqueeze(b, index, 1));
  if (shape.length === 2) {
    if (shape[1] !== keys) cannot(`its mask is for ${shape[1]} keys, not ${keys}`);
    return set(unsqueeze(b, index, 1, 2));
  }
  return withinLengths(b, index, batch, keys);
}

/** [B] ends; or [2B] ends, then starts; or [3B + 2], which begins with the ends. */
function withinLengths(b: Builder, index: Value, batch: number, keys: number): Value {
  const length = dimOf(index, 0);
  if (![batch, 2 * batch, 3 * batch + 2].includes(length)) {
    cannot(`its mask has ${length} entries for a batch of ${batch}`);
  }
  const at = b.op("Cast", [countTo(b, keys, [1, 1, 1, keys])], { to: 6 });
  const bound = (from: number) => unsqueeze(b, slice(b, index, 0, from, from + batch), 1, 2, 3);
  const before = b.op("Less", [at, bound(0)]);
  if (length !== 2 * batch) return before;
  return b.op("And", [before, b.op("GreaterOrEqual", [at, bound(batch)])]);
}
