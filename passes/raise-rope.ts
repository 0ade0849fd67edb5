/**
 * raise-rope: rotary position embedding.
 *
 * Before: x · cos + turned(x) · sin, where turned gives [-x2, x1] of the two halves of the last axis of x
 *   or of its neighbours; or x1 · cos - x2 · sin and x2 · cos + x1 · sin put together, with tables of half
 *   the width.
 * After: nn.rope. Rotations of a part of the axis keep the slices and the concatenation around it.
 */

import type { Op, Value } from "../src/ir/op.ts";
import type { Builder } from "./expand/builder.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { difference, inPlaceOf, negated, orders, same } from "./raise/patterns.ts";
import { delivered } from "./raise/product.ts";
import { type Component, componentOf, joined } from "./raise/rotations.ts";

/** Why [-b, a] turns no pairs of what nn.rope takes. Sums with it are residual sums, so that it has to tell. */
function nearly(op: Op, graph: Graph): null {
  const [turn] = op.results;
  const both = turn && joined(graph, turn);
  if (!turn || !both || !negated(graph, both.parts[0])) return null;
  const found = turned(graph, turn);
  if (found) return isWhole(found.x) ? null : refused(graph, found.x);
  const why = "what is negated and put before the rest is not the second feature of every pair";
  return graph.refuse(NAME, why, op);
}

/** x where v holds, for every pair (x1, x2) of x, the pair (-x2, x1). */
function turned(graph: Graph, v: Value): Component | undefined {
  const both = joined(graph, v);
  const minus = both && negated(graph, both.parts[0]);
  const first = both && componentOf(graph, both.parts[1]);
  const second = minus && componentOf(graph, minus);
  if (!both || both.rest.length > 0 || !first || !second || !isPair(graph, first, second))
    return undefined;
  return both.interleaved === first.interleaved ? first : undefined;
}

const isPair = (graph: Graph, a: Component, b: Component): boolean =>
  a.index === 0 &&
  b.index === 1 &&
  a.interleaved === b.interleaved &&
  graph.strip(a.x) === graph.strip(b.x);

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

/** nn.rope takes [B, H, S, D]. */
const isWhole = (x: Value): boolean => x.type.shape.length === 4;

const shown = (v: Value): string => `[${v.type.shape.map(String).join(", ")}]`;

/** Why nn.rope does not take x with these tables. */
function refused(graph: Graph, x: Value, ...tables: readonly Value[]): null {
  if (!isWhole(x)) return graph.refuse(NAME, `what it turns, ${shown(x)}, is not [B, H, S, D]`, x);
  const [table] = tables.filter((t) => !broadcasts(t, x));
  const why = `its table ${table ? shown(table) : ""} does not broadcast to ${shown(x)}`;
  return graph.refuse(NAME, why, ...tables);
}

const fits = (x: Value, ...tables: readonly Value[]): boolean =>
  isWhole(x) && tables.every((t) => broadcasts(t, x));

const NAME = "rotary position embedding";

function whole(op: Op, graph: Graph): readonly Op[] | null {
  for (const [plain, rotated] of orders(op)) {
    for (const [turn, sin] of orders(graph.producer(rotated, "onnx.Mul"))) {
      const found = turned(graph, turn);
      const cos = found && tableFor(graph, plain, found.x);
      if (!found || !cos) continue;
      const { x, interleaved } = found;
      if (!fits(x, cos, sin)) continue;
      return [inPlaceOf(graph, op, "nn.rope", [x, cos, sin], { interleaved })];
    }
  }
  return null;
}

/** A feature of every pair times a table of half the width. */
interface Factor {
  readonly feature: Component;
  readonly table: Value;
}

function factorOf(graph: Graph, v: Value | null | undefined): Factor | undefined {
  for (const [a, table] of orders(graph.producer(v, "onnx.Mul"))) {
    const feature = componentOf(graph, a);
    if (feature) return { feature, table };
  }
  return undefined;
}

/** x1 · cos - x2 · sin, and x2 · cos + x1 · sin. */
function rotationOf(graph: Graph, low: Value, high: Value) {
  const [x1c, x2s] = (difference(graph, low) ?? []).map((v) => factorOf(graph, v));
  if (!x1c || !x2s || !isPair(graph, x1c.feature, x2s.feature)) return undefined;
  for (const [a, b] of orders(graph.producer(high, "onnx.Add"))) {
    const [x2c, x1s] = [factorOf(graph, a), factorOf(graph, b)];
    if (!x2c || !x1s || !isPair(graph, x1s.feature, x2c.feature)) continue;
    const sameX = graph.strip(x1s.feature.x) === graph.strip(x1c.feature.x);
    const sameTables = same(graph, x1c.table, x2c.table) && same(graph, x2s.table, x1s.table);
    if (!sameX || !sameTables || x1s.feature.interleaved !== x1c.feature.interleaved) continue;
    return { x: x1c.feature.x, cos: x1c.table, sin: x2s.table, of: x1c.feature };
  }
  return undefined;
}

/** A table of half the width, for both features of each pair; an axis of one may follow it already. */
function widened(b: Builder, table: Value, width: number, interleaved: boolean): Value | null {
  const own = table.type.shape.map(Number);
  const shape = own.at(-1) === 1 && own.at(-2) === width / 2 ? own.slice(0, -1) : own;
  if (shape.at(-1) !== width / 2) return null;
  const wide = [...shape.slice(0, -1), width];
  if (!interleaved) {
    const flat = b.op("Reshape", [table, b.ints(shape)]);
    return b.op("Concat", [flat, flat], { axis: -1 });
  }
  const column = b.op("Reshape", [table, b.ints([...shape, 1])]);
  return b.op("Reshape", [b.op("Concat", [column, column], { axis: -1 }), b.ints(wide)]);
}

/** The two features of every pair, turned one by one; features that are not turned may follow. */
function inParts(op: Op, graph: Graph): readonly Op[] | null {
  const [result] = op.results;
  const both = result && joined(graph, result);
  const found = both && rotationOf(graph, ...both.parts);
  if (!result || !both || !found || found.of.interleaved !== both.interleaved) return null;
  const { x, cos, sin } = found;
  const width = Number(x.type.shape.at(-1));
  const b = graph.builder(op);
  const tables = [cos, sin].map((t) => widened(b, t, width, both.interleaved));
  const [c, s] = tables;
  if (!c || !s) {
    return graph.refuse(NAME, `its tables are not half as wide as the ${width} features`, cos, sin);
  }
  if (!fits(x, c, s)) return refused(graph, x, c, s);
  const rotated = graph.fresh(`${result.id}_rotated`, x.type);
  const attrs = { interleaved: both.interleaved };
  const rope = inPlaceOf(graph, { ...op, results: [rotated] }, "nn.rope", [x, c, s], attrs);
  b.ops.push({ ...rope, origin: op.origin });
  const { axis } = op.attrs;
  const last =
    both.rest.length > 0 ? b.op("Concat", [rotated, ...both.rest], { axis: axis ?? -1 }) : rotated;
  return delivered(b, last, op);
}

export const raiseRope: Pass = {
  name: "raise-rope",
  summary: "recognise rotary position embeddings",
  needs: ["raised"],
  gives: [],
  run: (module, context) =>
    raiseOps(module, context, (op, graph) => {
      if (op.kind === "onnx.Add") return whole(op, graph);
      const isJoined = op.kind === "onnx.Concat" || op.kind === "onnx.Reshape";
      return isJoined ? (inParts(op, graph) ?? nearly(op, graph)) : null;
    }),
};
