/** What the samples say about the inputs of grids. */

import type { Module, Op, Value } from "../../src/ir/op.ts";
import { producersOf } from "../../src/ir/rewrite.ts";
import { sizeOf, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import type { PassContext } from "../pass.ts";
import { arranged, arrangement } from "./arrangement.ts";
import { sampledRows } from "./ranges.ts";
import { replay, rowRecipe } from "./replay.ts";

/** Kinds that keep their first operand's elements in row-major order. */
const SAME_ORDER = [
  "onnx.Reshape",
  "onnx.Flatten",
  "onnx.Squeeze",
  "onnx.Unsqueeze",
  "onnx.Identity",
];

/** Float32 values held at once while observing: 256 MiB. */
const AT_ONCE = 1 << 26;

/** Rows of one sample that are computed again; they also have to show the largest input. */
const RECOMPUTED = 256;

/** The value that holds the same elements in the same order and that the original model can show. */
function observable(value: Value, producers: ReadonlyMap<Value, Op>): Value | null {
  for (let v: Value | null = value; v; ) {
    if (v.tensor !== undefined) return v;
    const op = producers.get(v);
    v = op && SAME_ORDER.includes(op.kind) ? (op.operands[0] ?? null) : null;
  }
  return null;
}

/**
 * Calls `use` for every op with the samples of its input, or with none when it cannot be known. The samples
 * of several inputs are taken in one run of the original model, as many as fit in memory.
 */
export async function observeInputs(
  module: Module,
  ops: readonly Op[],
  context: PassContext,
  use: (op: Op, samples: readonly Float32Array[]) => void,
): Promise<void> {
  const producers = producersOf(module);
  const shown = new Map(ops.map((op) => [op, observable(inputOf(op), producers)]));
  const unseen = new Set(ops);
  for (const batch of batches([...new Set(shown.values())].filter((v) => v !== null))) {
    const samples = await context.observe(batch);
    for (const op of ops) {
      const seen = samples.get(shown.get(op) ?? inputOf(op)) ?? [];
      if (seen.length > 0 && unseen.delete(op)) use(op, seen);
    }
  }
  for (const [op, rows] of await recompute([...unseen], producers, context)) {
    unseen.delete(op);
    use(op, [rows]);
  }
  for (const [op, samples] of await rearranged([...unseen], producers, context)) {
    unseen.delete(op);
    use(op, samples);
  }
  for (const op of unseen) use(op, []);
}

/** Whole inputs that are rearranged or requantised from values of the original model, sample by sample. */
async function rearranged(
  ops: readonly Op[],
  producers: ReadonlyMap<Value, Op>,
  context: PassContext,
): Promise<ReadonlyMap<Op, readonly Float32Array[]>> {
  const isShown = (v: Value) => observable(v, producers) !== null;
  const computed = new Map<Op, readonly Float32Array[]>();
  for (const op of ops) {
    const found = arrangement(inputOf(op), producers, isShown);
    if (!found) continue;
    const shown = found.from.map((v) => observable(v, producers) ?? v);
    const seen = await context.observe(shown);
    const count = Math.min(...shown.map((v) => seen.get(v)?.length ?? 0));
    const samples = Array.from({ length: count }, (_, s) => {
      const given = found.from.map((v, i) => [v, seen.get(shown[i] ?? v)?.[s]] as const);
      return arranged(inputOf(op), found.ops, new Map(given), producers, context.weights);
    });
    const known = samples.filter((s) => s !== null);
    if (known.length > 0) computed.set(op, known);
  }
  return computed;
}

function inputOf(op: Op): Value {
  const [x] = op.operands;
  if (!x) throw new Error(`${op.kind} has no input`);
  return x;
}

/** Some rows of each input that can be computed from values of the original model. */
async function recompute(
  ops: readonly Op[],
  producers: ReadonlyMap<Value, Op>,
  context: PassContext,
): Promise<ReadonlyMap<Op, Float32Array>> {
  const isShown = (v: Value) => observable(v, producers) !== null;
  const recipes = new Map(ops.map((op) => [op, rowRecipe(inputOf(op), producers, isShown)]));
  const sources = [...new Set([...recipes.values()].flatMap((r) => r?.from ?? []))];
  const rows = await someRows(sources, producers, context);
  const computed = new Map<Op, Float32Array>();
  for (const [op, found] of recipes) {
    if (!found?.from.every((v) => rows.has(v))) continue;
    const given = new Map(found.from.map((v) => [v, rows.get(v) as Tensor]));
    const values = replay(inputOf(op), found.ops, given, producers, context.weights);
    if (values) computed.set(op, values);
  }
  return computed;
}

/** [n, width] of each value: evenly spaced rows of every sample. */
async function someRows(
  values: readonly Value[],
  producers: ReadonlyMap<Value, Op>,
  context: PassContext,
): Promise<ReadonlyMap<Value, Tensor>> {
  const rows = new Map<Value, Tensor>();
  for (const batch of batches(values)) {
    const shown = batch.map((v) => observable(v, producers) ?? v);
    const samples = await context.observe(shown);
    for (const [i, v] of batch.entries()) {
      const width = v.type.shape.at(-1) ?? 1;
      const taken = sampledRows(samples.get(shown[i] ?? v) ?? [], width, RECOMPUTED);
      if (taken.length === 0) continue;
      const data = new Float32Array(taken.length * width);
      for (const [t, row] of taken.entries()) data.set(row, t * width);
      rows.set(v, tensor("f32", [taken.length, width], data));
    }
  }
  return rows;
}

function batches(values: readonly Value[]): readonly (readonly Value[])[] {
  const lists: Value[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const v of values) {
    const size = sizeOf(v.type.shape.map((d) => d ?? 1));
    if (held + size > AT_ONCE) {
      lists.push([]);
      held = 0;
    }
    lists.at(-1)?.push(v);
    held += size;
  }
  return lists;
}
