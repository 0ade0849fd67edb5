/**
 * com.microsoft's GroupQueryAttention as the CPU computes it (ONNX Runtime's docs/ContribOperators.md).
 * A step appends S new keys to a cache. In a prompt (S is the total length) they start it; otherwise
 * they start where each batch entry's own past ends, at seqlens_k + 1 - S.
 */

import { floatAttr, intAttr, stringAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { zeros } from "../../src/tensor/tensor.ts";
import { attend } from "./attend.ts";
import { type Builder, cannot } from "./builder.ts";
import { type Expansion, gives, type Operands } from "./expansion.ts";
import { causal, fill, lowest } from "./masks.ts";
import { rotated, rowsAt } from "./rotary.ts";
import {
  concat,
  countTo,
  dimOf,
  dimsOf,
  elemOf,
  joinHeads,
  reshape,
  slice,
  split,
  splitHeads,
} from "./write.ts";

/** Where the new keys of a step go: at one known position, or for each batch entry at its own. */
type Start = number | Value;

interface Step {
  readonly batch: number;
  /** New tokens. */
  readonly tokens: number;
  /** Positions that attention looks at. */
  readonly total: number;
  /** Positions that the cache has afterwards; those from `total` on are empty. */
  readonly length: number;
  readonly start: Start;
}

/** Whether the only batch entry ends with the total length, as far as that is known. */
function isLast(b: Builder, ends: Value | null | undefined, total: number): boolean {
  const known = b.valueOf(ends);
  return !known || toNumbers(known)[0] === total - 1;
}

/** Lengths that data decide are taken for the ones that the shapes ask for. */
function takeWhole(b: Builder, ends: Value | null | undefined, total: number): void {
  if (!ends || b.isConstant(ends)) return;
  b.assume(ends, `every batch entry is ${total} tokens long with its past, without padding`);
}

function stepOf(b: Builder, operands: Operands): Step {
  const [query, , , past, , ends, length] = operands;
  const [batch = 1, tokens = 1] = dimsOf(query);
  const before = past ? dimOf(past, 2) : 0;
  const known = b.valueOf(length);
  if (!known && before > 0)
    cannot("total_sequence_length is not constant; give its inputs a value with --set");
  const total = known ? (toNumbers(known)[0] ?? tokens) : tokens;
  const sizes = { batch, tokens, total, length: Math.max(before, total) };
  if (total === tokens || (batch === 1 && isLast(b, ends, total))) {
    takeWhole(b, ends, total);
    // The total length is the largest over the batch, so that one entry alone has it.
    return { ...sizes, start: total - tokens };
  }
  if (!ends) cannot("it has no seqlens_k");
  const last = b.op("Cast", [reshape(b, ends, [batch, 1])], { to: 7 });
  return { ...sizes, start: b.op("Add", [last, b.ints([1 - tokens])]) };
}

/** Positions of the new tokens, [1, S] or [B, S]. */
function positions(b: Builder, { start, tokens }: Step): Value {
  const from = typeof start === "number" ? b.ints([start], [1, 1]) : start;
  return b.op("Add", [from, countTo(b, tokens, [1, tokens])]);
}

interface Cache {
  /** Keys or values that attention looks at: [B, H, total, D]. */
  readonly seen: Value;
  /** The cache afterwards: [B, H, length, D]. */
  readonly present: Value;
}

/** New keys or values behind those of the past, where all batch entries are alike. */
function appended(b: Builder, past: Value | null | undefined, fresh: Value, step: Step): Cache {
  const start = Number(step.start);
  const kept = past && start > 0 ? [slice(b, past, 2, 0, start)] : [];
  const seen = kept.length > 0 ? concat(b, [...kept, fresh], 2) : fresh;
  const rest = step.length - step.total;
  if (rest === 0) return { seen, present: seen };
  const [batch = 1, heads = 1, , depth = 1] = dimsOf(fresh);
  const empty = b.constant(zeros(elemOf(fresh), [batch, heads, rest, depth]));
  return { seen, present: concat(b, [seen, empty], 2) };
}

/** New keys or values behind each batch entry's own past, which may be shorter than its place. */
function scattered(b: Builder, past: Value, fresh: Value, start: Value, step: Step): Cache {
  const { batch, tokens, length, total } = step;
  const [, heads = 1, , depth = 1] = dimsOf(fresh);
  const at = countTo(b, length, [1, length]);
  const offset = b.op("Sub", [at, start]);
  const [zero, last] = [b.ints([0], []), b.ints([tokens - 1], [])];
  const own = b.op("Add", [b.op("Clip", [offset, zero, last]), b.ints([dimOf(past, 2)])]);
  const isPast = b.op("Less", [at, start]);
  const from = reshape(b, b.op("Where", [isPast, at, own]), [batch, 1, length, 1]);
  const index = b.op("Expand", [from, b.ints([batch, heads, length, depth])]);
  const found = b.op("GatherElements", [concat(b, [past, fresh], 2), index], { axis: 2 });
  const filled = b.op("Less", [offset, b.ints([tokens])]);
  const nothing = b.number(elemOf(fresh), 0);
  const present = b.op("Where", [reshape(b, filled, [batch, 1, length, 1]), found, nothing]);
  return { seen: slice(b, present, 2, 0, total), present };
}

function cacheOf(b: Builder, past: Value | null | undefined, fresh: Value, step: Step): Cache {
  if (typeof step.start === "number") return appended(b, past, fresh, step);
  return scattered(b, past ?? cannot("it has no past"), fresh, step.start, step);
}

/** Hides the keys to come, and with a window of width w those w or more tokens ago. */
function maskOf(b: Builder, step: Step, like: Value, window: number): Value | null {
  const { batch, tokens, total, start } = step;
  const elem = elemOf(like);
  if (typeof start === "number") {
    if (tokens === 1 && (window <= 0 || window >= total)) return null;
    const seen = causal(b, { batch, queries: tokens, keys: total }, start, window);
    return fill(b, seen, elem, lowest(elem));
  }
  const at = countTo(b, total, [1, 1, 1, total]);
  const newest = reshape(b, positions(b, step), [batch, 1, tokens, 1]);
  const before = b.op("LessOrEqual", [at, newest]);
  if (window <= 0) return fill(b, before, elem, lowest(elem));
  const recent = b.op("Greater", [at, b.op("Sub", [newest, b.ints([window])])]);
  return fill(b, b.op("And", [before, recent]), elem, lowest(elem));
}

/** Query, key and value as [B, H, S, D]. */
function splitOf(b: Builder, op: Op, [query, key, value]: Operands) {
  const [heads, stored] = [intAttr(op, "num_heads"), intAttr(op, "kv_num_heads")];
  const size = dimOf(query, 2) / (heads + 2 * stored);
  const packed = key
    ? [query, key, value]
    : split(
        b,
        query,
        2,
        [heads, stored, stored].map((n) => n * size),
      );
  const [q, k, v] = packed.map((x, i) =>
    splitHeads(b, x ?? cannot("a key needs a value"), i === 0 ? heads : stored),
  );
  if (!q || !k || !v) cannot("queries, keys and values must be three");
  return [q, k, v] as const;
}

/** Each head divided by the root mean square of its features, which only the GPUs of ONNX Runtime do by themselves. */
function normalised(b: Builder, op: Op, x: Value, gamma: Value | null | undefined): Value {
  if (!gamma) return x;
  const epsilon = floatAttr(op, "qk_norm_epsilon", 1e-6);
  return b.op("RMSNormalization", [x, gamma], { axis: -1, epsilon });
}

/** Query, key and value as [B, H, S, D], normalised, with positions turned in. */
function headsOf(
  b: Builder,
  op: Op,
  operands: Operands,
  step: Step,
): readonly [Value, Value, Value] {
  const [, , , , , , , cosCache, sinCache, ids, , , , , ofQueries, ofKeys] = operands;
  const [split0, split1, v] = splitOf(b, op, operands);
  const [q, k] = [normalised(b, op, split0, ofQueries), normalised(b, op, split1, ofKeys)];
  if (intAttr(op, "do_rotary", 0) === 0) return [q, k, v];
  if (!cosCache || !sinCache) cannot("it turns positions in without tables");
  const at = ids ?? positions(b, step);
  const interleaved = intAttr(op, "rotary_interleaved", 0) !== 0;
  const tables = { cos: rowsAt(b, cosCache, at), sin: rowsAt(b, sinCache, at), interleaved };
  return [rotated(b, q, tables), rotated(b, k, tables), v];
}

/** The score of no key at all: one for each head, or 0. */
function sinkOf(b: Builder, op: Op, sink: Value | null | undefined, q: Value): Value | undefined {
  if (sink) return reshape(b, sink, [1, dimOf(q, 1), 1, 1]);
  if (intAttr(op, "smooth_softmax", 0) !== 1) return undefined;
  return b.constant(zeros(elemOf(q), [1, 1, 1, 1]));
}

function checkForm(op: Op, operands: Operands): void {
  const quantised = operands[12] || operands[13] || intAttr(op, "kv_cache_bit_width", 0) !== 0;
  const typed = ["k_quant_type", "v_quant_type"].some((n) => stringAttr(op, n, "NONE") !== "NONE");
  if (quantised || typed) cannot("a quantised cache is not supported");
  if (gives(op, 3) && intAttr(op, "qk_output", 0) !== 0) cannot("its scores are not supported");
  if (operands[1] && operands[1].type.shape.length !== 3) cannot("its keys must have 3 axes");
  if (operands[1] && dimOf(operands[1], 1) === 0) cannot("it shares the cache of another layer");
}

/** Operands: query, key?, value?, past key?, past value?, seqlens_k, total length, cos?, sin?, …. */
const groupQuery: Expansion = (b, op, operands) => {
  checkForm(op, operands);
  const [, , , pastKey, pastValue, , , , , , bias, sink] = operands;
  const step = stepOf(b, operands);
  const [q, k0, v0] = headsOf(b, op, operands, step);
  const [k, v] = [cacheOf(b, pastKey, k0, step), cacheOf(b, pastValue, v0, step)];
  const { y } = attend(b, {
    q,
    k: k.seen,
    v: v.seen,
    scale: floatAttr(op, "scale", 0) || 1 / Math.sqrt(dimOf(q, 3)),
    masks: [
      bias && slice(b, bias, 3, 0, step.total),
      maskOf(b, step, q, intAttr(op, "local_window_size", -1)),
    ],
    softcap: floatAttr(op, "softcap", 0),
    sink: sinkOf(b, op, sink, q),
  });
  return [joinHeads(b, y), k.present, v.present];
};

export const GROUP_QUERY: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.GroupQueryAttention": groupQuery,
};
