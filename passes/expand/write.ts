/** The sentences of expansions: one function for each operation that they write often. */

import type { Value } from "../../src/ir/op.ts";
import type { Elem } from "../../src/tensor/tensor.ts";
import { type Builder, cannot } from "./builder.ts";

/** The dimensions of a value. Those that depend on data cannot be written into reshapes. */
export const dimsOf = (v: Value): readonly number[] =>
  v.type.shape.map((d) => d ?? cannot(`a dimension of '${v.tensor ?? v.id}' depends on data`));

export const dimOf = (v: Value, axis: number): number => dimsOf(v).at(axis) ?? 1;

export const elemOf = (v: Value): Elem => v.type.elem;

export const add = (b: Builder, x: Value, y: Value | null | undefined): Value =>
  y ? b.op("Add", [x, y]) : x;

export const scaled = (b: Builder, x: Value, by: number): Value =>
  by === 1 ? x : b.op("Mul", [x, b.number(elemOf(x), by)]);

/** An empty dimension is 0 here, never "as before". */
export const reshape = (b: Builder, x: Value, shape: readonly number[]): Value =>
  b.op("Reshape", [x, b.ints(shape)], shape.includes(0) ? { allowzero: 1 } : {});

export const transpose = (b: Builder, x: Value, perm: readonly number[]): Value =>
  b.op("Transpose", [x], { perm });

export const unsqueeze = (b: Builder, x: Value, ...axes: readonly number[]): Value =>
  b.op("Unsqueeze", [x, b.ints(axes)]);

/** Indices from ..< to of one axis. */
export const slice = (b: Builder, x: Value, axis: number, from: number, to: number): Value =>
  from === 0 && to === dimOf(x, axis)
    ? x
    : b.op("Slice", [x, b.ints([from]), b.ints([to]), b.ints([axis])]);

export const concat = (b: Builder, parts: readonly Value[], axis: number): Value =>
  b.op("Concat", parts, { axis });

export const split = (b: Builder, x: Value, axis: number, sizes: readonly number[]): Value[] =>
  b.several("Split", [x, b.ints(sizes)], sizes.length, { axis });

/** Both matrices' last two axes: a · bᵀ. */
export function flipped(b: Builder, x: Value): Value {
  const axes = x.type.shape.map((_, i) => i);
  return transpose(b, x, [...axes.slice(0, -2), ...axes.slice(-2).toReversed()]);
}

/** [B, S, H · D] as [B, H, S, D]. */
export function splitHeads(b: Builder, x: Value, heads: number): Value {
  const [batch = 1, tokens = 1, hidden = 1] = dimsOf(x);
  if (hidden % heads !== 0) cannot(`${hidden} features do not divide by ${heads} heads`);
  return transpose(b, reshape(b, x, [batch, tokens, heads, hidden / heads]), [0, 2, 1, 3]);
}

/** [B, H, S, D] as [B, S, H · D]. */
export function joinHeads(b: Builder, x: Value): Value {
  const [batch = 1, heads = 1, tokens = 1, depth = 1] = dimsOf(x);
  return reshape(b, transpose(b, x, [0, 2, 1, 3]), [batch, tokens, heads * depth]);
}

/** 0, 1, …, length - 1 as i64. */
export const countTo = (b: Builder, length: number, shape: readonly number[] = [length]): Value =>
  b.ints(
    Array.from({ length }, (_, i) => i),
    shape,
  );

/** ONNX's numbers for the element types of casts that expansions write. */
const CODES: Partial<Record<Elem, number>> = { f32: 1, ui8: 2, i32: 6, i64: 7, f16: 10 };

export const castTo = (b: Builder, x: Value, elem: Elem): Value =>
  x.type.elem === elem
    ? x
    : b.op("Cast", [x], { to: CODES[elem] ?? cannot(`${elem} is not supported`) });
