/**
 * Products on a matrix engine that computes in halves (`engine` says which): operands are rounded to halves, every fused
 * multiply-add is, and what comes of it is as wide as x again.
 */

import { fromNumbers } from "../convert.ts";
import { addHalfProduct } from "../half-product.ts";
import { sizeOf, type Tensor } from "../tensor.ts";
import { plus, times } from "./elementwise.ts";
import { type KernelCall, KernelFault, maybe, num, operand, text } from "./kernel.ts";
import { lanes, seal } from "./lanes.ts";

export const isOnEngine = (call: KernelCall): boolean => text(call, "engine", "") !== "";

/** x W + bias for x [..., in] and W [in, out], in halves; the bias is added to what they have become. */
export function engineLinear(call: KernelCall): Tensor {
  const [x, bias] = [operand(call, 0), maybe(call, 1)];
  const y = as(x, product(x, operand(call, 3)));
  return bias ? plus(y, bias) : y;
}

/** y + scale · (x Aᵀ) Bᵀ for A [r, in] and B [out, r]; both products, and what is between them, are halves. */
export function engineLora(call: KernelCall): Tensor {
  const [x, y] = [operand(call, 0), operand(call, 1)];
  const branch = product(product(x, turned(operand(call, 2))), turned(operand(call, 3)));
  const scale = seal(x.elem, [], Float32Array.of(num(call, "scale", 1)));
  return plus(y, times(as(x, branch), scale));
}

const asHalves = (t: Tensor): Uint16Array =>
  (t.elem === "f16" ? t.data : fromNumbers("f16", t.shape, lanes(t)).data) as Uint16Array;

/** The same numbers in the element type of x, which is no narrower than a half. */
const as = (x: Tensor, t: Tensor): Tensor =>
  x.elem === "f16" ? t : seal(x.elem, t.shape, lanes(t));

function product(x: Tensor, w: Tensor): Tensor {
  const [n = 1, k = 1] = w.shape;
  if (w.shape.length !== 2 || x.shape.at(-1) !== n) {
    throw new KernelFault(`the matrix engine has no product of [${x.shape}] and [${w.shape}]`);
  }
  const heads = x.shape.slice(0, -1);
  const m = sizeOf(heads);
  const data = new Uint16Array(m * k);
  addHalfProduct(asHalves(x), asHalves(w), data, { m, n, k });
  return { elem: "f16", shape: [...heads, k], data };
}

function turned(t: Tensor): Tensor {
  const [rows = 1, columns = 1] = t.shape;
  const from = asHalves(t);
  const data = from.map((_, i) => from[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
  return { elem: "f16", shape: [columns, rows], data };
}
