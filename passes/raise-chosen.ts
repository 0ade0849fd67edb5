/**
 * raise-chosen: loops over experts that are no whole mixture, as quantised ones: what they compute on the rows that
 * chose an expert becomes the same on all rows, of which only those count.
 *
 * Before: NonZero of one expert's part of one-hot indices, rows gathered by it, a network, ScatterElements.
 * After: the network on all rows, with nn.linear skipping rows that chose another expert, and Where in place of the
 *   scatter. Routers stay as they are, whatever they round.
 * Why after raise-moe: what is a whole mixture reads better as one. Why at all: shapes that depend on data have no
 *   schedule of blocks and no machine code.
 */

import type { Op, Value } from "../src/ir/op.ts";
import type { Pass } from "./pass.ts";
import { onAllRows, regionOf } from "./raise/dense-rows.ts";
import { chosenBy, coordinates } from "./raise/expert-loop.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { axisOf } from "./raise/patterns.ts";
import { delivered } from "./raise/product.ts";

/** For every list of chosen experts, who chose whom: [T, E]. */
type Members = Map<Value, Value>;

/** The rows of one expert that a scatter writes. */
function scattered(op: Op, graph: Graph) {
  const [base, at, updates] = op.operands;
  if (op.kind !== "onnx.ScatterElements" || !base || !at || !updates || axisOf(op) !== 0)
    return null;
  const place = coordinates(graph, at);
  const choice = place?.row === 1 ? chosenBy(graph, place.nonZero) : undefined;
  const [tokens, width, ...more] = base.type.shape;
  if (!place || !choice || !tokens || !width || more.length > 0) return null;
  const { indices } = choice;
  // No token chooses an expert twice, so that every row is written once at most.
  const topK = graph.producer(indices, "onnx.TopK");
  const isList = indices.type.shape.length === 2 && indices.type.shape[0] === tokens;
  if (!isList || topK?.results[1] !== graph.strip(indices)) return null;
  return { base, updates, tokens, nonZero: place.nonZero, ...choice };
}

function onAll(op: Op, graph: Graph, members: Members): readonly Op[] | null {
  const { reduction = "none" } = op.attrs;
  const found = scattered(op, graph);
  const region = found && regionOf(graph, found.nonZero);
  const [hot] = found?.oneHot.results ?? [];
  if (!found || !region || !hot || region.has(found.base)) return null;
  if (reduction !== "none" && reduction !== "add") return null;
  const { base, updates, indices, expert } = found;
  const b = graph.builder(op);
  const all =
    members.get(hot) ??
    b.op("ReduceSum", [b.op("Cast", [hot], { to: FLOAT }), b.ints([1])], { keepdims: 0 });
  const column = b.op("Gather", [all, b.ints([expert])], { axis: 1 });
  const isChosen = b.op("Cast", [column], { to: BOOL });
  const slots = b.op("Equal", [indices, b.number(indices.type.elem, expert)]);
  const copies = new Map<Value, Value | null>();
  const chosen = { ...found, graph, b, isChosen, slots, members: all, region, copies };
  const rows = onAllRows(chosen, updates);
  if (rows?.type.shape.join() !== base.type.shape.join()) return null;
  members.set(hot, all);
  const zero = b.number(rows.type.elem, 0);
  const result =
    reduction === "none"
      ? b.op("Where", [isChosen, rows, base])
      : b.op("Add", [base, b.op("Where", [isChosen, rows, zero])]);
  return delivered(b, result, op);
}

/** ONNX's numbers of element types. */
const [FLOAT, BOOL] = [1, 9];

export const raiseChosen: Pass = {
  name: "raise-chosen",
  summary: "compute what only chosen rows need on all rows",
  needs: ["raised"],
  gives: [],
  run(module, context) {
    const members: Members = new Map();
    return raiseOps(module, context, (op, graph) => onAll(op, graph, members));
  },
};
