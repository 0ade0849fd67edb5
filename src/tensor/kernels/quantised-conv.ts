/** Convolutions of integers: exact sums, and for QLinearConv their rounding to the result's scale. */

import { sizeOf, type Tensor } from "../tensor.ts";
import { conv } from "./conv.ts";
import { type Kernel, type KernelCall, type KernelTable, maybe, operand } from "./kernel.ts";
import { lanes, seal, workspace } from "./lanes.ts";
import { limits, saturate } from "./quantise.ts";
import { roundEven } from "./unary.ts";

/** x - zero as doubles, which hold every sum of products; a list of zero points is one per filter. */
function centred(x: Tensor, zero: Tensor | null): Tensor {
  const from = lanes(x);
  const zeros = zero ? lanes(zero) : [0];
  const inner = zeros.length === 1 ? from.length : sizeOf(x.shape.slice(1));
  const data = Float64Array.from(from, (v, i) => v - (zeros[Math.floor(i / inner)] as number));
  return { elem: "f64", shape: x.shape, data };
}

const sums = (call: KernelCall, x: Tensor, w: Tensor): Tensor =>
  conv({ ...call, inputs: [x, w, null] })[0] as Tensor;

const convInteger: Kernel = (call) => {
  const x = centred(operand(call, 0), maybe(call, 2));
  const y = sums(call, x, centred(operand(call, 1), maybe(call, 3)));
  return [{ elem: "i32", shape: y.shape, data: Int32Array.from(lanes(y)) }];
};

/** Operands: x, its scale and zero point, w, its, the result's scale and zero point, bias?. */
const qLinearConv: Kernel = (call) => {
  const y = sums(
    call,
    centred(operand(call, 0), operand(call, 2)),
    centred(operand(call, 3), operand(call, 5)),
  );
  const [features = 1, ...places] = y.shape.slice(1);
  const [scales, bias] = [lanes(operand(call, 4)), maybe(call, 8)];
  const added = bias ? lanes(bias) : null;
  const [own, result] = [1, 6].map((i) => lanes(operand(call, i))[0] as number) as [number, number];
  const zero = operand(call, 7);
  const range = limits(zero.elem);
  const from = lanes(y);
  const out = workspace(zero.elem, from.length);
  for (let i = 0; i < out.length; i++) {
    const channel = Math.floor(i / sizeOf(places)) % features;
    const sum = (from[i] as number) + (added ? (added[channel] as number) : 0);
    // In single precision, as ONNX Runtime does: it decides on which side of a tie a sum lies.
    const by = scales[scales.length === 1 ? 0 : channel] as number;
    const factor = Math.fround(Math.fround(own * by) / result);
    const level = roundEven(Math.fround(Math.fround(sum) * factor));
    out[i] = saturate(level + (lanes(zero)[0] as number), range);
  }
  return [seal(zero.elem, y.shape, out)];
};

export const QUANTISED_CONV: KernelTable = { ConvInteger: convInteger, QLinearConv: qLinearConv };
