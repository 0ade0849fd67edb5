/** Masks of attention taken apart: what they say of who sees whom, and what is left to add. */

import type { Op, Value } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Graph } from "./graph.ts";
import type { Built } from "./heads.ts";
import { additiveVisibility, both, HIDDEN, type Visibility, visibility } from "./masks.ts";
import type { Mask } from "./scores.ts";

/** Visible where the condition holds, unless inverted. */
const flagsOf = (mask: Mask & { kind: "where" }, values: readonly number[]): readonly boolean[] =>
  values.map((v) => (v !== 0) !== mask.inverted);

/** What a constant mask says; null when it is computed or says more than who sees whom. */
function saidBy(graph: Graph, mask: Mask, queries: number, keys: number): Visibility | null {
  if (mask.kind === "add") {
    const values = graph.values(mask.value);
    return values ? additiveVisibility(values, queries, keys) : null;
  }
  const values = graph.values(mask.condition);
  if (!values || mask.fill > HIDDEN) return null;
  return visibility(values.shape, flagsOf(mask, toNumbers(values)), queries, keys);
}

/**
 * So low that adding it to a score gives it back: a row of nothing else then weighs all keys alike,
 * filled or added. Float32 has 24 bits, so scores below 2^24 vanish beside 2^49.
 */
const ABSORBS = -(2 ** 49);

/** Where(condition, 0, fill): null when a row without visible keys could differ. */
function additive(graph: Graph, mask: Mask, like: Value, origin: readonly string[]): Built | null {
  if (mask.kind === "add") return { value: mask.value, ops: [] };
  if (mask.fill > ABSORBS) return null;
  const { elem } = like.type;
  const number = (name: string, n: number): Op => {
    const results = [graph.fresh(name, { elem, shape: [] })];
    const attrs = { value: fromNumbers(elem, [], [n]) };
    return { kind: "onnx.Constant", operands: [], results, attrs, origin };
  };
  const [zero, fill] = [number("visible", 0), number("hidden", mask.fill)];
  const [visible, hidden] = [zero.results[0] ?? null, fill.results[0] ?? null];
  const value = graph.fresh("mask", { elem, shape: mask.condition.type.shape });
  const branches = mask.inverted ? [hidden, visible] : [visible, hidden];
  const operands = [mask.condition, ...branches];
  const where: Op = { kind: "onnx.Where", operands, results: [value], attrs: {}, origin };
  return { value, ops: [zero, fill, where] };
}

/** The sum of the masks that stay. */
function summed(graph: Graph, parts: readonly Built[], origin: readonly string[]): Built | null {
  const [first, ...others] = parts;
  if (!first) return null;
  return others.reduce<Built>((sum, next) => {
    const shape = wider(sum.value.type.shape, next.value.type.shape);
    const value = graph.fresh("mask", { elem: sum.value.type.elem, shape });
    const operands = [sum.value, next.value];
    const add: Op = { kind: "onnx.Add", operands, results: [value], attrs: {}, origin };
    return { value, ops: [...sum.ops, ...next.ops, add] };
  }, first);
}

function wider(a: Value["type"]["shape"], b: Value["type"]["shape"]): Value["type"]["shape"] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [p, q] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1];
    return p === 1 ? q : p;
  });
}

export interface Masks {
  readonly seen: Visibility;
  readonly mask: Built | null;
}

/**
 * `like` are the masked scores [B, H, Sq, Sk]. Null when the masks cannot be added without changing a
 * result.
 */
export function masksOf(
  graph: Graph,
  masks: readonly Mask[],
  like: Value,
  origin: readonly string[],
): Masks | null {
  const [queries, keys] = like.type.shape.slice(-2);
  if (typeof queries !== "number" || typeof keys !== "number") return null;
  let seen: Visibility = { causal: false };
  const kept: Built[] = [];
  for (const mask of masks) {
    const said = saidBy(graph, mask, queries, keys);
    const added = said ? null : additive(graph, mask, like, origin);
    if (said) seen = both(seen, said);
    else if (added) kept.push(added);
    else return null;
  }
  // A row that the others hide whole weighs all keys alike, and a causal mask would leave it fewer.
  if (seen.causal && kept.some((k) => mayHide(graph, k.value))) {
    return keepAll(graph, masks, like, origin);
  }
  return { seen, mask: summed(graph, kept, origin) };
}

/** Whether a mask can hide keys: one that is computed, or one with very negative numbers. */
function mayHide(graph: Graph, mask: Value): boolean {
  const values = graph.values(mask);
  return values === undefined || toNumbers(values).some((v) => v <= HIDDEN);
}

/** Every mask added as it is. */
function keepAll(
  graph: Graph,
  masks: readonly Mask[],
  like: Value,
  origin: readonly string[],
): Masks | null {
  const parts = masks.map((m) => additive(graph, m, like, origin));
  const all = parts.filter((p) => p !== null);
  if (all.length < parts.length) return null;
  return { seen: { causal: false }, mask: summed(graph, all, origin) };
}
