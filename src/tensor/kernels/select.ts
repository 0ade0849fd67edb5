/** TopK and OneHot. */

import { allocate, sizeOf, type Tensor } from "../tensor.ts";
import { axisOf, flag, type Kernel, type KernelTable, num, operand } from "./kernel.ts";
import { int64, isBig, lanes, scalar } from "./lanes.ts";
import { rowsOver } from "./reduce.ts";
import { bitsOf, transposed } from "./strided.ts";

/**
 * Positions of the k largest (or smallest) of n values from `at`, best first; of equal values the
 * lower position comes first. NaN counts as larger than everything, as in ONNX Runtime.
 */
export function topPositions(
  values: ArrayLike<number | bigint>,
  at: number,
  n: number,
  k: number,
  largest: boolean,
): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  const sign = largest ? 1 : -1;
  order.sort((i, j) => {
    const [a, b] = [values[at + i] as number, values[at + j] as number];
    if (a === b) return i - j;
    if (Number.isNaN(a)) return Number.isNaN(b) ? i - j : -sign;
    return Number.isNaN(b) || a < b ? sign : -sign;
  });
  return order.slice(0, k);
}

const topK: Kernel = (call) => {
  const x = operand(call, 0);
  const k = scalar(operand(call, 1));
  const axis = axisOf(num(call, "axis", -1), x.shape.length);
  const largest = flag(call, "largest", true);
  const { tensor, width, count } = rowsOver(x, [axis]);
  const keys = isBig(x.elem) ? (tensor.data as BigInt64Array) : lanes(tensor);
  const data = allocate(x.elem, count * k);
  const positions = new Array<number>(count * k);
  const [from, to] = [bitsOf(tensor.data), bitsOf(data)];
  for (let row = 0; row < count; row++) {
    topPositions(keys, row * width, width, k, largest).forEach((p, i) => {
      positions[row * k + i] = p;
      to[row * k + i] = from[row * width + p] as number;
    });
  }
  const shape = [...tensor.shape.slice(0, -1), k];
  // The axis went last for the search; this puts it back.
  const last = x.shape.length - 1;
  const back = x.shape.map((_, i) => (i < axis ? i : i === axis ? last : i - 1));
  return [{ elem: x.elem, shape, data }, int64(positions, shape)].map((t) =>
    axis === last ? t : transposed(t, back),
  );
};

const oneHot: Kernel = (call) => {
  const [indices, values] = [operand(call, 0), operand(call, 2)];
  const depth = scalar(operand(call, 1));
  const axis = axisOf(num(call, "axis", -1), indices.shape.length + 1);
  const shape = indices.shape.toSpliced(axis, 0, depth);
  const inner = sizeOf(indices.shape.slice(axis));
  const data = allocate(values.elem, sizeOf(shape));
  const [to, [off, on]] = [bitsOf(data), bitsOf(values.data)];
  to.fill(off as number);
  lanes(indices).forEach((index, i) => {
    const at = index < 0 ? index + depth : index;
    // An index outside the depth leaves its row without a one.
    if (at < 0 || at >= depth) return;
    to[(Math.floor(i / inner) * depth + at) * inner + (i % inner)] = on as number;
  });
  return [{ elem: values.elem, shape, data } satisfies Tensor];
};

export const SELECT: KernelTable = { TopK: topK, OneHot: oneHot };
