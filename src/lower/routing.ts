/** Which vectors an expert gets: the others are not computed. */

import { intAttr } from "../ir/attrs.ts";
import { gridSize } from "../ir/dialects/aimc.ts";
import type { Op, Port, Value } from "../ir/op.ts";
import { codeOf } from "../onnx/elem.ts";
import { fromNumbers } from "../tensor/convert.ts";
import type { Builder } from "./builder.ts";
import type { Vectors } from "./chip-source.ts";
import { expertOf, type Group } from "./groups.ts";

export const FLOAT = codeOf("f32");

/** Inputs [..., in] of a grid. */
export interface Taken {
  readonly x: Value;
  readonly vectors: Vectors;
  /** Whether x has the vectors of an expert alone. */
  readonly isChosen: boolean;
}

/** What results of experts are for, besides those of all vectors. */
export interface Routing {
  /** The vectors of an expert, i64 [n], by routing and expert. */
  readonly chosen: Map<string, Value>;
  /** Values of which only the vectors of an expert are read: whose they are, by name. */
  readonly only: ReadonlyMap<string, string>;
  /** Those vectors, by the name of the value that would hold all. */
  readonly short: Map<string, Value>;
}

/** The vectors of all experts of a routing, at once: what is drawn for them has to wait for it. */
export function chooseAll(
  b: Builder,
  op: Op,
  groups: readonly Group[],
  chosen: Routing["chosen"],
): void {
  const [, routing] = op.operands;
  if (!routing) return;
  for (const [{ op: other }] of groups) {
    const key = expertOf(other);
    if (other.operands[1]?.id !== routing.id || chosen.has(key)) continue;
    chosen.set(key, routedTo(b, other, routing));
  }
}

/** The numbers of the vectors that are routed to the expert, i64 [n]: the others are not computed. */
export function routedTo(b: Builder, op: Op, routing: Value): Value {
  const { shape, elem } = routing.type;
  const column = { shape: shape.slice(0, 1), elem };
  const expert = b.number("i64", intAttr(op, "expert"));
  const share = b.op("Gather", [routing, expert], column, { axis: 1 });
  const known = elem === "f32" ? share : b.op("Cast", [share], column, { to: FLOAT });
  const found = b.op("NonZero", [known], { shape: [1, null], elem: "i64" });
  return b.op("Squeeze", [found, b.ints([0])], { shape: [null], elem: "i64" });
}

export function gathered(b: Builder, x: Value, at: Value): Value {
  const shape = [null, ...x.type.shape.slice(1)];
  return b.op("Gather", [x, at], { elem: x.type.elem, shape });
}

/** y in the rows `at` of as many as `routing` has, and 0 in the others. */
export function scattered(b: Builder, y: Value, at: Value, routing: Value): Value {
  const cols = y.type.shape.slice(1);
  const shape = [routing.type.shape[0] ?? null, ...cols];
  const count = b.op("Shape", [routing], { shape: [1], elem: "i64" }, { end: 1 });
  const sizes = [count, b.ints(cols.map(Number))];
  const size = b.op("Concat", sizes, { shape: [2], elem: "i64" }, { axis: 0 });
  const { elem } = y.type;
  const value = fromNumbers(elem, [1], [0]);
  const zeros = b.op("ConstantOfShape", [size], { elem, shape }, { value });
  const rows = b.op("Unsqueeze", [at, b.ints([1])], { shape: [null, 1], elem: "i64" });
  return b.op("ScatterND", [zeros, rows, y], { elem, shape });
}

/** Operations that make of each vector what does not depend on the others. */
const BY_VECTOR = new Set(["aimc.sum", "nn.activation", "nn.gated", "nn.residual"]);

/** Values of which only the vectors of one expert are read, and whose they are; `added` are read by sums of partial sums alone. */
export function onlyChosen(
  ops: readonly Op[],
  outputs: readonly Port[],
  added: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const leaving = new Set(outputs.map(({ value }) => value.id));
  const found = new Map<string, string>();
  for (const op of ops) {
    const key = keyOf(op, added, found);
    const [result] = op.results;
    if (key && result && !leaving.has(result.id)) found.set(result.id, key);
  }
  let count: number;
  do {
    count = found.size;
    for (const op of ops) for (const id of unlike(op, added, found)) found.delete(id);
  } while (found.size < count);
  return found;
}

/** What an operation reads otherwise, and what it makes of that. */
function unlike(op: Op, added: ReadonlySet<string>, found: Found): readonly string[] {
  const read = op.operands.filter((v) => v !== null);
  const otherwise = read.filter((v) => found.has(v.id) && !readsOnly(op, v, found));
  const made = keyOf(op, added, found) ? [] : op.results;
  return [...otherwise, ...made].map(({ id }) => id);
}

type Found = ReadonlyMap<string, string>;

/** Whose vectors an operation computes, if these can be told apart in its result. */
function keyOf(op: Op, added: ReadonlySet<string>, found: Found): string | undefined {
  const { operands, results, kind } = op;
  if (kind === "aimc.mvm") {
    const isPlain = gridSize(op)[0] === 1 || added.has(results[0]?.id ?? "");
    return operands[1] && isPlain ? expertOf(op) : undefined;
  }
  const key = found.get(operands[0]?.id ?? "");
  const isOne = operands.every((v) => v && found.get(v.id) === key);
  return BY_VECTOR.has(kind) && isOne ? key : undefined;
}

/** Whether an operation needs no vectors of an operand but those of its expert. */
function readsOnly(op: Op, v: Value, found: Found): boolean {
  const key = found.get(v.id);
  const [x, routing] = op.operands;
  if (op.kind !== "aimc.mvm") return found.get(op.results[0]?.id ?? "") === key;
  return v === x && v !== routing && routing !== undefined && expertOf(op) === key;
}
