/**
 * raise-rope: rotary position embedding.
 *
 * Before: x · cos + concat(-x2, x1) · sin, where x1 and x2 are the halves of the last axis of x.
 * After: nn.rope. Rotations of a part of the axis keep the slices and the concatenation around it.
 */

import type { Op, Value } from "../src/ir/op.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { partOf } from "./raise/parts.ts";
import { argument, inPlaceOf, orders } from "./raise/patterns.ts";

/** x where v = concat(-x2, x1). */
function turned(graph: Graph, v: Value): Value | undefined {
  const concat = graph.producer(v, "onnx.Concat");
  const [second, first] = concat?.operands ?? [];
  const rank = v.type.shape.length;
  const width = v.type.shape.at(-1);
  const minus = second && argument(graph, second, "onnx.Neg");
  if (!concat || !first || !minus || typeof width !== "number") return undefined;
  const { axis } = concat.attrs;
  if (concat.operands.length !== 2 || (Number(axis) + rank) % rank !== rank - 1) return undefined;
  const [low, high] = [partOf(graph, first), partOf(graph, minus)];
  if (!low || !high || graph.strip(low.x) !== graph.strip(high.x)) return undefined;
  const half = width / 2;
  const halves = low.from === 0 && low.to === half && high.from === half && high.to === width;
  return halves && low.x.type.shape.at(-1) === width ? low.x : undefined;
}

/** The table that multiplies x, when v is such a product. */
function tableFor(graph: Graph, v: Value, x: Value): Value | undefined {
  const found = orders(graph.producer(v, "onnx.Mul")).find(
    ([a]) => graph.strip(a) === graph.strip(x),
  );
  return found?.[1];
}

const broadcasts = (table: Value, x: Value): boolean => {
  const shift = x.type.shape.length - table.type.shape.length;
  return shift >= 0 && table.type.shape.every((d, i) => d === 1 || d === x.type.shape[i + shift]);
};

function rope(op: Op, graph: Graph): readonly Op[] | null {
  if (op.kind !== "onnx.Add") return null;
  for (const [plain, rotated] of orders(op)) {
    for (const [turn, sin] of orders(graph.producer(rotated, "onnx.Mul"))) {
      const x = turned(graph, turn);
      const cos = x && tableFor(graph, plain, x);
      if (!x || !cos || x.type.shape.length !== 4) continue;
      if (!broadcasts(cos, x) || !broadcasts(sin, x)) continue;
      return [inPlaceOf(graph, op, "nn.rope", [x, cos, sin], { interleaved: false })];
    }
  }
  return null;
}

export const raiseRope: Pass = {
  name: "raise-rope",
  summary: "recognise rotary position embeddings",
  needs: ["raised"],
  gives: [],
  run: (module, { weights }) => raiseOps(module, weights, rope),
};
