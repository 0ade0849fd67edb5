/** What the samples say about the input of a grid. */

import type { Module, Op, Value } from "../../src/ir/op.ts";
import { producersOf } from "../../src/ir/rewrite.ts";
import { sizeOf } from "../../src/tensor/tensor.ts";
import type { PassContext } from "../pass.ts";

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

/** The value that holds the same elements in the same order and that the original model can show. */
export function observable(value: Value, producers: ReadonlyMap<Value, Op>): Value | null {
  for (let v: Value | null = value; v; ) {
    if (v.tensor !== undefined) return v;
    const op = producers.get(v);
    v = op && SAME_ORDER.includes(op.kind) ? (op.operands[0] ?? null) : null;
  }
  return null;
}

/**
 * Calls `use` for every op with the samples of its input, or with none when it cannot be observed. The samples of
 * several inputs are taken in one run of the original model, as many as fit in memory.
 */
export async function observeInputs(
  module: Module,
  ops: readonly Op[],
  context: PassContext,
  use: (op: Op, samples: readonly Float32Array[]) => void,
): Promise<void> {
  const producers = producersOf(module);
  const shown = new Map(
    ops.map((op) => [op, op.operands[0] ? observable(op.operands[0], producers) : null]),
  );
  for (const batch of batches([...new Set(shown.values())].filter((v) => v !== null))) {
    const samples = await context.observe(batch);
    for (const op of ops) {
      const value = shown.get(op);
      if (value && batch.includes(value)) use(op, samples.get(value) ?? []);
    }
  }
  for (const op of ops) if (!shown.get(op)) use(op, []);
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
