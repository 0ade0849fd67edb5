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

/**
 * ONNX's Cast: floats truncate toward zero; to bool, anything but 0 is true. What ONNX leaves open, floats that
 * no integer of the type holds, becomes what ONNX Runtime makes of it on x86, whose conversions give the least
 * integer of 32 or 64 bits for them, of which a narrower type keeps the low bits.
 */
export function cast(t: Tensor, to: Elem): Tensor {
  if (t.elem === to) return t;
  if (to === "i1") {
    return { elem: to, shape: t.shape, data: Uint8Array.from(lanes(t), (v) => (v === 0 ? 0 : 1)) };
  }
  if (isBig(to)) return castBig(t, to);
  if (isBig(t.elem) && !isFloat(to)) return wrapBig(t, to);
  if (isFloat(t.elem) && !isFloat(to)) return truncated(t, to);
  return fromNumbers(to, t.shape, lanes(t));
}

/** x86 converts to 32 signed bits, or to 64 where those of a ui32 would not fit. */
function truncated(t: Tensor, to: Elem): Tensor {
  const bound = to === "ui32" ? 2 ** 63 : 2 ** 31;
  const isHeld = (v: number): boolean => v > -bound - 1 && v < bound;
  const held = Float64Array.from(lanes(t), (v) => (isHeld(v) ? v : -bound));
  return fromNumbers(to, t.shape, held);
}

function castBig(t: Tensor, to: Elem): Tensor {
  const data = allocate(to, t.data.length) as BigInt64Array;
  if (isFloat(t.elem)) {
    const bound = 2 ** (to === "ui64" ? 64 : 63);
    const isHeld = (v: number): boolean => v >= -(2 ** 63) && v < bound;
    // Without a sign, x86 converts what is above 2^63 less that.
    const above = to === "ui64" ? 0n : -(2n ** 63n);
    lanes(t).forEach((v, i) => {
      if (isHeld(v)) data[i] = BigInt(Math.trunc(v));
      else data[i] = v >= bound ? above : -(2n ** 63n);
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
