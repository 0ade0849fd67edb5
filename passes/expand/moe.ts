/**
 * com.microsoft's mixtures of experts, MoE and QMoE, as the CPU computes them. Experts without biases
 * become the products with stacks of matrices that raise-moe knows; others become products of their own
 * that are added with the weights of the routing.
 */

import { floatAttr, intAttr, stringAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { cast } from "../../src/tensor/kernels/cast.ts";
import { zeros } from "../../src/tensor/tensor.ts";
import { dequantised } from "./block-weights.ts";
import { type Builder, cannot } from "./builder.ts";
import type { Expansion } from "./expansion.ts";
import { constantOf } from "./quantised.ts";
import { add, dimOf, dimsOf, elemOf, flipped, reshape, scaled, slice } from "./write.ts";

type Maybe = Value | null | undefined;

/** One layer of all experts. */
interface Layer {
  /** [E, in, out]. */
  readonly weight: Value;
  /** [E, out]. */
  readonly bias: Maybe;
}

interface Mixture {
  /** [T, E]. */
  readonly logits: Value;
  /** [T, E]: weights of the experts that the logits choose, where they are not the logits' own. */
  readonly weights: Maybe;
  /** Whether scores are taken of all logits, or of the chosen ones only. */
  readonly first: "score" | "top_k";
  readonly up: Layer;
  /** Multiplied to the activation of `up`. */
  readonly beside: Layer | null;
  readonly down: Layer;
}

function normalised(b: Builder, x: Value): Value {
  return b.op("Div", [x, b.op("ReduceSum", [x, b.ints([-1])], { keepdims: 1 })]);
}

/** The routing [T, E]: weights of the k chosen experts of each token, 0 elsewhere. */
function routingOf(b: Builder, op: Op, { logits, weights, first }: Mixture): Value {
  const k = b.ints([intAttr(op, "k", 1)]);
  const softmax = (x: Value) => b.op("Softmax", [x], { axis: -1 });
  const ranked = first === "score" ? softmax(logits) : logits;
  const [best, columns] = b.several("TopK", [ranked, k], 2, { axis: -1 });
  if (!best || !columns) throw new Error("TopK gives two results");
  const own = first === "score" ? best : softmax(best);
  const given = weights ? b.op("GatherElements", [weights, columns], { axis: 1 }) : own;
  const normalises = intAttr(op, "normalize_routing_weights", 0) !== 0;
  // The softmax of the chosen logits is normalised already.
  const chosen = normalises && (weights || first === "score") ? normalised(b, given) : given;
  const nothing = b.constant(zeros(elemOf(logits), dimsOf(logits)));
  return b.op("ScatterElements", [nothing, columns, chosen], { axis: 1 });
}

type Activation = (b: Builder, op: Op, x: Value) => Value;

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  relu: (b, _, x) => b.op("Relu", [x]),
  gelu: (b, _, x) => b.op("Gelu", [x], { approximate: "tanh" }),
  silu: (b, _, x) => b.op("Mul", [x, b.op("Sigmoid", [x])]),
  identity: (_b, _, x) => x,
  swiglu: (b, op, x) => {
    const alpha = floatAttr(op, "activation_alpha", 1);
    const gate = clipped(b, op, x, Number.NEGATIVE_INFINITY);
    return b.op("Mul", [gate, b.op("Sigmoid", [scaled(b, gate, alpha)])]);
  },
};

function clipped(b: Builder, op: Op, x: Value, least: number): Value {
  const limit = floatAttr(op, "swiglu_limit", Number.POSITIVE_INFINITY);
  if (!Number.isFinite(limit)) return x;
  const low = Number.isFinite(least) ? b.number(elemOf(x), least) : null;
  return b.op("Clip", [x, low, b.number(elemOf(x), limit)]);
}

/** What the activation is multiplied with: in a SwiGLU held within its limits and moved. */
function besideOf(b: Builder, op: Op, x: Value): Value {
  if (stringAttr(op, "activation_type", "relu") !== "swiglu") return x;
  const limit = floatAttr(op, "swiglu_limit", Number.POSITIVE_INFINITY);
  const beta = floatAttr(op, "activation_beta", 0);
  const held = clipped(b, op, x, -limit);
  return beta === 0 ? held : b.op("Add", [held, b.number(elemOf(x), beta)]);
}

/** The network of one expert or of all, by how a layer of it is applied. */
function network(b: Builder, op: Op, m: Mixture, x: Value, apply: (x: Value, l: Layer) => Value) {
  const name = stringAttr(op, "activation_type", "relu");
  const activation = ACTIVATIONS[name] ?? cannot(`its activation '${name}' is not supported`);
  const inner = activation(b, op, apply(x, m.up));
  const gated = m.beside ? b.op("Mul", [inner, besideOf(b, op, apply(x, m.beside))]) : inner;
  return apply(gated, m.down);
}

/** raise-moe knows routings by their own logits, and experts that are products and gates alone. */
function isPlain(op: Op, { weights, up, beside, down }: Mixture): boolean {
  const moved = ["activation_beta", "swiglu_limit"].some((name) => {
    const value = floatAttr(op, name, 0);
    return value !== 0 && Number.isFinite(value);
  });
  return !weights && ![up, beside, down].some((l) => l?.bias) && !moved;
}

function stacked(b: Builder, op: Op, m: Mixture, x: Value, routing: Value): Value {
  const y = network(b, op, m, x, (v, { weight }) => b.op("MatMul", [v, weight]));
  return b.op("Einsum", [routing, y], { equation: "te,eth->th" });
}

function oneByOne(b: Builder, op: Op, m: Mixture, x: Value, routing: Value): Value {
  const experts = dimOf(routing, 1);
  const pick = (v: Value, e: number) => b.op("Gather", [v, b.ints([e], [])], { axis: 0 });
  const terms = Array.from({ length: experts }, (_, e) => {
    const y = network(b, op, m, x, (v, { weight, bias }) =>
      add(b, b.op("MatMul", [v, pick(weight, e)]), bias && pick(bias, e)),
    );
    return b.op("Mul", [y, slice(b, routing, 1, e, e + 1)]);
  });
  return terms.reduce((sum, term) => b.op("Add", [sum, term]));
}

function mixture(b: Builder, op: Op, x: Value, m: Mixture): Value {
  if (intAttr(op, "use_sparse_mixer", 0) !== 0) cannot("its sparse mixer is not supported");
  const rows = reshape(b, x, [dimOf(m.logits, 0), dimOf(x, -1)]);
  const routing = routingOf(b, op, m);
  const y = isPlain(op, m) ? stacked(b, op, m, rows, routing) : oneByOne(b, op, m, rows, routing);
  return reshape(b, y, dimsOf(x));
}

/** Gate and linear part of a SwiGLU, whose features alternate. */
function alternating(b: Builder, op: Op, layer: Layer): { up: Layer; beside: Layer } {
  if (intAttr(op, "swiglu_fusion", 0) !== 1) cannot("its SwiGLU must be fused and interleaved");
  const every = (v: Value, from: number) => {
    const axis = v.type.shape.length - 1;
    const [start, end] = [b.ints([from]), b.ints([dimOf(v, axis)])];
    return b.op("Slice", [v, start, end, b.ints([axis]), b.ints([2])]);
  };
  const part = (from: number): Layer => ({
    weight: every(layer.weight, from),
    bias: layer.bias && every(layer.bias, from),
  });
  return { up: part(0), beside: part(1) };
}

/** Up and beside, whether the file has them as two layers or as one. */
function gates(b: Builder, op: Op, first: Layer, third: Layer | null) {
  const fused = stringAttr(op, "activation_type", "relu") === "swiglu";
  if (fused && third) cannot("a fused SwiGLU has no third layer");
  return fused ? alternating(b, op, first) : { up: first, beside: third };
}

/** Operands: x, logits, then weight [E, out, in] and bias of each layer. */
const moe: Expansion = (b, op, operands) => {
  const [x, logits] = operands;
  const layer = (i: number): Layer | null => {
    const weight = operands[i];
    if (!weight) return null;
    if (!b.isConstant(weight)) cannot("its weights are not constant");
    return { weight: flipped(b, weight), bias: operands[i + 1] };
  };
  const [first, second, third] = [layer(2), layer(4), layer(6)];
  if (!logits || !first || !second) cannot("it has no experts");
  const width = dimOf(x, -1);
  if (dimOf(first.weight, 1) !== width) cannot("its weights have the layout of old versions");
  const down = second;
  const parts = gates(b, op, first, third);
  return [mixture(b, op, x, { logits, weights: null, first: "score", ...parts, down })];
};

/** Operands: x, logits, then codes, scales and bias of each layer, their zero points, weights?. */
const qmoe: Expansion = (b, op, operands) => {
  const [x, logits] = operands;
  const bits = intAttr(op, "expert_weight_bits", 4);
  if (stringAttr(op, "quant_type", "int") !== "int") cannot("only integer weights are supported");
  const layer = (i: number, n: number): Layer | null => {
    const [codes, scales, bias, zero] = [
      operands[i],
      operands[i + 1],
      operands[i + 2],
      operands[n],
    ];
    if (!codes) return null;
    const [, rows = 1, bytes = 1] = dimsOf(codes);
    const columns = (bytes * 8) / bits;
    const value = dequantised({
      codes: constantOf(b, codes, "weights"),
      bytes,
      rows,
      columns,
      bits,
      scales: constantOf(b, scales, "scales"),
      zeros: zero ? constantOf(b, zero, "zero points") : null,
      block: intAttr(op, "block_size", 0) || columns,
    });
    return { weight: b.weight(cast(value, elemOf(x)), codes), bias };
  };
  const [first, second, third] = [layer(2, 11), layer(5, 12), layer(8, 13)];
  if (!logits || !first || !second) cannot("it has no experts");
  const weights = operands[14];
  const parts = gates(b, op, first, third);
  return [mixture(b, op, x, { logits, weights, first: "top_k", ...parts, down: second })];
};

export const MOE: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.MoE": moe,
  "onnx.com.microsoft.QMoE": qmoe,
};
