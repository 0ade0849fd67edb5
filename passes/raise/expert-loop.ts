/**
 * The loop over experts as PyTorch's exporter unrolls it: for every expert the (slot, token) pairs that
 * chose it, the network on those rows, their weights, and the sum scattered back.
 */

import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { unshaped } from "./experts.ts";
import type { Graph } from "./graph.ts";
import { orders } from "./patterns.ts";

/** One term of the sum. */
export interface Term {
  readonly expert: number;
  /** What the expert computes for the rows that chose it. */
  readonly output: Value;
  /** Weights of the router, [T, K]. */
  readonly weights: Value;
  /** The indices of the chosen experts, [T, K]. */
  readonly indices: Value;
  /** Tells the rows that the expert reads: X [.., T, H] where v gathers the tokens of X. */
  gatheredFrom(v: Value): Value | undefined;
}

const isZero = (graph: Graph, v: Value): boolean => {
  const values = graph.values(v);
  return values !== undefined && toNumbers(values).every((n) => n === 0);
};

/** The addends of a sum of sums. */
export function addends(graph: Graph, op: Op): readonly Value[] {
  return op.operands.flatMap((v) => {
    if (!v) return [];
    const inner = graph.producer(v);
    const isSum = inner?.kind === "onnx.Add" || inner?.kind === "nn.residual";
    return isSum ? addends(graph, inner) : [v];
  });
}

/** The row of NonZero's result that a value holds. */
interface Coordinates {
  readonly nonZero: Op;
  readonly row: number;
}

function coordinates(graph: Graph, v: Value): Coordinates | undefined {
  const rows = unshaped(graph, v);
  const split = graph.producer(rows, "onnx.Split");
  const transpose = graph.producer(split?.operands[0], "onnx.Transpose");
  const nonZero = graph.producer(transpose?.operands[0], "onnx.NonZero");
  if (!split || !nonZero || Number(split.attrs["axis"] ?? 0) !== 1) return undefined;
  return { nonZero, row: split.results.indexOf(rows) };
}

/** Which expert's pairs NonZero lists, out of the one-hot indices as [E, K, T]. */
function chosenBy(graph: Graph, nonZero: Op) {
  const cast = graph.producer(nonZero.operands[0], "onnx.Cast");
  const of = cast?.operands[0] ?? nonZero.operands[0];
  const pick = of ? graph.producer(unshaped(graph, of), "onnx.Gather") : undefined;
  const [flipped, index] = pick?.operands ?? [];
  const expert = graph.scalar(index);
  const transpose = graph.producer(flipped, "onnx.Transpose");
  const oneHot = graph.producer(transpose?.operands[0], "onnx.OneHot");
  const [indices, , values] = oneHot?.operands ?? [];
  const offOn = values ? graph.values(values) : undefined;
  if (!pick || !transpose || !oneHot || !indices || !offOn || expert === undefined)
    return undefined;
  const perm = String(transpose.attrs["perm"]) === "2,1,0";
  const plain = toNumbers(offOn).join() === "0,1" && Number(oneHot.attrs["axis"] ?? -1) === -1;
  const first = Number(pick.attrs["axis"] ?? 0) === 0;
  return perm && plain && first ? { expert, indices } : undefined;
}

/** The router's weights where v gathers, from them flattened, the entries token · K + slot. */
function gatheredWeights(graph: Graph, v: Value, nonZero: Op): Value | undefined {
  const gather = graph.producer(unshaped(graph, v), "onnx.Gather");
  const [flat, at] = gather?.operands ?? [];
  if (!gather || !flat || Number(gather.attrs["axis"] ?? 0) !== 0) return undefined;
  const weights = unshaped(graph, flat);
  const slots = weights.type.shape[1];
  if (flat.type.shape.length > 1 && flat.type.shape[1] !== 1) return undefined;
  const isRow = (x: Value, row: number): boolean => {
    const found = coordinates(graph, x);
    return found?.nonZero === nonZero && found.row === row;
  };
  for (const [slot, scaled] of orders(graph.producer(at, "onnx.Add"))) {
    for (const [token, k] of orders(graph.producer(scaled, "onnx.Mul"))) {
      if (isRow(slot, 0) && isRow(token, 1) && graph.scalar(k) === slots) return weights;
    }
  }
  return undefined;
}

/** X where v holds the rows of X that the pairs name; X is [T, H] or [1, T, H]. */
function gatheredRows(graph: Graph, v: Value, nonZero: Op): Value | undefined {
  const gather = graph.producer(unshaped(graph, v), "onnx.Gather");
  const [x, at] = gather?.operands ?? [];
  if (!gather || !x || !at) return undefined;
  const tokenAxis = x.type.shape.length - 2;
  if (Number(gather.attrs["axis"] ?? 0) !== tokenAxis) return undefined;
  if (tokenAxis > 1 || (tokenAxis === 1 && x.type.shape[0] !== 1)) return undefined;
  const found = coordinates(graph, at);
  return found?.nonZero === nonZero && found.row === 1 ? x : undefined;
}

/** Null when v is not one expert's share of the sum. */
export function termOf(graph: Graph, v: Value): Term | null {
  const scatter = graph.producer(v, "onnx.ScatterElements");
  const [base, at, updates] = scatter?.operands ?? [];
  const { axis = 0, reduction = "none" } = scatter?.attrs ?? {};
  if (!base || !at || !updates || axis !== 0 || !isZero(graph, base)) return null;
  if (reduction !== "none" && reduction !== "add") return null;
  const tokens = coordinates(graph, at);
  const choice = tokens?.row === 1 ? chosenBy(graph, tokens.nonZero) : undefined;
  if (!tokens || !choice) return null;
  const { nonZero } = tokens;
  for (const [output, w] of orders(graph.producer(unshaped(graph, updates), "onnx.Mul"))) {
    const weights = gatheredWeights(graph, w, nonZero);
    if (!weights) continue;
    return { ...choice, output, weights, gatheredFrom: (x) => gatheredRows(graph, x, nonZero) };
  }
  return null;
}
