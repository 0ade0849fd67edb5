/** What an operation is, in the words of a paper: `linear 768 -> 3072, bias`. */

import { boolAttr, floatAttr, intAttr, stringAttr } from "../ir/attrs.ts";
import { linearSize } from "../ir/dialects/nn/linear.ts";
import type { Op } from "../ir/op.ts";
import type { Dim, Elem } from "../tensor/tensor.ts";
import { constantOf } from "./constants.ts";

const shape = (op: Op, operand: number): readonly Dim[] => op.operands[operand]?.type.shape ?? [];

const show = (dim: Dim | undefined): string => (dim === null || dim === undefined ? "?" : `${dim}`);

const list = (parts: readonly (string | false)[]): string =>
  parts.filter((p) => p !== false && p !== "").join(", ");

const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Said only of what is not the usual single precision. */
const elemOf = (elem: Elem | undefined): string =>
  elem === undefined || elem === "f32" ? "" : elem;

function linear(op: Op): string {
  const size = linearSize(op);
  const weight = constantOf(op.attrs["weight"]);
  const arrow = size ? `${size[0]} -> ${size[1]}` : "of a stack";
  const role = stringAttr(op, "role", "other");
  return list([
    `linear ${arrow}`,
    op.operands[1] ? "bias" : false,
    elemOf(weight?.elem),
    role === "other" ? false : role,
  ]);
}

const NAMES: Readonly<Record<string, string>> = {
  gelu_erf: "GELU",
  gelu_tanh: "GELU (tanh)",
  quick_gelu: "quick GELU",
  silu: "SiLU",
  relu: "ReLU",
};

const functionOf = (op: Op): string => {
  const name = stringAttr(op, "function");
  return NAMES[name] ?? name;
};

function attention(op: Op): string {
  const [, heads, , width] = shape(op, 0);
  const [, stored, keys] = shape(op, 1);
  const scale = floatAttr(op, "scale");
  const usual = Math.abs(scale * Math.sqrt(Number(width)) - 1) < 1e-3;
  const { window, softcap } = op.attrs;
  return list([
    `attention, ${plural(Number(heads), "head")} of ${show(width)}`,
    stored !== heads && `${plural(Number(stored), "key head")}`,
    boolAttr(op, "causal") && "causal",
    window !== undefined && `window ${window}`,
    softcap !== undefined && `softcap ${softcap}`,
    !usual && `scale ${Number(scale.toPrecision(4))}`,
    op.operands[3] ? "added mask" : false,
    op.operands[4] ? "sinks" : false,
    `${show(keys)} keys`,
  ]);
}

const norm = (name: string) => (op: Op) => {
  const { epsilon } = op.attrs;
  return list([
    `${name} over ${show(shape(op, 0).at(-1))}`,
    `epsilon ${Number(Number(epsilon).toPrecision(3))}`,
  ]);
};

function router(op: Op): string {
  const experts = show(shape(op, 0).at(-1));
  return list([
    `router, top ${intAttr(op, "top_k")} of ${experts}`,
    stringAttr(op, "score"),
    boolAttr(op, "normalize") && "normalised",
  ]);
}

const WORDS: Readonly<Record<string, (op: Op) => string>> = {
  "nn.linear": linear,
  "nn.attention": attention,
  "nn.layer_norm": norm("layer norm"),
  "nn.rms_norm": norm("RMS norm"),
  "nn.embedding": (op) => `embedding ${shape(op, 0).map(show).join(" x ")}`,
  "nn.activation": functionOf,
  "nn.gated": (op) => `gate, ${functionOf(op)}`,
  "nn.softmax": (op) => `softmax over ${show(shape(op, 0).at(intAttr(op, "axis")))}`,
  "nn.residual": () => "residual sum",
  "nn.rope": (op) =>
    list([
      `rotary positions on ${show(shape(op, 0).at(-1))}`,
      boolAttr(op, "interleaved") && "interleaved",
    ]),
  "nn.cache_append": (op) => `cache of ${show(shape(op, 0).at(intAttr(op, "axis")))} positions`,
  "nn.router": router,
  "nn.combine": (op) => `sum over ${op.operands.length - 1} experts`,
};

/** Of an operation that was not recognised: the operator and the shapes that it reads. */
function plain(op: Op): string {
  const operands = op.operands.map((v) => (v ? `[${v.type.shape.map(show).join(", ")}]` : "-"));
  return `${op.kind.replace(/^onnx\./, "")} of ${operands.join(", ")}`;
}

export const wordsOf = (op: Op): string => (WORDS[op.kind] ?? plain)(op);
