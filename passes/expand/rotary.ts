/** Rotary position embedding in plain operators, as raise-rope knows it. */

import { floatAttr, intAttr } from "../../src/ir/attrs.ts";
import type { Value } from "../../src/ir/op.ts";
import { type Builder, cannot } from "./builder.ts";
import type { Expansion } from "./expansion.ts";
import {
  concat,
  countTo,
  dimOf,
  dimsOf,
  joinHeads,
  reshape,
  slice,
  split,
  splitHeads,
  unsqueeze,
} from "./write.ts";

export interface Tables {
  /** [B, S, R / 2] or what broadcasts to it; R is how much of the last axis turns. */
  readonly cos: Value;
  readonly sin: Value;
  readonly interleaved: boolean;
}

/** (-second half, first half) of the last axis; interleaved, the same of every pair. */
function turned(b: Builder, x: Value, interleaved: boolean): Value {
  const shape = dimsOf(x);
  const half = (shape.at(-1) ?? 0) / 2;
  const pairs = interleaved ? reshape(b, x, [...shape.slice(0, -1), half, 2]) : x;
  const last = pairs.type.shape.length - 1;
  const [first, second] = split(b, pairs, last, interleaved ? [1, 1] : [half, half]);
  if (!first || !second) throw new Error("a split in two gives two");
  const joined = concat(b, [b.op("Neg", [second]), first], last);
  return interleaved ? reshape(b, joined, shape) : joined;
}

/** A table of half the width, repeated to the whole, with an axis for the heads. */
function widened(b: Builder, table: Value, interleaved: boolean): Value {
  const shape = dimsOf(table);
  const last = shape.length - 1;
  if (!interleaved) return unsqueeze(b, concat(b, [table, table], last), 1);
  const pairs = unsqueeze(b, table, last + 1);
  const twice = concat(b, [pairs, pairs], last + 1);
  return unsqueeze(b, reshape(b, twice, [...shape.slice(0, -1), 2 * (shape[last] ?? 0)]), 1);
}

/** x is [B, H, S, D]; features beyond the width of the tables stay as they are. */
export function rotated(b: Builder, x: Value, { cos, sin, interleaved }: Tables): Value {
  const width = 2 * dimOf(cos, -1);
  const size = dimOf(x, 3);
  const part = slice(b, x, 3, 0, width);
  const straight = b.op("Mul", [part, widened(b, cos, interleaved)]);
  const across = b.op("Mul", [turned(b, part, interleaved), widened(b, sin, interleaved)]);
  const y = b.op("Add", [straight, across]);
  return width === size ? y : concat(b, [y, slice(b, x, 3, width, size)], 3);
}

/** Rows of a cache [positions, R / 2] for ids [B, S]. */
export const rowsAt = (b: Builder, cache: Value, ids: Value): Value =>
  b.op("Gather", [cache, ids], { axis: 0 });

/** [B, S, H · D] by its heads, rotated and put together again; four axes stay as they are. */
function onHeads(b: Builder, x: Value, heads: number, tables: Tables): Value {
  if (x.type.shape.length === 4) return rotated(b, x, tables);
  if (heads === 0) cannot("the number of heads is not given");
  return joinHeads(b, rotated(b, splitHeads(b, x, heads), tables));
}

/** ONNX's operator. Operands: x, cos cache, sin cache, position ids?. */
const rotaryEmbedding: Expansion = (b, op, [x, cosCache, sinCache, ids]) => {
  if (!cosCache || !sinCache) cannot("it has no tables");
  const width = intAttr(op, "rotary_embedding_dim", 0) / 2 || dimOf(cosCache, -1);
  const table = (cache: Value) => {
    const rows = ids ? rowsAt(b, cache, ids) : cache;
    return slice(b, rows, rows.type.shape.length - 1, 0, width);
  };
  const interleaved = intAttr(op, "interleaved", 0) !== 0;
  const tables = { cos: table(cosCache), sin: table(sinCache), interleaved };
  return [onHeads(b, x, intAttr(op, "num_heads", 0), tables)];
};

/** Positions [B, S] or, of one number, that number and those after it. */
function positions(b: Builder, given: Value, tokens: number): Value {
  if (given.type.shape.length === 2) return given;
  return b.op("Add", [reshape(b, given, [1, 1]), countTo(b, tokens, [1, tokens])]);
}

/** Microsoft's takes the ids second; a single one is where the first token stands. */
const microsoftRotary: Expansion = (b, op, [x, given, cosCache, sinCache]) => {
  if (!given || !cosCache || !sinCache) cannot("it has no tables");
  if (intAttr(op, "is_packed_batching", 0) !== 0) cannot("packed batches are not supported");
  if (floatAttr(op, "scale", 1) !== 1) cannot("a scale other than 1 is not supported");
  const four = x.type.shape.length === 4;
  const ids = positions(b, given, dimOf(x, four ? 2 : 1));
  const width = intAttr(op, "rotary_embedding_dim", 0) / 2 || dimOf(cosCache, -1);
  const table = (cache: Value) => rowsAt(b, slice(b, cache, 1, 0, width), ids);
  const interleaved = intAttr(op, "interleaved", 0) !== 0;
  const heads = intAttr(op, "num_heads", 0) || (four ? 1 : dimOf(x, 2) / (2 * width));
  const tables = { cos: table(cosCache), sin: table(sinCache), interleaved };
  return [onHeads(b, x, heads, tables)];
};

export const ROTARY: Readonly<Record<string, Expansion>> = {
  "onnx.RotaryEmbedding": rotaryEmbedding,
  "onnx.com.microsoft.RotaryEmbedding": microsoftRotary,
};
