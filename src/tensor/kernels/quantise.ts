/** Between real numbers and small integers: ONNX's linear quantisation and integer products. */

import { type Elem, sizeOf, type Tensor } from "../tensor.ts";
import { cast } from "./cast.ts";
import {
  axisOf,
  elemAttr,
  type Kernel,
  type KernelCall,
  type KernelTable,
  maybe,
  num,
  operand,
} from "./kernel.ts";
import { type Lanes, lanes, scalar, seal, workspace } from "./lanes.ts";
import { matmulOf } from "./matmul.ts";
import { roundEven } from "./unary.ts";

/** Smallest and largest value of an integer type. */
export function limits(elem: Elem): readonly [number, number] {
  const bits = Number(/\d+$/.exec(elem)?.[0]);
  return elem.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

export function saturate(value: number, [low, high]: readonly [number, number]): number {
  return Math.max(low, Math.min(high, value));
}

/**
 * Which scale belongs to element i of x: the only one; one for each index of the axis; or one for
 * each block of `block_size` along it.
 */
function scaleIndex(call: KernelCall, x: Tensor, scale: Tensor): (i: number) => number {
  if (scale.data.length === 1) return () => 0;
  const axis = axisOf(num(call, "axis", 1), x.shape.length);
  const size = x.shape[axis] ?? 1;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const block = num(call, "block_size", 0);
  if (block === 0) return (i) => Math.floor(i / inner) % size;
  const blocks = scale.shape[axis] ?? 1;
  return (i) => {
    const along = Math.floor(i / inner) % size;
    const outer = Math.floor(i / (inner * size));
    return (outer * blocks + Math.floor(along / block)) * inner + (i % inner);
  };
}

const quantizeLinear: Kernel = (call) => {
  const [x, scale, zero] = [operand(call, 0), operand(call, 1), maybe(call, 2)];
  const elem = zero?.elem ?? elemAttr(call, "output_dtype", "ui8");
  const [from, scales, zeros] = [lanes(x), lanes(scale), zero && lanes(zero)];
  const at = scaleIndex(call, x, scale);
  const range = limits(elem);
  const out = workspace(elem, from.length);
  for (let i = 0; i < out.length; i++) {
    const s = at(i);
    // The quotient is rounded to single precision first, as the reference does.
    const level = roundEven(Math.fround((from[i] as number) / (scales[s] as number)));
    out[i] = saturate(level + (zeros ? (zeros[s] as number) : 0), range);
  }
  return [seal(elem, x.shape, out)];
};

const dequantizeLinear: Kernel = (call) => {
  const [x, scale, zero] = [operand(call, 0), operand(call, 1), maybe(call, 2)];
  const [from, scales, zeros] = [lanes(x), lanes(scale), zero && lanes(zero)];
  const at = scaleIndex(call, x, scale);
  const elem = elemAttr(call, "output_dtype", scale.elem);
  const out = workspace(elem, from.length);
  for (let i = 0; i < out.length; i++) {
    const s = at(i);
    out[i] = ((from[i] as number) - (zeros ? (zeros[s] as number) : 0)) * (scales[s] as number);
  }
  return [seal(elem, x.shape, out)];
};

/** To uint8, over the range of the values and zero. */
const dynamicQuantizeLinear: Kernel = (call) => {
  const x = operand(call, 0);
  const from = lanes(x);
  let [low, high] = [0, 0];
  for (const v of from) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  const range = limits("ui8");
  // ONNX's formula has no scale for zeros alone; ONNX Runtime takes 1.
  const scale = high === low ? 1 : Math.fround(Math.fround(high - low) / 255);
  const zero = saturate(roundEven(Math.fround(-low / scale)), range);
  const out = Uint8Array.from(from, (v) =>
    saturate(roundEven(Math.fround(v / scale)) + zero, range),
  );
  return [
    { elem: "ui8", shape: x.shape, data: out },
    { elem: "f32", shape: [], data: Float32Array.of(scale) },
    { elem: "ui8", shape: [], data: Uint8Array.of(zero) },
  ];
};

/** x - zero as int32; a zero point for each row (A) or each column (B) is a vector. */
function centred(x: Tensor, zero: Tensor | null, perRow: boolean): Tensor {
  const wide = cast(x, "i32");
  if (!zero) return wide;
  const zeros = lanes(zero);
  const columns = x.shape.at(-1) ?? 1;
  const rows = x.shape.at(-2) ?? 1;
  const index = (i: number) => (perRow ? Math.floor(i / columns) % rows : i % columns);
  const pick = zeros.length === 1 ? () => 0 : index;
  const data = Int32Array.from(wide.data as Int32Array, (v, i) => v - (zeros[pick(i)] as number));
  return { elem: "i32", shape: x.shape, data };
}

const integerProduct = (a: Tensor, aZero: Tensor | null, b: Tensor, bZero: Tensor | null): Tensor =>
  matmulOf(centred(a, aZero, true), centred(b, bZero, false));

const matMulInteger: Kernel = (call) => [
  integerProduct(operand(call, 0), maybe(call, 2), operand(call, 1), maybe(call, 3)),
];

/** Operands: a, its scale and zero point, b, its scale and zero point, the result's scale and zero. */
const qLinearMatMul: Kernel = (call) => {
  const sums = integerProduct(
    operand(call, 0),
    operand(call, 2),
    operand(call, 3),
    operand(call, 5),
  );
  const zero = operand(call, 7);
  const [a, b] = [lanes(operand(call, 1)), lanes(operand(call, 4))];
  const y = scalar(operand(call, 6));
  const from = lanes(sums);
  const [columns, rows] = [sums.shape.at(-1) ?? 1, sums.shape.at(-2) ?? 1];
  // In single precision, as ONNX Runtime does: it decides on which side of a tie a sum lies.
  const factor = (i: number): number =>
    Math.fround(
      Math.fround(scaleAt(a, Math.floor(i / columns) % rows) * scaleAt(b, i % columns)) / y,
    );
  const range = limits(zero.elem);
  const out = workspace(zero.elem, from.length);
  for (let i = 0; i < out.length; i++) {
    const level = roundEven(Math.fround(Math.fround(from[i] as number) * factor(i)));
    out[i] = saturate(level + scalar(zero), range);
  }
  return [seal(zero.elem, sums.shape, out)];
};

const scaleAt = (scales: Lanes, i: number): number => scales[scales.length === 1 ? 0 : i] as number;

export const QUANTISE: KernelTable = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
  MatMulInteger: matMulInteger,
  QLinearMatMul: qLinearMatMul,
};
