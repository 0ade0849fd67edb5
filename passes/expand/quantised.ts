/** Products with quantised weights, of ONNX Runtime's domain. */

import { intAttr } from "../../src/ir/attrs.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { toF32, toNumbers } from "../../src/tensor/convert.ts";
import { cast } from "../../src/tensor/kernels/cast.ts";
import { sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { besideScaled, dequantised, type Packed, unpacked } from "./block-weights.ts";
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

/** What the sixteen codes of QLoRA's 4-bit types stand for (Dettmers et al. 2023, appendix E): FP4 and NF4. */
const CODEBOOKS: readonly (readonly number[])[] = [
  [
    ...[0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4],
    ...[-0, -1 / 192, -2 / 3, -1, -1 / 3, -1 / 2, -1 / 6, -1 / 4],
  ],
  [
    ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453],
    ...[-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0],
    ...[0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224],
    ...[0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
  ],
];

/** Codes, the high half of a byte first, as real numbers: each block of them has its own largest. */
function decoded(
  codes: Tensor,
  largest: Tensor,
  book: readonly number[],
  block: number,
  size: number,
) {
  const [from, by] = [codes.data as Uint8Array, toF32(largest)];
  return Float32Array.from({ length: size }, (_, i) => {
    const byte = from[i >> 1] ?? 0;
    const code = i % 2 === 0 ? byte >> 4 : byte & 15;
    return (book[code] ?? 0) * (by[Math.floor(i / block)] ?? 0);
  });
}

/** Operands: a, codes of the matrix [N, K], the largest number of each block. */
const matMulBnb4: Expansion = (b, op, [x, codes, largest]) => {
  if (!codes || !largest) cannot("it has no weights");
  const shape = [intAttr(op, "N"), intAttr(op, "K")];
  const block = intAttr(op, "block_size");
  const book = CODEBOOKS[intAttr(op, "quant_type")] ?? cannot("its codes are of no known type");
  if (!b.isConstant(codes) || !b.isConstant(largest)) cannot("its weights are not constant");
  const elem = elemOf(x);
  const size = sizeOf(shape);
  const matrix = b.late(codes, "real", { elem, shape }, () => {
    const [from, by] = [codes, largest].map((v) => b.valueOf(v));
    if (!from || !by) throw new Error("a constant has no value");
    return cast({ elem: "f32", shape, data: decoded(from, by, book, block, size) }, elem);
  });
  const isStored = intAttr(op, "transB", 1) === 0;
  return [b.op("MatMul", [x, isStored ? matrix : transpose(b, matrix, [1, 0])])];
};

/** 4-bit integers as those of a byte, which is what each of them takes where they are looked up. */
function bytesOf(b: Builder, v: Value): Value {
  const elem = elemOf(v) === "i4" ? "i8" : elemOf(v) === "ui4" ? "ui8" : undefined;
  if (!elem) return v;
  const shape = dimsOf(v);
  return b.late(v, "bytes", { elem, shape }, () =>
    cast(b.valueOf(v) ?? cannot("its table is not constant"), elem),
  );
}

/** A table of integers, its scales, its zero points?; bytes hold `bits` each, as in a product's weights. */
function tableOf(
  b: Builder,
  op: Op,
  { codes, block, scales, zeros }: Omit<Packed, "bits" | "shape">,
): readonly Value[] {
  if (!b.isConstant(codes)) cannot("its table is not constant");
  if (elemOf(codes) !== "ui8") {
    return [bytesOf(b, codes), scales, ...(zeros ? [bytesOf(b, zeros)] : [])];
  }
  const bits = intAttr(op, "bits", 4);
  const stored = dimsOf(codes);
  const shape = stored.with(-1, ((stored.at(-1) ?? 1) * 8) / bits);
  const table = unpacked(b, { codes, bits, shape, block, scales, zeros });
  return [bytesOf(b, table.codes), table.scales, bytesOf(b, table.zeros)];
}

/** Operands: a table of integers, indices, scales, zero points?. */
const gatherBlockQuantized: Expansion = (b, op, [data, ids, scales, zeros]) => {
  if (!ids || !scales) cannot("it has no scales");
  const rank = dimsOf(data).length;
  const axisOf = (name: string, otherwise: number) => (intAttr(op, name, otherwise) + rank) % rank;
  const [axis, along] = [axisOf("gather_axis", 0), axisOf("quantize_axis", 1)];
  const block = intAttr(op, "block_size", 128);
  if (axis === along) cannot("it looks up along the axis that its blocks lie on");
  const rows = (v: Value) => b.op("Gather", [v, ids], { axis });
  const operands = tableOf(b, op, { codes: data, block, scales, zeros }).map(rows);
  const moved = along > axis ? dimsOf(ids).length - 1 : 0;
  return [b.op("DequantizeLinear", operands, { axis: along + moved, block_size: block })];
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
  "onnx.com.microsoft.MatMulBnb4": matMulBnb4,
  "onnx.com.microsoft.GatherBlockQuantized": gatherBlockQuantized,
  "onnx.com.microsoft.DynamicQuantizeMatMul": dynamicQuantizeMatMul,
  "onnx.com.microsoft.MatMulIntegerToFloat": matMulIntegerToFloat,
};
