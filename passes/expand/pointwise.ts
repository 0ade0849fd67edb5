/** Activations, and products that are fused with what comes before or after them. */

import { floatAttr, floatsAttr, intAttr, stringAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { type Builder, cannot } from "./builder.ts";
import type { Expansion } from "./expansion.ts";
import { add, castTo, dimsOf, elemOf, flipped, reshape, scaled, transpose } from "./write.ts";

const gelu =
  (approximate: "none" | "tanh"): Expansion =>
  (b, _, [x, bias]) => [b.op("Gelu", [add(b, x, bias)], { approximate })];

/** x sigmoid(alpha x). */
const quickGelu: Expansion = (b, op, [x]) => {
  const inner = scaled(b, x, floatAttr(op, "alpha", 1.702));
  return [b.op("Mul", [x, b.op("Sigmoid", [inner])])];
};

/** The operand with its axes in the order in which they are multiplied. */
function side(b: Builder, op: Op, x: Value, letter: "A" | "B"): Value {
  const rank = dimsOf(x).length;
  const flag = (name: string) => intAttr(op, `${name}${letter}`, 0) !== 0;
  // The first axis of the file is the rows; the batch axes come after it.
  const order = [...Array(rank).keys()].slice(1, -1).concat(0, rank - 1);
  const rows = flag("transBatch") && rank > 2 ? transpose(b, x, order) : x;
  return flag("trans") && rank > 1 ? flipped(b, rows) : rows;
}

const fusedMatMul: Expansion = (b, op, [x, y]) => {
  if (!y) cannot("it has one factor");
  const product = b.op("MatMul", [side(b, op, x, "A"), side(b, op, y, "B")]);
  return [scaled(b, product, floatAttr(op, "alpha", 1))];
};

/** Activations of FusedGemm that are one operation. */
const ACTIVATIONS: Readonly<Record<string, string>> = {
  Relu: "Relu",
  Tanh: "Tanh",
  Sigmoid: "Sigmoid",
  Softplus: "Softplus",
  Softsign: "Softsign",
};

const fusedGemm: Expansion = (b, op, operands) => {
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = op.attrs;
  const [x, ...rest] = operands;
  const gemm = b.op("Gemm", [x, ...rest.map((v) => v ?? null)], { alpha, beta, transA, transB });
  const name = stringAttr(op, "activation", "");
  if (name === "") return [gemm];
  if (name === "LeakyRelu") {
    return [b.op("LeakyRelu", [gemm], { alpha: floatAttr(op, "activation_alpha", 0.01) })];
  }
  const type = ACTIVATIONS[name] ?? cannot(`its activation '${name}' is not supported`);
  return [b.op(type, [gemm])];
};

/** Numbers that say more about an activation, in the order in which ONNX Runtime keeps them. */
function activated(b: Builder, op: Op, x: Value): Value {
  const name = stringAttr(op, "activation", "");
  const [alpha = 0, beta = 0] = floatsAttr(op, "activation_params");
  const [low, high] = [alpha, beta].map((n) => b.number(elemOf(x), n));
  if (name === "") return x;
  if (name === "LeakyRelu") return b.op("LeakyRelu", [x], { alpha });
  if (name === "HardSigmoid") return b.op("HardSigmoid", [x], { alpha, beta });
  if (name === "Clip") return b.op("Clip", [x, low ?? null, high ?? null]);
  return b.op(ACTIVATIONS[name] ?? cannot(`its activation '${name}' is not supported`), [x]);
}

/** Operands: x, weight, bias?, what is added before the activation?. */
const fusedConv: Expansion = (b, op, [x, w, bias, sum]) => {
  if (!w) cannot("it has no weights");
  const { activation, activation_params, ...attrs } = op.attrs;
  const y = b.op("Conv", [x, w, ...(bias ? [bias] : [])], attrs);
  return [activated(b, op, add(b, y, sum))];
};

const gemmFastGelu: Expansion = (b, _, [x, w, bias]) => {
  if (!w) cannot("it has one factor");
  return [b.op("Gelu", [add(b, b.op("MatMul", [x, w]), bias)], { approximate: "tanh" })];
};

const expandDims: Expansion = (b, _, [x, axis]) => {
  if (!axis) cannot("it has no axis");
  return [b.op("Unsqueeze", [x, reshape(b, castTo(b, axis, "i64"), [1])])];
};

export const POINTWISE: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.Gelu": gelu("none"),
  "onnx.com.microsoft.BiasGelu": gelu("none"),
  "onnx.com.microsoft.FastGelu": gelu("tanh"),
  "onnx.com.microsoft.QuickGelu": quickGelu,
  "onnx.com.microsoft.FusedMatMul": fusedMatMul,
  "onnx.com.microsoft.TransposeMatMul": fusedMatMul,
  "onnx.com.microsoft.FusedGemm": fusedGemm,
  "onnx.com.microsoft.FusedConv": fusedConv,
  "onnx.com.microsoft.GemmFastGelu": gemmFastGelu,
  "onnx.com.microsoft.Trilu": (b, op, [x, k]) => [b.op("Trilu", k ? [x, k] : [x], op.attrs)],
  "onnx.com.microsoft.ExpandDims": expandDims,
};
