/** Parts of the last axis of a value, however they are cut out. */

import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Graph } from "./graph.ts";

/** A part of the last axis of a value. */
export interface Part {
  readonly x: Value;
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

function listOf(graph: Graph, v: Value | null | undefined): readonly number[] | undefined {
  const values = v ? graph.values(v) : undefined;
  return values && toNumbers(values);
}

function sliced(graph: Graph, op: Op): Part | undefined {
  const [x, ...where] = op.operands;
  const [[from = 0] = [], [to = 0] = [], [axis = 0] = [], [step = 1] = []] = where.map((v) =>
    listOf(graph, v),
  );
  const rank = x?.type.shape.length ?? 0;
  const width = x?.type.shape.at(-1);
  if (!x || typeof width !== "number" || listOf(graph, where[1])?.length !== 1) return undefined;
  if ((axis + rank) % rank !== rank - 1 || step < 1) return undefined;
  const inside = (i: number) => Math.min(i < 0 ? Math.max(i + width, 0) : i, width);
  return { x, from: inside(from), to: inside(to), step };
}

function halved(op: Op, v: Value): Part | undefined {
  const [x] = op.operands;
  const rank = x?.type.shape.length ?? 0;
  const { axis = 0 } = op.attrs;
  if (!x || (Number(axis) + rank) % rank !== rank - 1) return undefined;
  const index = op.results.indexOf(v);
  const widths = op.results.map((r) => r.type.shape.at(-1) ?? 0);
  const from = widths.slice(0, index).reduce((a, b) => a + b, 0);
  return { x, from, to: from + (widths[index] ?? 0), step: 1 };
}

/** The part of x that v is, cut by Slice or Split. */
export function partOf(graph: Graph, v: Value): Part | undefined {
  const op = graph.producer(v);
  if (op?.kind === "onnx.Slice") return sliced(graph, op);
  return op?.kind === "onnx.Split" ? halved(op, graph.strip(v)) : undefined;
}
