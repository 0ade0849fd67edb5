/** Conversion between element types. */

import { fromNumbers } from "../convert.ts";
import { allocate, type Elem, isFloat, type Tensor } from "../tensor.ts";
import { elemAttr, type KernelTable, operand } from "./kernel.ts";
import { bigLanes, isBig, lanes } from "./lanes.ts";

/** The smallest integer of an element type, and one past the largest. */
function range(elem: Elem): { readonly low: number; readonly bits: number } {
  const bits = Number(/\d+$/.exec(elem)?.[0] ?? 8);
  return { bits, low: elem.startsWith("u") ? 0 : -(2 ** (bits - 1)) };
}

/** ONNX's Cast: floats truncate toward zero and wrap into integers; to bool, anything but 0 is true. */
export function cast(t: Tensor, to: Elem): Tensor {
  if (t.elem === to) return t;
  if (to === "i1") {
    return { elem: to, shape: t.shape, data: Uint8Array.from(lanes(t), (v) => (v === 0 ? 0 : 1)) };
  }
  if (isBig(to)) return castBig(t, to);
  if (isBig(t.elem) && !isFloat(to)) return wrapBig(t, to);
  return fromNumbers(to, t.shape, lanes(t));
}

function castBig(t: Tensor, to: Elem): Tensor {
  const data = allocate(to, t.data.length) as BigInt64Array;
  if (isFloat(t.elem)) {
    const { low } = range("i64");
    lanes(t).forEach((v, i) => {
      data[i] = Number.isFinite(v) ? BigInt(Math.trunc(v)) : BigInt(low);
    });
  } else {
    bigLanes(t).forEach((v, i) => {
      data[i] = v;
    });
  }
  return { elem: to, shape: t.shape, data };
}

/** The low bits of 64-bit integers: doubles would lose them beyond 2^53. */
function wrapBig(t: Tensor, to: Elem): Tensor {
  const { bits, low } = range(to);
  const wrap = low < 0 ? BigInt.asIntN : BigInt.asUintN;
  const data = allocate(to, t.data.length) as Int32Array;
  bigLanes(t).forEach((v, i) => {
    data[i] = Number(wrap(bits, v));
  });
  return { elem: to, shape: t.shape, data };
}

export const CAST: KernelTable = {
  Cast: (call) => [cast(operand(call, 0), elemAttr(call, "to", "f32"))],
  CastLike: (call) => [cast(operand(call, 0), operand(call, 1).elem)],
};
