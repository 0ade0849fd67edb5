/** Attention and what surrounds it: rotary positions and the cache of keys and values. */

import { fromNumbers } from "../../../tensor/convert.ts";
import type { Dim, Elem, TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, type AxisAccess, broadcast, point } from "../../access.ts";
import { boolAttr, floatAttr, intAttr } from "../../attrs.ts";
import { attr, type Known, type OnnxGraph, type OpDef, optional } from "../../define.ts";
import type { Op, Value } from "../../op.ts";

const dim = (v: Value | null | undefined, axis: number): Dim => v?.type.shape.at(axis) ?? null;

/** A dimension that the operation's rules need as a number. */
function size(op: Op, operand: number, axis: number): number {
  const d = dim(op.operands[operand], axis);
  if (d === null) throw new Error(`${op.kind}: axis ${axis} of operand ${operand} is not known`);
  return d;
}

function* verifyAttention(op: Op): Iterable<string> {
  const [q, k, v] = op.operands;
  if (!q || !k || !v) return;
  for (const [name, x] of Object.entries({ q, k, v })) {
    if (x.type.shape.length !== 4) yield `${name} must be [B, H, S, D]`;
  }
  if (dim(q, 3) !== dim(k, 3)) yield "q and k need rows of one size";
  if (dim(k, 2) !== dim(v, 2)) yield "k and v need as many rows";
  if (dim(k, 1) !== dim(v, 1)) yield "k and v need as many heads";
  const groups = Number(dim(q, 1)) / Number(dim(k, 1));
  if (!Number.isInteger(groups)) yield "the heads of k must divide those of q";
  if (op.attrs["window"] !== undefined && !boolAttr(op, "causal")) {
    yield "a window needs causal attention";
  }
  const sink = op.operands[4];
  if (sink && (sink.type.shape.length !== 4 || dim(sink, 3) !== 1)) {
    yield "the sink must be [B, H, Sq, 1], or narrower by axes of one";
  }
}

function inferAttention(op: Op, [q, , v]: readonly (Known | null)[]): readonly TensorType[] {
  if (!q || !v) return op.results.map((r) => r.type);
  return [{ elem: q.type.elem, shape: [...q.type.shape.slice(0, 3), v.type.shape[3] ?? null] }];
}

/** The keys that query i reads. */
function keysRead(op: Op): AxisAccess {
  const keys = dim(op.operands[1], 2);
  const queries = dim(op.operands[0], 2);
  if (!boolAttr(op, "causal") || keys === null || queries === null) return ALL;
  const offset = keys - queries;
  if (op.attrs["window"] === undefined) return { kind: "prefix", axis: 2, offset };
  return { kind: "window", axis: 2, offset, width: intAttr(op, "window") };
}

function attentionAccess(op: Op): Access {
  const [q, k, , mask, sink] = op.operands;
  const head = dim(q, 1) === dim(k, 1) ? point(1) : ALL;
  const row = [point(0), head, keysRead(op), ALL];
  // The mask is read for the keys that are read, so that both stay aligned on a block of queries.
  const keys = mask?.type.shape.at(-1) === 1 ? ALL : keysRead(op);
  const masked = mask
    ? [...broadcast(mask.type.shape, q?.type.shape ?? []).slice(0, -1), keys]
    : null;
  const dropped = sink ? broadcast(sink.type.shape, q?.type.shape ?? []) : null;
  const query = [point(0), point(1), point(2), ALL];
  return [query, row, row, masked, dropped].slice(0, op.operands.length);
}

const ints = (graph: OnnxGraph, values: readonly number[]): string =>
  graph.constant(fromNumbers("i64", [values.length], values));

/** [B, Hk, S, D] with every head repeated until there are H. */
function repeated(op: Op, graph: OnnxGraph, operand: number, name: string): string {
  const heads = size(op, 0, 1);
  const stored = size(op, operand, 1);
  if (heads === stored) return name;
  const [b, s, d] = [size(op, operand, 0), size(op, operand, 2), size(op, operand, 3)];
  const apart = graph.node("Unsqueeze", [name, ints(graph, [2])]);
  const wide = graph.node("Expand", [apart, ints(graph, [b, stored, heads / stored, s, d])]);
  return graph.node("Reshape", [wide, ints(graph, [b, heads, s, d])]);
}

/** Additive [Sq, Sk]: zero where query i sees key j, minus infinity elsewhere. */
function causalMask(op: Op, elem: Elem) {
  const queries = size(op, 0, 2);
  const keys = size(op, 1, 2);
  const width = op.attrs["window"] === undefined ? keys : intAttr(op, "window");
  const values = new Float64Array(queries * keys).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < queries; i++) {
    const newest = i + keys - queries;
    for (let j = Math.max(0, newest - width + 1); j <= newest; j++) values[i * keys + j] = 0;
  }
  return fromNumbers(elem, [queries, keys], values);
}

function attentionToOnnx(
  op: Op,
  graph: OnnxGraph,
  [q = "", k = "", v = "", mask = "", sink = ""]: readonly string[],
  outputs: readonly string[],
): void {
  const elem = op.results[0]?.type.elem ?? "f32";
  const keys = repeated(op, graph, 1, k);
  const values = repeated(op, graph, 2, v);
  const columns = graph.node("Transpose", [keys], { perm: { ints: [0, 1, 3, 2] } });
  const scale = graph.constant(fromNumbers(elem, [], [floatAttr(op, "scale")]));
  let scores = graph.node("Mul", [graph.node("MatMul", [q, columns]), scale]);
  if (op.attrs["softcap"] !== undefined)
    scores = capped(graph, scores, floatAttr(op, "softcap"), elem);
  if (mask !== "") scores = graph.node("Add", [scores, mask]);
  if (boolAttr(op, "causal")) {
    scores = graph.node("Add", [scores, graph.constant(causalMask(op, elem))]);
  }
  if (sink !== "") scores = besideSink(op, graph, scores, sink);
  let weights = graph.node("Softmax", [scores], { axis: { int: -1 } });
  if (sink !== "") {
    const where = [[0], [size(op, 1, 2)], [-1]].map((bound) => ints(graph, bound));
    weights = graph.node("Slice", [weights, ...where]);
  }
  if (boolAttr(op, "empty_is_zero", false)) {
    const zero = graph.constant(fromNumbers(elem, [], [0]));
    weights = graph.node("Where", [graph.node("IsNaN", [weights]), zero, weights]);
  }
  graph.node("MatMul", [weights, values], {}, { outputs });
}

/** The scores, and the sink as one more column behind those of the keys. */
function besideSink(op: Op, graph: OnnxGraph, scores: string, sink: string): string {
  const shape = [0, 1, 2].map((axis) => size(op, 0, axis));
  const column = graph.node("Expand", [sink, ints(graph, [...shape, 1])]);
  return graph.node("Concat", [scores, column], { axis: { int: -1 } });
}

function capped(graph: OnnxGraph, scores: string, cap: number, elem: Elem): string {
  const bound = graph.constant(fromNumbers(elem, [], [cap]));
  return graph.node("Mul", [graph.node("Tanh", [graph.node("Div", [scores, bound])]), bound]);
}

const attention: OpDef = {
  kind: "nn.attention",
  levels: ["nn", "aimc"],
  doc:
    "softmax(scale · q kᵀ + mask) v for every head. q is [B, H, Sq, D], k [B, Hk, Sk, D], v " +
    "[B, Hk, Sk, Dv]; query head h reads key head floor(h · Hk / H). The mask is added and broadcasts " +
    "to [B, H, Sq, Sk]. causal: query i sees keys j <= i + Sk - Sq; window w: of those the last w " +
    "(Vaswani et al., 2017; Ainslie et al., GQA, 2023). softcap c: scores s become c tanh(s / c) before " +
    "the mask (Gemma 2, 2024). empty_is_zero: a query whose mask is all minus infinity gets zeros. The " +
    "sink, which broadcasts to [B, H, Sq, 1], is the score of one more key whose value is zero (gpt-oss, " +
    "2025).",
  operands: ["q", "k", "v", "mask?", "sink?"],
  results: ["y"],
  attrs: {
    scale: attr.float,
    causal: attr.bool,
    window: optional(attr.int),
    softcap: optional(attr.float),
    empty_is_zero: optional(attr.bool),
  },
  verify: verifyAttention,
  infer: inferAttention,
  access: attentionAccess,
  toOnnx: attentionToOnnx,
};

/** [-x2, x1] of the halves, or of the neighbours when interleaved. */
function rotated(op: Op, graph: OnnxGraph, x: string): string {
  const width = size(op, 0, -1);
  const slice = (from: number, to: number, step: number) =>
    graph.node("Slice", [x, ...[[from], [to], [-1], [step]].map((v) => ints(graph, v))]);
  if (!boolAttr(op, "interleaved")) {
    const minus = graph.node("Neg", [slice(width / 2, width, 1)]);
    return graph.node("Concat", [minus, slice(0, width / 2, 1)], { axis: { int: -1 } });
  }
  const last = ints(graph, [-1]);
  const odd = graph.node("Unsqueeze", [graph.node("Neg", [slice(1, width, 2)]), last]);
  const even = graph.node("Unsqueeze", [slice(0, width, 2), last]);
  const pairs = graph.node("Concat", [odd, even], { axis: { int: -1 } });
  const shape = op.operands[0]?.type.shape.map((d) => d ?? 0) ?? [];
  return graph.node("Reshape", [pairs, ints(graph, shape)]);
}

const rope: OpDef = {
  kind: "nn.rope",
  levels: ["nn", "aimc"],
  doc:
    "x · cos + rotate(x) · sin, where rotate gives [-x2, x1] of the two halves of the last axis, or of " +
    "each pair of neighbours when interleaved (Su et al., RoFormer, 2021, section 3.4.2).",
  operands: ["x", "cos", "sin"],
  results: ["y"],
  attrs: { interleaved: attr.bool },
  *verify(op) {
    const [x] = op.operands;
    if (x && x.type.shape.length !== 4) yield "x must be [B, H, S, D]";
    if (Number(dim(x, -1)) % 2 !== 0) yield "the last axis of x must be even";
  },
  infer: (op, [x]) => (x ? [x.type] : op.results.map((r) => r.type)),
  access(op) {
    const result = op.results[0]?.type.shape ?? [];
    const table = (v: Value | null | undefined) => (v ? broadcast(v.type.shape, result) : null);
    const [, cos, sin] = op.operands;
    return [[point(0), point(1), point(2), ALL], table(cos), table(sin)];
  },
  toOnnx(op, graph, [x = "", cos = "", sin = ""], outputs) {
    const plain = graph.node("Mul", [x, cos]);
    const turned = graph.node("Mul", [rotated(op, graph, x), sin]);
    graph.node("Add", [plain, turned], {}, { outputs });
  },
};

const cacheAppend: OpDef = {
  kind: "nn.cache_append",
  levels: ["nn", "aimc"],
  doc: "The cache of earlier tokens followed by the new ones, along one axis.",
  operands: ["past", "new"],
  results: ["all"],
  attrs: { axis: attr.int },
  infer(op, [past, fresh]) {
    if (!past || !fresh) return op.results.map((r) => r.type);
    const rank = past.type.shape.length;
    const axis = (intAttr(op, "axis") + rank) % rank;
    const shape = past.type.shape.map((d, i) => {
      const other = fresh.type.shape[i] ?? null;
      if (i !== axis) return d;
      return d === null || other === null ? null : d + other;
    });
    return [{ elem: past.type.elem, shape }];
  },
  access(op) {
    const rank = op.results[0]?.type.shape.length ?? 1;
    const axis = (intAttr(op, "axis") + rank) % rank;
    return op.operands.map(
      (v) => v?.type.shape.map((_, i) => (i === axis ? ALL : point(i))) ?? null,
    );
  },
  toOnnx(op, graph, inputs, outputs) {
    graph.node("Concat", inputs, { axis: { int: intAttr(op, "axis") } }, { outputs });
  },
};

export const ATTENTION_OPS: readonly OpDef[] = [attention, rope, cacheAppend];
