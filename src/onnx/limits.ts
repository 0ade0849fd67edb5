/** Which integer inputs index a table, and how long the tables are. */

import type { Module, Op, Value } from "../ir/op.ts";

/** Operations that pass indices on unchanged. */
const TRANSPARENT = new Set(
  ["Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"].map((name) => `onnx.${name}`),
);

/** For each input that indexes rows of constants: values must lie in [0, below). */
export function indexLimits(module: Module): ReadonlyMap<string, { readonly below: number }> {
  const origin = new Map<Value, string>(module.inputs.map((p) => [p.value, p.name]));
  const limits = new Map<string, { below: number }>();
  const constants = new Set<Value>(
    module.ops.filter((op) => op.kind === "onnx.Constant").flatMap((op) => op.results),
  );
  const nameOf = (v: Value | null | undefined): string | undefined =>
    v ? origin.get(v) : undefined;
  for (const op of module.ops) {
    const [first, second] = op.operands;
    const source = nameOf(first);
    if (source && TRANSPARENT.has(op.kind)) for (const r of op.results) origin.set(r, source);
    const input = nameOf(second);
    const rows = first && constants.has(first) ? rowsOf(op, first) : null;
    if (!input || rows === null) continue;
    limits.set(input, { below: Math.min(rows, limits.get(input)?.below ?? rows) });
  }
  return limits;
}

/** Number of rows when the operation picks rows of this table. */
function rowsOf(op: Op, table: Value): number | null {
  const picksRows = op.kind === "onnx.Gather" && (op.attrs["axis"] ?? 0) === 0;
  return picksRows ? (table.type.shape[0] ?? null) : null;
}
