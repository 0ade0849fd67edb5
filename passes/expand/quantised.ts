/** Products with quantised weights, of ONNX Runtime's domain. */

import { intAttr } from "../../src/ir/attrs.ts";
import type { Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { cast } from "../../src/tensor/kernels/cast.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { dequantised } from "./block-weights.ts";
import { type Builder, cannot } from "./builder.ts";
import type { Expansion } from "./expansion.ts";
import { add, dimOf, elemOf } from "./write.ts";

/** The values of an operand that must be a constant. */
export function constantOf(b: Builder, v: Value | null | undefined, what: string): Tensor {
  return b.valueOf(v) ?? cannot(`its ${what} are not constant`);
}

/** Operands: a, codes [N, blocks, bytes], scales, zero points?, block of each column?, bias?. */
const matMulNBits: Expansion = (b, op, [x, codes, scales, zeros, groups, bias]) => {
  if (!codes) cannot("it has no weights");
  if (intAttr(op, "weight_prepacked", 0) !== 0) cannot("its weights are packed for one processor");
  const [rows, columns] = [intAttr(op, "N"), intAttr(op, "K")];
  const order = groups ? toNumbers(constantOf(b, groups, "groups")) : null;
  const { data } = dequantised({
    codes: constantOf(b, codes, "weights"),
    bytes: dimOf(codes, 1) * dimOf(codes, 2),
    rows,
    columns,
    bits: intAttr(op, "bits", 4),
    scales: constantOf(b, scales, "scales"),
    zeros: zeros ? constantOf(b, zeros, "zero points") : null,
    block: intAttr(op, "block_size"),
    ...(order ? { blockOf: (c: number) => order[c] ?? 0 } : {}),
  });
  const weight = { elem: "f32", shape: [columns, rows], data } as const;
  return [add(b, b.op("MatMul", [x, b.weight(cast(weight, elemOf(x)), codes)]), bias)];
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
