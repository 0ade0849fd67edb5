/**
 * The loop over experts as PyTorch's exporter unrolls it: for every expert the (slot, token) pairs that
 * chose it, the network on those rows, their weights, and the sum scattered back.
 */

import type { Op, Value, WeightRef } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { unshaped } from "./experts.ts";
import type { Graph } from "./graph.ts";
import { axisOf, orders, withScalar } from "./patterns.ts";

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

const isSum = (op: Op): boolean => op.kind === "onnx.Add" || op.kind === "nn.residual";

const isAddingScatter = (op: Op): boolean =>
  op.kind === "onnx.ScatterElements" && op.attrs["reduction"] === "add";

/**
 * The shares of a running sum, which scatters may add to, zeros aside; null when it adds up anything else.
 * The nearest addends are looked at first: most sums end with something that is no share, and a chain of
 * thousands of them is not to be walked to its end from each.
 */
export function termsOf(graph: Graph, sum: Op): readonly Term[] | null {
  const terms: Term[] = [];
  const sums = new Set([sum]);
  for (const op of sums) {
    const { inner, leaves } = addends(graph, op);
    const found = leaves.map((leaf) => termOf(graph, leaf)).filter((t) => t !== null);
    const isTwice = inner.some((s, i) => sums.has(s) || inner.indexOf(s) !== i);
    if (found.length < leaves.length || isTwice) return null;
    terms.push(...found);
    for (const s of inner) sums.add(s);
  }
  return terms;
}

/** What one sum adds up: other sums, and what is none. */
function addends(graph: Graph, op: Op) {
  const inner: Op[] = [];
  const leaves: (Value | Op)[] = isSum(op) ? [] : [op];
  for (const v of isSum(op) ? op.operands : op.operands.slice(0, 1)) {
    const producer = graph.producer(v);
    if (producer && (isSum(producer) || isAddingScatter(producer))) inner.push(producer);
    else if (v && !isZero(graph, v)) leaves.push(v);
  }
  return { inner, leaves };
}

/** A constant of zeros, or x · 0 as exporters write it. */
export function isZero(graph: Graph, v: Value): boolean {
  if (withScalar(graph, v, "onnx.Mul")?.scalar === 0) return true;
  const constant = graph.constant(v);
  if (!constant) return false;
  const known = zeros.get(constant);
  if (known !== undefined) return known;
  const values = graph.values(v);
  const found = values !== undefined && toNumbers(values).every((n) => n === 0);
  zeros.set(constant, found);
  return found;
}

/** What a sum begins with is as large as its result, and is asked for at each of hundreds of terms. */
const zeros = new WeakMap<Tensor | WeightRef, boolean>();

/** The row of NonZero's result that a value holds. */
interface Coordinates {
  readonly nonZero: Op;
  readonly row: number;
}

export function coordinates(graph: Graph, v: Value): Coordinates | undefined {
  const rows = unturned(graph, unshaped(graph, v));
  const picked = graph.producer(rows, "onnx.Gather");
  const listed = graph.producer(picked?.operands[0], "onnx.NonZero");
  const row = graph.scalar(picked?.operands[1]);
  if (picked && listed && row !== undefined && axisOf(picked) === 0) {
    return { nonZero: listed, row };
  }
  const split = graph.producer(rows, "onnx.Split");
  if (!split) return undefined;
  const transpose = graph.producer(split.operands[0], "onnx.Transpose");
  const nonZero = graph.producer((transpose ?? split).operands[0], "onnx.NonZero");
  if (!nonZero || axisOf(split) !== (transpose ? 1 : 0)) return undefined;
  return { nonZero, row: split.results.indexOf(rows) };
}

/** The row [1, P] where a value is that row as a column: ONNX Runtime splits before it transposes. */
function unturned(graph: Graph, v: Value): Value {
  const transpose = graph.producer(v, "onnx.Transpose");
  const [row] = transpose?.operands ?? [];
  return row?.type.shape.length === 2 && row.type.shape[0] === 1 ? unshaped(graph, row) : v;
}

/** Which expert's pairs NonZero lists, out of the one-hot indices. */
export function chosenBy(graph: Graph, nonZero: Op) {
  const cast = graph.producer(nonZero.operands[0], "onnx.Cast");
  const of = cast?.operands[0] ?? nonZero.operands[0];
  const { oneHot, index: expert } = (of && pickedFrom(graph, unshaped(graph, of))) ?? {};
  const [indices, , values] = oneHot?.operands ?? [];
  const offOn = values ? graph.values(values) : undefined;
  if (!oneHot || !indices || !offOn || expert === undefined) return undefined;
  const plain = toNumbers(offOn).join() === "0,1" && Number(oneHot.attrs["axis"] ?? -1) === -1;
  return plain ? { expert, indices, oneHot } : undefined;
}

/**
 * Where v [K, T] is one expert's part of one-hot indices [T, K, E]: picked after these became [E, K, T], or before, as
 * ONNX Runtime moves transpositions behind what picks.
 */
function pickedFrom(graph: Graph, v: Value) {
  const early = graph.producer(v, "onnx.Transpose");
  const [inside = v] = early?.operands ?? [];
  const pick = partPicked(graph, inside ?? v);
  const late = early ? undefined : graph.producer(pick?.of, "onnx.Transpose");
  const perm = String((early ?? late)?.attrs["perm"]);
  const known = early ? pick?.axis === 2 && perm === "1,0" : pick?.axis === 0 && perm === "2,1,0";
  const oneHot = graph.producer(late ? late.operands[0] : pick?.of, "onnx.OneHot");
  return known && oneHot ? { oneHot, index: pick?.index } : undefined;
}

/** One index of an axis: gathered, or a part of size 1, into which ONNX Runtime turns such Gathers of all indices. */
function partPicked(graph: Graph, v: Value) {
  const part = unshaped(graph, v);
  const op = graph.producer(part);
  const [of, at] = op?.operands ?? [];
  if (!op || !of) return undefined;
  const axis = axisOf(op);
  if (op.kind === "onnx.Gather") return { of, axis, index: graph.scalar(at) };
  const isPart = op.kind === "onnx.Split" && op.results.length === of.type.shape[axis];
  return isPart ? { of, axis, index: op.results.indexOf(part) } : undefined;
}

/** The router's weights where v gathers the entries (token, slot). */
export function gatheredWeights(graph: Graph, v: Value, nonZero: Op): Value | undefined {
  const pairs = graph.producer(unshaped(graph, v), "onnx.GatherND");
  return pairs ? gatheredPairs(graph, pairs, nonZero) : gatheredFlat(graph, v, nonZero);
}

function gatheredPairs(graph: Graph, op: Op, nonZero: Op): Value | undefined {
  const [weights, at] = op.operands;
  const concat = graph.producer(at, "onnx.Concat");
  const [token, slot, ...more] = concat?.operands ?? [];
  if (!weights || !token || !slot || more.length > 0 || op.attrs["batch_dims"]) return undefined;
  const axis = Number(concat?.attrs["axis"]);
  const rows = [token, slot].map((v) => coordinates(graph, v));
  const known = rows.every((r) => r?.nonZero === nonZero) && (axis === 1 || axis === -1);
  return known && rows[0]?.row === 1 && rows[1]?.row === 0 ? weights : undefined;
}

/** The same from the weights flattened, at token · K + slot. */
function gatheredFlat(graph: Graph, v: Value, nonZero: Op): Value | undefined {
  const gather = graph.producer(unshaped(graph, v), "onnx.Gather");
  const [flat, at] = gather?.operands ?? [];
  if (!gather || !flat || axisOf(gather) !== 0) return undefined;
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
  if (axisOf(gather) !== tokenAxis) return undefined;
  if (tokenAxis > 1 || (tokenAxis === 1 && x.type.shape[0] !== 1)) return undefined;
  const found = coordinates(graph, at);
  return found?.nonZero === nonZero && found.row === 1 ? x : undefined;
}

/** Null when it is not one expert's share of the sum. */
function termOf(graph: Graph, addend: Value | Op): Term | null {
  const scatter = "kind" in addend ? addend : graph.producer(addend, "onnx.ScatterElements");
  const [base, at, updates] = scatter?.operands ?? [];
  const { reduction = "none" } = scatter?.attrs ?? {};
  if (!scatter || !base || !at || !updates || axisOf(scatter) !== 0) return null;
  if (!isAddingScatter(scatter) && (reduction !== "none" || !isZero(graph, base))) return null;
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
