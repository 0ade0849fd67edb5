/** Looking rows up in a table. */

import { ALL, point } from "../../access.ts";
import type { OpDef } from "../../define.ts";

const embedding: OpDef = {
  kind: "nn.embedding",
  levels: ["nn", "aimc"],
  doc: "The row of the table [N, D] for every id. Ids below zero count from the end.",
  operands: ["table", "ids"],
  results: ["y"],
  attrs: {},
  *verify(op) {
    const [table, ids] = op.operands;
    if (table && table.type.shape.length !== 2) yield "the table must be [N, D]";
    if (ids && !/^i(32|64)$/.test(ids.type.elem)) yield "ids must be i32 or i64";
  },
  infer(op, [table, ids]) {
    if (!table || !ids) return op.results.map((r) => r.type);
    const shape = [...ids.type.shape, table.type.shape[1] ?? null];
    return [{ elem: table.type.elem, shape }];
  },
  access(op) {
    const rank = op.results[0]?.type.shape.length ?? 1;
    const ids = op.operands[1]?.type.shape.map((_, i) => point(i)) ?? [];
    return [[ALL, point(rank - 1)], ids];
  },
  toOnnx(_, graph, inputs, outputs) {
    graph.node("Gather", inputs, { axis: { int: 0 } }, { outputs });
  },
};

export const EMBEDDING_OPS: readonly OpDef[] = [embedding];
