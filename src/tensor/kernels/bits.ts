/** Operations on the bits of integers, and one on those of any element. */

import { allocate, bytesPer, type Elem, type Tensor } from "../tensor.ts";
import { type Arithmetic, apply } from "./elementwise.ts";
import { elemAttr, type Kernel, KernelFault, type KernelTable, operand, text } from "./kernel.ts";
import { type BigLanes, isBig, type Lanes } from "./lanes.ts";

type NumberOp = (x: number, y: number) => number;

/** JavaScript's operators see 32 bits; storing them drops what a narrower type does not hold. */
const bitwise = (int: NumberOp, big: (x: bigint, y: bigint) => bigint): Arithmetic => ({
  int,
  big,
  float: () => {
    throw new KernelFault("bits of floats are not combined");
  },
});

const binary =
  (how: Arithmetic): Kernel =>
  (call) => [apply(how, operand(call, 0), operand(call, 1))];

const not: Kernel = (call) => {
  const x = operand(call, 0);
  const data = x.data.slice();
  if (isBig(x.elem)) flip(data as BigLanes, (v) => ~v);
  else flip(data as Lanes, (v) => ~v);
  return [{ elem: x.elem, shape: x.shape, data }];
};

function flip<T>(data: { [i: number]: T; readonly length: number }, op: (v: T) => T): void {
  for (let i = 0; i < data.length; i++) data[i] = op(data[i] as T);
}

// Only unsigned integers are shifted. As many places as there are bits, or more, leave nothing; JavaScript
// counts places modulo 32.
const left = bitwise(
  (x, places) => (places > 31 ? 0 : x << places),
  (x, places) => (places > 63n ? 0n : x << places),
);
const right = bitwise(
  (x, places) => (places > 31 ? 0 : x >>> places),
  (x, places) => x >> places,
);

/** The same bytes read as another element type of equal width. */
function bitCast(t: Tensor, to: Elem): Tensor {
  if (bytesPer(t.elem) !== bytesPer(to)) {
    throw new KernelFault(`${t.elem} and ${to} differ in width`);
  }
  const data = allocate(to, t.data.length);
  const { buffer, byteOffset, byteLength } = t.data;
  new Uint8Array(data.buffer).set(new Uint8Array(buffer, byteOffset, byteLength));
  return { elem: to, shape: t.shape, data };
}

export const BITS: KernelTable = {
  BitwiseAnd: binary(
    bitwise(
      (x, y) => x & y,
      (x, y) => x & y,
    ),
  ),
  BitwiseOr: binary(
    bitwise(
      (x, y) => x | y,
      (x, y) => x | y,
    ),
  ),
  BitwiseXor: binary(
    bitwise(
      (x, y) => x ^ y,
      (x, y) => x ^ y,
    ),
  ),
  BitwiseNot: not,
  BitShift: (call) => binary(text(call, "direction") === "LEFT" ? left : right)(call),
  BitCast: (call) => {
    const x = operand(call, 0);
    return [bitCast(x, elemAttr(call, "to", x.elem))];
  },
};
