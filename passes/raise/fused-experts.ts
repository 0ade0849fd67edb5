/** Mixtures of experts that are one operation of ONNX Runtime's: written as a router and linears. */

import { intAttr } from "../../src/ir/attrs.ts";
import type { Attrs, Op, Value, WeightRef } from "../../src/ir/op.ts";
import { isTensorAttr, isWeightRef } from "../../src/ir/op.ts";
import { type Tensor, zeros } from "../../src/tensor/tensor.ts";
import { unpacked } from "../expand/block-weights.ts";
import type { Builder } from "../expand/builder.ts";
import { isMixture, type Layer, limited, type Mixture, mixtureOf, swiglu } from "../expand/moe.ts";
import { dimOf, dimsOf, elemOf, reshape, slice } from "../expand/write.ts";
import type { Graph } from "./graph.ts";
import { delivered } from "./product.ts";

/** Writes the parts of one mixture. */
interface Pen {
  readonly op: Op;
  readonly graph: Graph;
  readonly b: Builder;
  readonly mixture: Mixture;
  /** [T, E]. */
  readonly routing: Value;
  /** Attributes of the linears of a layer, made once for all experts. */
  readonly held: Map<Layer, Attrs>;
}

export function fusedMixture(op: Op, graph: Graph): readonly Op[] | null {
  if (!isMixture(op)) return null;
  const mixture = mixtureOf(op, (v) => graph.isConstant(v));
  const b = graph.builder(op);
  const { x, logits } = mixture;
  const rows = reshape(b, x, [dimOf(logits, 0), dimOf(x, -1)]);
  const routing = routingOf(op, graph, b, mixture);
  const pen: Pen = { op, graph, b, mixture, routing, held: new Map() };
  const terms = Array.from({ length: dimOf(logits, 1) }, (_, e) => expert(pen, rows, e));
  const y = written(pen, "nn.combine", [routing, ...terms], rows.type, {});
  return delivered(b, reshape(b, y, dimsOf(x)), op);
}

function written(
  { graph, b, op }: Pick<Pen, "graph" | "b" | "op">,
  kind: string,
  operands: readonly (Value | null)[],
  type: Value["type"],
  attrs: Attrs,
): Value {
  const value = graph.fresh(`${op.results[0]?.id ?? "moe"}_${kind.slice(3)}`, type);
  const module = graph.paths.ofNodes(op.origin);
  const own = { ...(module !== undefined && { module }), ...attrs };
  b.ops.push({ kind, operands, results: [value], attrs: own, origin: op.origin });
  return value;
}

/** [T, E]: weights of the k chosen experts of each token, 0 elsewhere. */
function routingOf(op: Op, graph: Graph, b: Builder, { logits, weights, first }: Mixture): Value {
  const topK = intAttr(op, "k", 1);
  const normalize = intAttr(op, "normalize_routing_weights", 0) !== 0;
  if (!weights) {
    // The softmax of the chosen logits is normalised already.
    const attrs = {
      top_k: topK,
      normalize: normalize && first === "score",
      score: "softmax",
      first,
    };
    return written({ graph, b, op }, "nn.router", [logits], logits.type, attrs);
  }
  const [best, columns] = b.several("TopK", [logits, b.ints([topK])], 2, { axis: -1 });
  if (!best || !columns) throw new Error("TopK gives two results");
  const given = b.op("GatherElements", [weights, columns], { axis: 1 });
  const sum = () => b.op("ReduceSum", [given, b.ints([-1])], { keepdims: 1 });
  const chosen = normalize ? b.op("Div", [given, sum()]) : given;
  const nothing = b.constant(zeros(elemOf(logits), dimsOf(logits)));
  return b.op("ScatterElements", [nothing, columns, chosen], { axis: 1 });
}

/** One expert's network on all tokens; its linears leave out those that did not choose it. */
function expert(pen: Pen, rows: Value, e: number): Value {
  const { up, beside, down } = pen.mixture;
  const inner = linear(pen, rows, up, e);
  const other = beside ? linear(pen, rows, beside, e) : null;
  return linear(pen, activated(pen, inner, other), down, e);
}

function activated(pen: Pen, inner: Value, other: Value | null): Value {
  const { op, b, mixture } = pen;
  const { activation: name } = mixture;
  const plain = (f: string, x: Value) =>
    f === "identity" ? x : written(pen, "nn.activation", [x], x.type, { function: f });
  if (name !== "swiglu") {
    const y = plain(name, inner);
    return other ? b.op("Mul", [y, other]) : y;
  }
  const [gate, beside] = other ? [inner, other] : halves(b, inner, mixture.halves);
  const parts = limited(b, op, gate, beside);
  const known = GATES.find(({ alpha }) => Math.fround(alpha) === Math.fround(parts.alpha));
  if (!known) return swiglu(b, op, gate, beside);
  const { name: gateOf } = known;
  return written(pen, "nn.gated", [parts.g, parts.held], gate.type, { function: gateOf });
}

/** What sigmoid(alpha g) g is called. */
const GATES = [
  { alpha: 1, name: "silu" },
  { alpha: 1.702, name: "quick_gelu" },
] as const;

function halves(b: Builder, x: Value, how: Mixture["halves"]): readonly [Value, Value] {
  const width = dimOf(x, 1);
  if (how === "joined") return [slice(b, x, 1, 0, width / 2), slice(b, x, 1, width / 2, width)];
  const every = (from: number) =>
    b.op("Slice", [x, b.ints([from]), b.ints([width]), b.ints([1]), b.ints([2])]);
  return [every(0), every(1)];
}

/** The expert's matrix of a layer, with its bias. */
function linear(pen: Pen, x: Value, layer: Layer, e: number): Value {
  const { b, routing, held } = pen;
  const attrs = held.get(layer) ?? weightOf(pen, x, layer);
  held.set(layer, attrs);
  const type = { elem: elemOf(x), shape: [dimOf(x, 0), dimOf(layer.weight, 1)] };
  const { bias } = layer;
  const own = bias ? b.op("Gather", [bias, b.ints([e], [])], { axis: 0 }) : null;
  const of = { ...attrs, slice: e, expert: e };
  return written(pen, "nn.linear", [x, own, routing], type, of);
}

/** The stack of matrices as the file has it: real numbers, or integers with their scales. */
function weightOf({ b, graph, mixture }: Pen, x: Value, layer: Layer): Attrs {
  const { weight, scales, zeros: offsets } = layer;
  const like = { transposed: true, role: "expert" };
  if (mixture.bits === 0 || !scales) {
    const ref = named(graph, weight, graph.constant(weight));
    return { ...like, ...placeOf(graph, ref), weight: ref };
  }
  const columns = dimOf(x, 1);
  const block = mixture.block || columns;
  const shape = [...dimsOf(weight).slice(0, 2), columns];
  const packed = { codes: weight, bits: mixture.bits, shape, block, scales, zeros: offsets };
  const parts = unpacked(b, packed);
  const constantOf = (v: Value) =>
    named(graph, v, b.ops.find((o) => o.results[0] === v)?.attrs["value"] ?? graph.constant(v));
  const ref = constantOf(parts.codes);
  return {
    ...like,
    ...placeOf(graph, ref),
    weight: ref,
    block,
    scales: constantOf(parts.scales),
    zeros: constantOf(parts.zeros),
  };
}

function placeOf(graph: Graph, { weight }: WeightRef): Attrs {
  const module = graph.paths.ofParameter(weight);
  return module === undefined ? {} : { module };
}

function named(graph: Graph, v: Value, value: Attrs[string] | Tensor | undefined): WeightRef {
  if (isWeightRef(value)) return value;
  if (!isTensorAttr(value)) throw new Error(`${v.id} is not constant`);
  return graph.weights.add(v.tensor ?? v.id, value);
}
