/**
 * raise-attention: scaled dot-product attention with its masks, and caches of keys and values.
 *
 * Before: MatMul(softmax(scale · q kᵀ, capped, masked), v) on [B, H, S, D], or with heads folded into
 *   the batch or parted into groups; keys in any of the transposed layouts of exporters, heads of keys
 *   and values repeated; Concat of a graph input and new keys or values.
 * After: nn.attention on the unrepeated heads, nn.cache_append. One more score in softmax, whose weight is cut
 *   off again, is the attention's sink.
 * Why masks are taken apart: a constant mask that is exactly causal says which keys a query waits for;
 *   one that is not is added as it is. A mask that fills instead of adding is turned into an added one
 *   only where no result changes.
 */

import type { Op, Value } from "../src/ir/op.ts";
import { isFloat } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { emptied, guardedOf } from "./raise/guards.ts";
import { apart, keysOf, reshaped, storedHeads } from "./raise/heads.ts";
import { masksOf } from "./raise/mask-operand.ts";
import { inPlaceOf } from "./raise/patterns.ts";
import { type Scores, sameRows, scoresOf } from "./raise/scores.ts";
import { sinkOf, weighingOf, withoutTrailing } from "./raise/sinks.ts";

/** The parts of attention as they are written. */
interface Written {
  /** The operation that gives the result: the product with the values, or a reshape of it. */
  readonly root: Op;
  /** [B, H], what the leading axes of the result stand for. */
  readonly lead: readonly [number, number];
  readonly scores: Scores;
  readonly v: Value;
  /** The score of no key at all, [..., Sq, 1]. */
  readonly sink: Value | undefined;
  /** A query that sees no key gets zeros where softmax would give NaN. */
  readonly emptyIsZero: boolean;
}

/** Whether every dimension is a number. */
const isKnown = (...values: readonly Value[]): boolean =>
  values.every((v) => v.type.shape.every((d) => d !== null));

const product = (dims: readonly unknown[]): number =>
  dims.reduce<number>((n, d) => n * Number(d), 1);

/** The reshape of [B · H, S, D] to [B, H, S, D] that alone reads a product of three axes. */
function unflattening(op: Op, graph: Graph): Op | undefined {
  const [flat] = op.results;
  const [reader] = flat ? graph.usersOf(flat) : [];
  const [result] = reader?.results ?? [];
  if (!flat || !result || reader?.kind !== "onnx.Reshape") return undefined;
  if (flat.type.shape.length !== 3 || result.type.shape.length !== 4) return undefined;
  if (graph.uses(flat) !== 1 || !isKnown(flat, result)) return undefined;
  const [b, h, ...rows] = result.type.shape;
  return flat.type.shape.join() === [Number(b) * Number(h), ...rows].join() ? reader : undefined;
}

/** The product with the values and the operation that gives [B, H, S, D], if that is another. */
function productOf(
  op: Op,
  graph: Graph,
): { readonly of: Op; readonly lead: [number, number] } | null {
  const [result] = op.results;
  if (!result || !isKnown(result)) return null;
  const [batch, heads] = result.type.shape.map(Number);
  const [flat] = op.operands;
  const inner = op.kind === "onnx.Reshape" ? graph.producer(flat, "onnx.MatMul") : undefined;
  if (inner && unflattening(inner, graph) === op) {
    return { of: inner, lead: [batch ?? 1, heads ?? 1] };
  }
  if (op.kind !== "onnx.MatMul" || unflattening(op, graph)) return null;
  const axes = result.type.shape.slice(0, -2);
  if (axes.length === 0) return null;
  // Heads in the batch axis stay heads: they are what is independent.
  return {
    of: op,
    lead: axes.length === 1 ? [1, product(axes)] : [batch ?? 1, product(axes.slice(1))],
  };
}

/** The softmax whose rows are the weights of a product, what it takes, and what is done behind it. */
function softmaxOf(weights: Value, graph: Graph) {
  const guarded = guardedOf(graph, sameRows(graph, weights));
  const weighing = weighingOf(graph, guarded.plain);
  return weighing && { ...weighing, guarded };
}

/** The softmax that the result of a product leads to, through what may happen to scores. */
function softmaxBehind(op: Op, graph: Graph): Op | undefined {
  const seen = new Set([op]);
  for (const from of seen) {
    if (seen.size > NEAR) return undefined;
    for (const reader of from.results.flatMap((r) => graph.usersOf(r))) {
      if (reader.kind === "onnx.Softmax") return reader;
      if (ON_SCORES.has(reader.kind)) seen.add(reader);
    }
  }
  return undefined;
}

/** How many operations are looked at around what may be an attention. */
const NEAR = 200;

/** What may lie between a product and softmax: arithmetic on scores, or their movement in pieces. */
const ON_SCORES = new Set(
  ["Add", "Sub", "Mul", "Div", "Where", "Reshape", "Cast", "Max", "Clip", "Tanh", "Identity"]
    .concat(["Transpose", "Slice", "Gather", "Concat", "Pad", "ScatterND", "Expand", "Squeeze"])
    .map((name) => `onnx.${name}`),
);

function writtenAs(op: Op, graph: Graph): Written | null {
  const found = productOf(op, graph);
  const [weights, v] = found?.of.operands ?? [];
  const around = weights ? softmaxOf(weights, graph) : null;
  if (!found || !weights || !v || !around) return null;
  const { softmax, masked, sink, guarded } = around;
  const { axis = -1 } = softmax.attrs;
  if (axis !== -1 && axis !== masked.type.shape.length - 1) {
    return graph.refuse(
      NAME,
      `its softmax is taken over axis ${String(axis)}, not the last`,
      softmax,
    );
  }
  const scores = scoresOf(graph, masked);
  if (!scores) return graph.refuse(NAME, ...noScores(graph, masked));
  if (!isKnown(scores.q, scores.columns, v, masked)) {
    return graph.refuse(NAME, "the sizes of its operands depend on data", op);
  }
  const rows = [weights.type.shape.slice(-2), [scores.shape.at(-2), masked.type.shape.at(-1)]];
  if (rows.some((r) => r.join() !== scores.shape.slice(-2).join())) {
    return graph.refuse(NAME, "its scores are reshaped before they weigh the values", softmax);
  }
  const masks = emptied(graph, scores.masks, guarded);
  if (!masks) {
    const why = "weights are set to zero behind softmax where no mask before it hides them";
    return graph.refuse(NAME, why, weights);
  }
  const emptyIsZero = guarded.zeros !== undefined;
  return { root: op, lead: found.lead, scores: { ...scores, masks }, v, sink, emptyIsZero };
}

/** Why what softmax takes is no product of queries and keys under scales and masks. */
function noScores(graph: Graph, masked: Value): readonly [string, Value | Op] {
  const inner = sameRows(graph, masked);
  const op = graph.producer(inner);
  if (!op) return ["its scores are an input of the graph", inner];
  if (op.kind === "onnx.MatMul") return ["its keys are constants", op];
  const name = op.kind.replace(/^\w+\./, "");
  return [`its scores come out of ${name}, not of a product of queries and keys`, op];
}

const NAME = "attention";

function attention(op: Op, graph: Graph): readonly Op[] | null {
  const written = writtenAs(op, graph);
  if (!written || op.results.length !== 1) return null;
  const { scores, lead } = written;
  const { origin } = op;
  const rows = keysOf(graph, scores.columns, origin);
  const built = [scores.q, rows.value, written.v].map((v) => apart(graph, v, lead, origin));
  const [q, k0, v0] = built.map((b) => b?.value);
  if (!q || !k0 || !v0) {
    const shapes = [scores.q, rows.value, written.v].map((v) => `[${v.type.shape.join(", ")}]`);
    const why = `queries ${shapes[0]}, keys ${shapes[1]} and values ${shapes[2]} are not as many matrices`;
    return graph.refuse(NAME, why, op);
  }
  const shape = [...lead, Number(q.type.shape[2]), Number(k0.type.shape[2])];
  const masks = masksOf(graph, scores.masks, { elem: q.type.elem, shape }, origin);
  const [k, v] = storedHeads(graph, k0, v0);
  if (!masks) return null;
  if (!fits(lead, q, k, v)) return graph.refuse(NAME, `${misfit(q, k, v)}`, op);
  const sink = sinkOf(graph, written.sink, q, lead, op);
  if (!sink) return graph.refuse(NAME, "its sink has another type than its queries", op);
  const value = masks.mask?.value ?? null;
  const operands = withoutTrailing([q, k, v, value, sink.value]);
  const attrs = {
    scale: scores.scale,
    ...masks.seen,
    ...(scores.softcap !== undefined && { softcap: scores.softcap }),
    ...(written.emptyIsZero && value && { empty_is_zero: true }),
  };
  const whole = inPlaceOf(graph, op, "nn.attention", operands, attrs);
  const before = [rows, ...built].flatMap((b) => b?.ops ?? []);
  const read = scores.masks.flatMap((m) =>
    m.kind === "floor" ? [] : [m.kind === "add" ? m.value : m.condition],
  );
  const bases = before.flatMap((o) => o.operands);
  const named = { ...whole, origin: graph.originOf(op, [...operands, ...bases, ...read]) };
  return [
    ...scores.ops,
    ...before,
    ...(masks.mask?.ops ?? []),
    ...sink.ops,
    ...delivered(graph, named, lead, v),
  ];
}

/** The attention, and the reshape to what it stands for when that has other axes than [B, H, S, D]. */
function delivered(graph: Graph, op: Op, lead: readonly number[], v: Value): readonly Op[] {
  const [result] = op.results;
  if (!result || result.type.shape.length === 4) return [op];
  const shape = [...lead, ...result.type.shape.slice(-2).map(Number)];
  const heads = graph.fresh("heads", { elem: v.type.elem, shape });
  return [{ ...op, results: [heads] }, ...reshaped(graph, heads, result, op.origin)];
}

/** The shapes that nn.attention asks for, without broadcasting over the batch. */
function fits([batch, heads]: readonly [number, number], q: Value, k: Value, v: Value): boolean {
  const sameBatch = [q, k, v].every((x) => x.type.shape.length === 4 && x.type.shape[0] === batch);
  const sameElem = q.type.elem === k.type.elem && k.type.elem === v.type.elem;
  const stored = Number(k.type.shape[1]);
  return (
    sameBatch &&
    sameElem &&
    q.type.shape[1] === heads &&
    v.type.shape[1] === stored &&
    Number.isInteger(heads / stored)
  );
}

const misfit = (q: Value, k: Value, v: Value): string => {
  const [elems, heads] = [
    [q, k, v].map((x) => x.type.elem).join(", "),
    [q, k, v].map((x) => `${x.type.shape[1]}`).join(", "),
  ];
  const isMixed = new Set([q, k, v].map((x) => x.type.elem)).size > 1;
  return isMixed
    ? `queries, keys and values have the types ${elems}`
    : `queries, keys and values have ${heads} heads, or another batch each`;
};

/** The softmax that a value is made of piece by piece, and the operation that reads it. */
function softmaxBefore(v: Value, graph: Graph): readonly [Op, Op] | undefined {
  const last = graph.producer(v);
  const seen = new Set(last && ON_SCORES.has(last.kind) ? [last] : []);
  for (const op of seen) {
    if (seen.size > NEAR) return undefined;
    for (const operand of op.operands) {
      const producer = graph.producer(operand);
      if (producer?.kind === "onnx.Softmax") return [producer, op];
      if (producer && ON_SCORES.has(producer.kind)) seen.add(producer);
    }
  }
  return undefined;
}

/** Why a product with what softmax gave is no attention, when it is not that alone. */
function weightsInPieces(op: Op, graph: Graph): null {
  const [weights, v] = op.operands;
  if (op.kind !== "onnx.MatMul" || !weights || graph.isConstant(v)) return null;
  const [softmax, last] = softmaxBefore(weights, graph) ?? [];
  if (!softmax || !last) return null;
  const name = last.kind.replace("onnx.", "");
  const why = `its weights go through ${name} behind softmax before they reach the values`;
  return graph.refuse(NAME, why, last, softmax);
}

/** Why the product of what may be queries and keys is left over. */
function scoresAlone(op: Op, graph: Graph): null {
  const isProduct = op.kind === "onnx.MatMul" && !op.operands.some((v) => graph.isConstant(v));
  const softmax = isProduct ? softmaxBehind(op, graph) : undefined;
  if (!softmax) return null;
  return graph.refuse(
    NAME,
    "the softmax that it leads to weighs no values as attention does",
    softmax,
  );
}

/** New keys or values behind those that the caller keeps. */
function cacheAppend(op: Op, graph: Graph): readonly Op[] | null {
  const [past, fresh, ...more] = op.operands;
  if (op.kind !== "onnx.Concat" || !past || !fresh || more.length > 0) return null;
  if (!graph.isInput(past) || graph.isConstant(fresh) || !isFloat(past.type.elem)) return null;
  if (past.type.shape.length !== 4) {
    const why = `what is kept, [${past.type.shape.map(String).join(", ")}], is not [B, H, S, D]`;
    return graph.refuse("cache of keys or values", why, past);
  }
  return [
    inPlaceOf(graph, op, "nn.cache_append", [past, fresh], { axis: Number(op.attrs["axis"]) }),
  ];
}

export const raiseAttention: Pass = {
  name: "raise-attention",
  summary: "recognise attention with its masks, and key-value caches",
  needs: ["raised"],
  gives: [],
  run: (module, context) =>
    raiseOps(
      module,
      context,
      (op, graph) =>
        attention(op, graph) ??
        cacheAppend(op, graph) ??
        weightsInPieces(op, graph) ??
        scoresAlone(op, graph),
    ),
};
