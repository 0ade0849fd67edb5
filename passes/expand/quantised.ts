/** Products with quantised weights, of ONNX Runtime's domain. */

import { intAttr } from "../../src/ir/attrs.ts";
import type { Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { cast } from "../../src/tensor/kernels/cast.ts";
import { besideScaled, dequantised, unpacked } from "./block-weights.ts";
import { type Builder, cannot } from "./builder.ts";
import type { Expansion } from "./expansion.ts";
import { add, castTo, dimsOf, elemOf, reshape, transpose } from "./write.ts";

/** The order that puts the columns of each group side by side, where each has a block's number of them. */
function orderOf(b: Builder, groups: Value, block: number): readonly number[] | undefined {
  const group = toNumbers(b.valueOf(groups) ?? cannot("its groups are not constant"));
  const order = group.map((_, c) => c).sort((i, j) => Number(group[i]) - Number(group[j]));
  if (!order.every((c, at) => group[c] === Math.floor(at / block))) {
    cannot(`its groups do not have ${block} columns each`);
  }
  return order.every((c, at) => c === at) ? undefined : order;
}

/** The sums of x [..., K] over each block, [..., blocks]. */
function blockSums(b: Builder, x: Value, block: number): Value {
  const shape = dimsOf(x);
  const [width = 1] = shape.slice(-1);
  const blocks = Math.ceil(width / block);
  const missing = blocks * block - width;
  const pads = [...new Array(2 * shape.length - 1).fill(0), missing];
  const padded = missing > 0 ? b.op("Pad", [x, b.ints(pads)], { mode: "constant" }) : x;
  const parts = reshape(b, padded, [...shape.slice(0, -1), blocks, block]);
  return b.op("ReduceSum", [parts, b.ints([-1])], { keepdims: 0 });
}

/** Operands: a, codes [N, blocks, bytes], scales, zero points?, block of each column?, bias?. */
const matMulNBits: Expansion = (b, op, [x, codes, scales, zeros, groups, bias]) => {
  if (!codes || !scales) cannot("it has no weights");
  if (intAttr(op, "weight_prepacked", 0) !== 0) cannot("its weights are packed for one processor");
  const [rows, columns] = [intAttr(op, "N"), intAttr(op, "K")];
  const block = intAttr(op, "block_size");
  const order = groups ? orderOf(b, groups, block) : undefined;
  const bits = intAttr(op, "bits", 4);
  const matrix = unpacked(b, { codes, bits, shape: [rows, columns], block, scales, zeros, order });
  const read = order ? b.op("Gather", [x, b.ints(order)], { axis: dimsOf(x).length - 1 }) : x;
  const real = castTo(b, dequantised(b, matrix, block), elemOf(x));
  let y = b.op("MatMul", [read, transpose(b, real, [1, 0])]);
  const given = b.valueOf(scales);
  const offsets = given && besideScaled(matrix, given);
  if (offsets) {
    const table = b.weight(cast(offsets, elemOf(x)), scales);
    y = b.op("Add", [y, b.op("MatMul", [blockSums(b, read, block), table])]);
  }
  return [add(b, y, bias)];
};

/** The integer product in real numbers: times both scales, plus the bias. */
function scaledBack(b: Builder, product: Value, sa: Value, sb: Value, bias?: Value | null): Value {
  const real = b.op("Cast", [product], { to: 1 });
  return add(b, b.op("Mul", [real, b.op("Mul", [sa, sb])]), bias);
}

/** Operands: a, b, scale of b, zero point of b?, bias?. */
const dynamicQuantizeMatMul: Expansion = (b, _, [x, w, scale, zero, bias]) => {
  if (!w || !scale) cannot("it has no weights");
  const [codes, sa, za] = b.several("DynamicQuantizeLinear", [x], 3);
  if (!codes || !sa || !za) throw new Error("quantising gives three results");
  const product = b.op("MatMulInteger", [codes, w, za, ...(zero ? [zero] : [])]);
  return [scaledBack(b, product, sa, scale, bias)];
};

/** Operands: a, b, scale of a, scale of b, zero point of a?, zero point of b?, bias?. */
const matMulIntegerToFloat: Expansion = (b, _, [x, w, sa, sb, za, zb, bias]) => {
  if (!w || !sa || !sb) cannot("it has no scales");
  const product = b.op("MatMulInteger", [x, w, za ?? null, zb ?? null]);
  return [scaledBack(b, product, sa, sb, bias)];
};

export const QUANTISED: Readonly<Record<string, Expansion>> = {
  "onnx.com.microsoft.MatMulNBits": matMulNBits,
  "onnx.com.microsoft.DynamicQuantizeMatMul": dynamicQuantizeMatMul,
  "onnx.com.microsoft.MatMulIntegerToFloat": matMulIntegerToFloat,
};
