/** Operators of the com.microsoft domain that ONNX Runtime's optimiser puts in place of others. */

import type { Tensor } from "../tensor.ts";
import { plus } from "./elementwise.ts";
import { take } from "./gather.ts";
import {
  type Kernel,
  type KernelCall,
  KernelFault,
  type KernelTable,
  maybe,
  num,
  operand,
  text,
} from "./kernel.ts";
import { lanes } from "./lanes.ts";
import { gemm } from "./matmul.ts";
import { normaliseLast } from "./norm.ts";
import { activation, type Fn, map, QUICK_GELU_ALPHA } from "./unary.ts";

/** x, with the optional operand `i` added. */
function biased(call: KernelCall, i: number): Tensor {
  const bias = maybe(call, i);
  return bias ? plus(operand(call, 0), bias) : operand(call, 0);
}

const quickGelu: Kernel = (call) => {
  const alpha = num(call, "alpha", QUICK_GELU_ALPHA);
  return [map(operand(call, 0), (x) => x / (1 + Math.exp(-alpha * x)))];
};

/** Names as FusedGemm's attribute spells them. */
const FUSED: Readonly<Record<string, Fn>> = {
  Relu: activation("relu"),
  Tanh: Math.tanh,
  Sigmoid: activation("sigmoid"),
  Softplus: activation("softplus"),
};

const fusedGemm: Kernel = (call) => {
  const sum = gemm(call);
  const name = text(call, "activation", "");
  if (name === "") return [sum];
  const leak = num(call, "activation_alpha", 0.01);
  const f = name === "LeakyRelu" ? (x: number) => (x < 0 ? leak * x : x) : FUSED[name];
  if (!f) throw new KernelFault(`FusedGemm has no activation '${name}'`);
  return [map(sum, f)];
};

/** Microsoft's default, much smaller than ONNX's. */
const SKIP_EPSILON = 1e-12;

/** input + skip, and the bias; the skip may lack the batch axis. */
function skipSum(call: KernelCall, biasAt: number): Tensor {
  const sum = plus(operand(call, 0), operand(call, 1));
  const bias = maybe(call, biasAt);
  return bias ? plus(sum, bias) : sum;
}

/** Results: the normalised sum, the mean and inverse deviation of each row, the sum itself. */
const skipLayerNorm: Kernel = (call) => {
  const sum = skipSum(call, 4);
  const [scale, bias] = [operand(call, 2), maybe(call, 3)];
  return [...normaliseLast(sum, scale, bias, num(call, "epsilon", SKIP_EPSILON)), sum];
};

const skipRmsNorm: Kernel = (call) => {
  const sum = skipSum(call, 3);
  const epsilon = num(call, "epsilon", SKIP_EPSILON);
  return [...normaliseLast(sum, operand(call, 2), null, epsilon, false), sum];
};

/** How many tokens of each batch entry the mask keeps; 0 without a mask. */
function maskLengths(mask: Tensor | null, batch: number): Tensor {
  const data = new Int32Array(batch);
  if (mask) {
    const tokens = mask.data.length / batch;
    lanes(mask).forEach((v, i) => {
      const b = Math.floor(i / tokens);
      if (v === 1) data[b] = (data[b] as number) + 1;
    });
  }
  return { elem: "i32", shape: [batch], data };
}

/** Operands: ids, segments?, word, position, segment?, gamma, beta, mask?, position ids?. */
const embedLayerNorm: Kernel = (call) => {
  const ids = operand(call, 0);
  const [batch = 1, tokens = 1] = ids.shape;
  const word = take(operand(call, 2), ids, 0);
  const positions = operand(call, 3);
  const given = maybe(call, 8);
  const width = positions.shape[1] ?? 1;
  const first = {
    ...positions,
    shape: [tokens, width],
    data: positions.data.subarray(0, tokens * width),
  };
  let sum = plus(word, given ? take(positions, given, 0) : first);
  const [segments, table] = [maybe(call, 1), maybe(call, 4)];
  if (table && segments) sum = plus(sum, take(table, segments, 0));
  const epsilon = num(call, "epsilon", SKIP_EPSILON);
  const [y] = normaliseLast(sum, operand(call, 5), operand(call, 6), epsilon);
  return [y, maskLengths(maybe(call, 7), batch), sum];
};

export const MICROSOFT: KernelTable = {
  "com.microsoft.Gelu": (call) => [map(operand(call, 0), activation("gelu_erf"))],
  "com.microsoft.FastGelu": (call) => [map(biased(call, 1), activation("gelu_tanh"))],
  "com.microsoft.BiasGelu": (call) => [map(biased(call, 1), activation("gelu_erf"))],
  "com.microsoft.QuickGelu": quickGelu,
  "com.microsoft.FusedGemm": fusedGemm,
  "com.microsoft.SkipLayerNormalization": skipLayerNorm,
  "com.microsoft.SkipSimplifiedLayerNormalization": skipRmsNorm,
  "com.microsoft.EmbedLayerNormalization": embedLayerNorm,
};
