/**
 * com.microsoft's mixtures of experts, MoE and QMoE: what their operands and attributes say. raise-moe writes
 * them as linears of experts, because only there can an expert compute nothing but the tokens that chose it.
 */

import { floatAttr, intAttr, stringAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { type Builder, cannot } from "./builder.ts";
import type { Expansion, Operands } from "./expansion.ts";
import { dimOf, dimsOf } from "./write.ts";

type Maybe = Value | null | undefined;

/** One layer of all experts, as the file has it. */
export interface Layer {
  /** [E, out, in], or packed bytes [E, out, in · bits / 8]. */
  readonly weight: Value;
  /** [E, out]. */
  readonly bias: Maybe;
  /** Of packed integers. */
  readonly scales: Maybe;
  readonly zeros: Maybe;
}

export interface Mixture {
  /** [..., H]. */
  readonly x: Value;
  /** [T, E]. */
  readonly logits: Value;
  /** [T, E]: weights of the experts that the logits choose, where they are not the logits' own. */
  readonly weights: Maybe;
  /** Whether scores are taken of all logits, or of the chosen ones only. */
  readonly first: "score" | "top_k";
  /** The layer into the experts, the one beside it that multiplies it, and the one back. */
  readonly up: Layer;
  readonly beside: Layer | null;
  readonly down: Layer;
  /** Bits of packed integers; 0 where weights are real. */
  readonly bits: number;
  /** Columns that share a scale; 0 where all do. */
  readonly block: number;
  readonly activation: string;
  /** Whether `up` gives the gate and its partner: each after the other, or first all gates. */
  readonly halves: "interleaved" | "joined" | null;
}

const FUNCTIONS: Readonly<Record<string, string>> = {
  relu: "relu",
  gelu: "gelu_tanh",
  silu: "silu",
  identity: "identity",
  swiglu: "swiglu",
};

/** Of which operands a layer is made: weight, scales, bias, zero points. */
type Places = readonly [weight: number, scales: number, bias: number, zeros: number];

const PLACES: Readonly<Record<string, readonly Places[]>> = {
  "onnx.com.microsoft.MoE": [
    [2, -1, 3, -1],
    [4, -1, 5, -1],
    [6, -1, 7, -1],
  ],
  "onnx.com.microsoft.QMoE": [
    [2, 3, 4, 11],
    [5, 6, 7, 12],
    [8, 9, 10, 13],
  ],
};

export const isMixture = (op: Op): boolean => PLACES[op.kind] !== undefined;

/** What the operation says. Calls `cannot` for forms that nobody defines or that the CPU does not run. */
export function mixtureOf(op: Op, isConstant: (v: Value) => boolean): Mixture {
  const [x, logits] = op.operands;
  const layers = (PLACES[op.kind] ?? []).map((places) => layerOf(op, places, isConstant));
  const [up, down, beside = null] = layers;
  if (!x || !logits || !up || !down) cannot("it has no experts");
  if (intAttr(op, "use_sparse_mixer", 0) !== 0) cannot("its sparse mixer is not supported");
  if (stringAttr(op, "quant_type", "int") !== "int") cannot("only integer weights are supported");
  if (op.operands.slice(15).some((o) => o)) cannot("it has operands of other processors");
  if (intAttr(op, "weights_prepacked", 0) > 0) cannot("its weights are packed for one processor");
  const name = stringAttr(op, "activation_type", "relu");
  const isPacked = op.kind.endsWith("QMoE");
  const mixture = {
    x,
    logits,
    weights: isPacked ? op.operands[14] : null,
    first: isPacked ? "top_k" : "score",
    up,
    beside,
    down,
    bits: isPacked ? intAttr(op, "expert_weight_bits", 4) : 0,
    block: isPacked ? intAttr(op, "block_size", 0) : 0,
    activation: FUNCTIONS[name] ?? cannot(`its activation '${name}' is not supported`),
    halves: halvesOf(op, name, beside),
  } as const;
  checkSizes(mixture);
  return mixture;
}

function layerOf(op: Op, places: Places, isConstant: (v: Value) => boolean): Layer | null {
  const [weight, scales, bias, zeros] = places.map((at) => op.operands[at]);
  if (!weight) return null;
  if (!isConstant(weight)) cannot("its weights are not constant");
  return { weight, scales, bias, zeros };
}

function halvesOf(op: Op, name: string, beside: Layer | null): Mixture["halves"] {
  const fusion = intAttr(op, "swiglu_fusion", 0);
  if (name !== "swiglu") return null;
  if (fusion > 0 && beside) cannot("a fused SwiGLU has no third layer");
  if (fusion === 0 && !beside) cannot("its SwiGLU has neither a third layer nor swiglu_fusion");
  return fusion === 0 ? null : fusion === 1 ? "interleaved" : "joined";
}

function checkSizes({ x, logits, up, bits }: Mixture): void {
  const width = dimOf(x, -1);
  const stored = bits > 0 ? (width * bits) / 8 : width;
  if (dimOf(up.weight, 2) !== stored) {
    const found = dimsOf(up.weight).join(" x ");
    cannot(
      `its weights are ${found} with ${dimOf(up.weight, 2)} along the inputs instead of ${stored}: packed for a GPU, or in the layout of old versions`,
    );
  }
  if (dimOf(up.weight, 0) !== dimOf(logits, 1)) cannot("its router has another number of experts");
  dimsOf(x);
  dimsOf(logits);
}

/** Stays whole, once its form is known to be one that raise-moe knows. */
const checked: Expansion = (b, op, _: Operands) => {
  mixtureOf(op, (v) => b.isConstant(v));
  return null;
};

export const MOE: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.MoE": checked,
  "onnx.com.microsoft.QMoE": checked,
};

/** The gate of a SwiGLU, sigmoid(alpha g) g, and what it is multiplied with, within its limits and moved. */
export function swiglu(b: Builder, op: Op, gate: Value, beside: Value): Value {
  const { g, held, alpha } = limited(b, op, gate, beside);
  const steep = alpha === 1 ? g : b.op("Mul", [g, b.number(g.type.elem, alpha)]);
  const gated = b.op("Mul", [g, b.op("Sigmoid", [steep])]);
  return b.op("Mul", [gated, held]);
}

/** The parts of a SwiGLU: sigmoid(alpha g) g times what is held, both within their limits. */
export function limited(b: Builder, op: Op, gate: Value, beside: Value) {
  const alpha = floatAttr(op, "activation_alpha", 1);
  const beta = floatAttr(op, "activation_beta", 0);
  const limit = floatAttr(op, "swiglu_limit", Number.POSITIVE_INFINITY);
  const number = (value: number) => b.number(gate.type.elem, value);
  const isLimited = Number.isFinite(limit);
  const g = isLimited ? b.op("Clip", [gate, null, number(limit)]) : gate;
  const within = isLimited ? b.op("Clip", [beside, number(-limit), number(limit)]) : beside;
  return { g, held: beta === 0 ? within : b.op("Add", [within, number(beta)]), alpha };
}
