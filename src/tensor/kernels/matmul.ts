/** Matrix products: MatMul, Gemm, the linear layer of the nn level, and Einsum's contraction. */

import { type BlockScales, realNumbers, wholeRows } from "../block-scales.ts";
import { matmul, type Sizes } from "../gemm.ts";
import { type Elem, float32s, isFloat, sizeOf, stridesOf, type Tensor } from "../tensor.ts";
import { plus, times } from "./elementwise.ts";
import { engineLinear, engineLora, isOnEngine } from "./engine.ts";
import {
  flag,
  type Kernel,
  type KernelCall,
  KernelFault,
  type KernelTable,
  maybe,
  num,
  operand,
} from "./kernel.ts";
import { type BigLanes, bigLanes, isBig, type Lanes, lanes, reshaped, seal } from "./lanes.ts";
import { broadcastShape, broadcastWalk, eachRow, transposed } from "./strided.ts";

/** out[m, n] = a[m, k] · b[k, n], row-major, each at the front of its array. */
type Product<T> = (a: T, b: T, out: T, sizes: Sizes) => void;

/** Doubles, and integers up to 32 bits, whose sums a double holds exactly. */
const inDoubles: Product<Lanes> = (a, b, out, { m, k, n }) => {
  const row = new Float64Array(n);
  for (let i = 0; i < m; i++) {
    row.fill(0);
    for (let p = 0; p < k; p++) {
      const x = a[i * k + p] as number;
      for (let j = 0; j < n; j++) row[j] = (row[j] as number) + x * (b[p * n + j] as number);
    }
    out.set(row, i * n);
  }
};

const inBigs: Product<BigLanes> = (a, b, out, { m, k, n }) => {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0n;
      for (let p = 0; p < k; p++) sum += (a[i * k + p] as bigint) * (b[p * n + j] as bigint);
      out[i * n + j] = sum;
    }
  }
};

/** What a part of can be seen without a copy. */
interface Parts<T> {
  subarray(from: number): T;
}

/** The product of two stacks of matrices, [..., m, k] and [..., k, n]; stacks broadcast. */
function stacked<T extends Parts<T>>(
  product: Product<T>,
  a: T,
  b: T,
  out: T,
  ta: Tensor,
  tb: Tensor,
  sizes: Sizes,
): void {
  const { m, k, n } = sizes;
  const [heads, others] = [ta.shape.slice(0, -2), tb.shape.slice(0, -2)];
  // One matrix for the whole stack: the stack's rows are rows of one product.
  if (sizeOf(others) === 1) {
    product(a, b, out, { m: sizeOf(heads) * m, k, n });
    return;
  }
  const batch = broadcastShape(heads, others);
  const walks = [
    broadcastWalk(heads, batch),
    broadcastWalk(others, batch),
    { at: 0, strides: stridesOf(batch) },
  ];
  eachRow(batch, walks, ([i = 0, j = 0, o = 0], [is = 0, js = 0], count) => {
    for (let c = 0; c < count; c++) {
      const [one, other] = [a.subarray((i + c * is) * m * k), b.subarray((j + c * js) * k * n)];
      product(one, other, out.subarray((o + c) * m * n), sizes);
    }
  });
}

/** numpy's matmul: a vector on either side gains an axis for the product and loses it again. */
export function matmulOf(x: Tensor, y: Tensor): Tensor {
  const a = x.shape.length === 1 ? reshaped(x, [1, ...x.shape]) : x;
  const b = y.shape.length === 1 ? reshaped(y, [...y.shape, 1]) : y;
  const [m = 1, k = 1] = a.shape.slice(-2);
  const [inner = 1, n = 1] = b.shape.slice(-2);
  if (k !== inner)
    throw new KernelFault(`matrices of ${k} columns and ${inner} rows do not multiply`);
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch];
  if (x.shape.length > 1) shape.push(m);
  if (y.shape.length > 1) shape.push(n);
  return multiply(a, b, shape, { m, k, n });
}

function multiply(a: Tensor, b: Tensor, shape: readonly number[], sizes: Sizes): Tensor {
  const elem: Elem = a.elem;
  const length = sizeOf(shape);
  if (isBig(elem)) {
    const data = elem === "i64" ? new BigInt64Array(length) : new BigUint64Array(length);
    stacked<BigLanes>(inBigs, bigLanes(a), bigLanes(b), data, a, b, sizes);
    return { elem, shape, data };
  }
  if (isFloat(elem) && elem !== "f64") {
    const out = float32s(length);
    stacked<Float32Array>(matmul, asF32(a), asF32(b), out, a, b, sizes);
    return seal(elem, shape, out);
  }
  const out = new Float64Array(length);
  stacked<Lanes>(inDoubles, lanes(a), lanes(b), out, a, b, sizes);
  return { elem, shape, data: elem === "f64" ? out : wrapped(elem, out) };
}

const asF32 = (t: Tensor): Float32Array => {
  const values = lanes(t);
  return values instanceof Float32Array ? values : Float32Array.from(values);
};

const wrapped = (elem: Elem, values: Float64Array) =>
  elem === "ui32" ? Uint32Array.from(values) : Int32Array.from(values);

/** A matrix with rows and columns exchanged, on the last two axes. */
function swapped(t: Tensor): Tensor {
  const axes = t.shape.map((_, i) => i);
  const last = axes.length - 1;
  return transposed(t, axes.with(last, last - 1).with(last - 1, last));
}

/**
 * a · bᵀ for b [n, k]. A block of few rows is cheaper to turn around than the weight it meets:
 * a · bᵀ = (b · aᵀ)ᵀ, with the same sums in the same order.
 */
function timesTransposed(a: Tensor, b: Tensor): Tensor {
  const [n = 1, k = 1] = b.shape;
  const rows = a.data.length / Math.max(1, k);
  if (b.shape.length !== 2 || rows * (n + k) >= n * k) return matmulOf(a, swapped(b));
  const columns = swapped(reshaped(a, [rows, k]));
  return reshaped(swapped(matmulOf(b, columns)), [...a.shape.slice(0, -1), n]);
}

/** A one-element tensor of the same type, for scaling. */
export const scaled = (t: Tensor, by: number): Tensor =>
  by === 1 ? t : times(t, seal(t.elem, [], scalarLanes(t.elem, by)));

function scalarLanes(elem: Elem, value: number): Lanes {
  return elem === "f64" || !isFloat(elem) ? Float64Array.of(value) : Float32Array.of(value);
}

/** alpha * op(A) · op(B) + beta * C. */
export function gemm(call: KernelCall): Tensor {
  const a = flag(call, "transA") ? swapped(operand(call, 0)) : operand(call, 0);
  const b = operand(call, 1);
  const c = maybe(call, 2);
  const plain = flag(call, "transB") ? timesTransposed(a, b) : matmulOf(a, b);
  const product = scaled(plain, num(call, "alpha", 1));
  return c ? plus(product, scaled(c, num(call, "beta", 1))) : product;
}

/** y = alpha * op(A) · op(B), with the transposed axes of com.microsoft.FusedMatMul. */
const fusedMatMul: Kernel = (call) => {
  const batchLast = (t: Tensor) =>
    transposed(t, [...t.shape.keys()].slice(1, -1).concat(0, t.shape.length - 1));
  const side = (i: number, letter: string) => {
    const t = operand(call, i);
    const b = flag(call, `transBatch${letter}`) ? batchLast(t) : t;
    return flag(call, `trans${letter}`) && b.shape.length > 1 ? swapped(b) : b;
  };
  return [scaled(matmulOf(side(0, "A"), side(1, "B")), num(call, "alpha", 1))];
};

/** Rows t of x, [T, in], whose routing[t, expert] is not 0. */
function routedRows(routing: Tensor, expert: number): number[] {
  const [tokens = 0, experts = 1] = routing.shape;
  const weights = lanes(routing);
  return Array.from({ length: tokens }, (_, t) => t).filter(
    (t) => weights[t * experts + expert] !== 0,
  );
}

/** x·W + bias on float32 rows; `weight` is [in, out], or [out, in] when transposed. */
function linearOf(x: Tensor, weight: Tensor, bias: Tensor | null, isTransposed: boolean): Tensor {
  const y = isTransposed ? timesTransposed(x, weight) : matmulOf(x, weight);
  return bias ? plus(y, bias) : y;
}

/** The weight in the element type of x: operand 3, of integers with scales (4) and zero points (5). */
function linearWeight(call: KernelCall, elem: Tensor["elem"], isTransposed: boolean): Tensor {
  const slice = num(call, "slice", -1);
  const stored = matrixIn(operand(call, 3), slice, isTransposed);
  const scales = maybe(call, 4);
  if (!scales) return stored.elem === elem ? stored : seal(elem, stored.shape, lanes(stored));
  const part = (t: Tensor) => lanes(matrixIn(t, slice, isTransposed));
  const zeros = maybe(call, 5);
  const own: BlockScales = {
    block: num(call, "block"),
    axis: isTransposed ? 1 : 0,
    scales: part(scales),
    zeros: zeros && part(zeros),
  };
  const real = realNumbers(stored.data, own, wholeRows(0, stored.shape.at(-1) ?? 1));
  return seal(elem, stored.shape, real);
}

/** Operands: x, bias?, routing?, weight, scales?, zeros?. Rows not routed to the expert stay 0. */
const linear: Kernel = (call) => {
  if (isOnEngine(call)) return [engineLinear(call)];
  const [x, bias, routing] = [operand(call, 0), maybe(call, 1), maybe(call, 2)];
  const isTransposed = flag(call, "transposed");
  const weight = linearWeight(call, x.elem, isTransposed);
  if (!routing) return [linearOf(x, weight, bias, isTransposed)];
  const rows = routedRows(routing, num(call, "expert"));
  const width = x.shape.at(-1) ?? 1;
  const picked = float32s(rows.length * width);
  const from = asF32(x);
  rows.forEach((t, i) => {
    picked.set(from.subarray(t * width, (t + 1) * width), i * width);
  });
  const dense = seal("f32", [rows.length, width], picked);
  const y = asF32(linearOf(dense, weight, bias, isTransposed));
  const columns = (isTransposed ? weight.shape[0] : weight.shape[1]) ?? 1;
  const out = float32s((sizeOf(x.shape) / width) * columns);
  rows.forEach((t, i) => {
    out.set(y.subarray(i * columns, (i + 1) * columns), t * columns);
  });
  return [seal(x.elem, x.shape.with(-1, columns), out)];
};

/** Matrix `index` of a stack of three axes; without one, all axes but the outputs' are inputs. */
function matrixIn(t: Tensor, index: number, isTransposed: boolean): Tensor {
  if (t.shape.length < 3) return t;
  if (index < 0) {
    const outputs = (isTransposed ? t.shape[0] : t.shape.at(-1)) ?? 1;
    const inputs = sizeOf(t.shape) / outputs;
    return { ...t, shape: isTransposed ? [outputs, inputs] : [inputs, outputs] };
  }
  const [, rows = 1, columns = 1] = t.shape;
  const at = index * rows * columns;
  return { elem: t.elem, shape: [rows, columns], data: t.data.subarray(at, at + rows * columns) };
}

/** y + scale * (x·Aᵀ)·Bᵀ. Operands: x [..., in], y [..., out], a [r, in], b [out, r]. */
const lora: Kernel = (call) => {
  if (isOnEngine(call)) return [engineLora(call)];
  const branch = timesTransposed(
    timesTransposed(operand(call, 0), operand(call, 2)),
    operand(call, 3),
  );
  return [plus(operand(call, 1), scaled(branch, num(call, "scale", 1)))];
};

export const MATMUL: KernelTable = {
  MatMul: (call) => [matmulOf(operand(call, 0), operand(call, 1))],
  Gemm: (call) => [gemm(call)],
  "com.microsoft.FusedMatMul": fusedMatMul,
  "nn.linear": linear,
  "nn.lora": lora,
};
