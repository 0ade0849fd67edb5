/** Arithmetic on each element, with numpy broadcasting. */

import type { Elem, Tensor } from "../tensor.ts";
import { allocate, isFloat, sizeOf, stridesOf } from "../tensor.ts";
import { flag, type Kernel, type KernelCall, type KernelTable, operand } from "./kernel.ts";
import { bigLanes, bigMax, bigMin, isBig, type Lanes, lanes, seal, workspace } from "./lanes.ts";
import { broadcastShape, broadcastWalk, eachRow } from "./strided.ts";

type NumberOp = (x: number, y: number) => number;
type BigOp = (x: bigint, y: bigint) => bigint;

/** One innermost run: out[o + i] = x[xAt + i * xs] op y[yAt + i * ys] for i < n. */
type Row = (
  x: Lanes,
  xAt: number,
  xs: number,
  y: Lanes,
  yAt: number,
  ys: number,
  out: Lanes,
  o: number,
  n: number,
) => void;

const rowOf =
  (op: NumberOp): Row =>
  (x, xAt, xs, y, yAt, ys, out, o, n) => {
    for (let i = 0; i < n; i++) {
      out[o + i] = op(x[xAt + i * xs] as number, y[yAt + i * ys] as number);
    }
  };

// The four that fill most of a model's time have loops of their own, which V8 keeps free of calls.
const addRow: Row = (x, xAt, xs, y, yAt, ys, out, o, n) => {
  for (let i = 0; i < n; i++) {
    out[o + i] = (x[xAt + i * xs] as number) + (y[yAt + i * ys] as number);
  }
};
const subRow: Row = (x, xAt, xs, y, yAt, ys, out, o, n) => {
  for (let i = 0; i < n; i++) {
    out[o + i] = (x[xAt + i * xs] as number) - (y[yAt + i * ys] as number);
  }
};
const mulRow: Row = (x, xAt, xs, y, yAt, ys, out, o, n) => {
  for (let i = 0; i < n; i++) {
    out[o + i] = (x[xAt + i * xs] as number) * (y[yAt + i * ys] as number);
  }
};
const divRow: Row = (x, xAt, xs, y, yAt, ys, out, o, n) => {
  for (let i = 0; i < n; i++) {
    out[o + i] = (x[xAt + i * xs] as number) / (y[yAt + i * ys] as number);
  }
};

/** All of out = x op y for float32 tensors, where y repeats over x and `out` is as long as x. */
type Repeated = (x: Float32Array, y: Float32Array, out: Float32Array) => void;

const addRepeated: Repeated = (x, y, out) => {
  const n = y.length;
  for (let at = 0; at < out.length; at += n) {
    for (let i = 0; i < n; i++) out[at + i] = (x[at + i] as number) + (y[i] as number);
  }
};
const mulRepeated: Repeated = (x, y, out) => {
  const n = y.length;
  for (let at = 0; at < out.length; at += n) {
    for (let i = 0; i < n; i++) out[at + i] = (x[at + i] as number) * (y[i] as number);
  }
};

/** Whether y broadcast to x's shape is y again and again: its axes are the last ones of x. */
const isRepeated = (x: readonly number[], y: readonly number[]): boolean =>
  y.length <= x.length && y.every((d, i) => d > 0 && d === x[x.length - y.length + i]);

/** Applies a row to two tensors; the result has the given element type. */
function zip(x: Tensor, y: Tensor, elem: Elem, row: Row): Tensor {
  const shape = broadcastShape(x.shape, y.shape);
  const a = lanes(x);
  const b = lanes(y);
  const out = workspace(elem, sizeOf(shape));
  const walks = [broadcastWalk(x.shape, shape), broadcastWalk(y.shape, shape), rowMajor(shape)];
  eachRow(shape, walks, ([i = 0, j = 0, o = 0], [is = 0, js = 0], n) => {
    row(a, i, is, b, j, js, out, o, n);
  });
  return seal(elem, shape, out);
}

const rowMajor = (shape: readonly number[]) => ({ at: 0, strides: stridesOf(shape) });

/** As `zip`, on 64-bit integers; storing wraps. */
function zipBig(x: Tensor, y: Tensor, op: BigOp): Tensor {
  const shape = broadcastShape(x.shape, y.shape);
  const a = bigLanes(x);
  const b = bigLanes(y);
  const data = allocate(x.elem, sizeOf(shape));
  const out = data as BigInt64Array;
  const walks = [broadcastWalk(x.shape, shape), broadcastWalk(y.shape, shape), rowMajor(shape)];
  eachRow(shape, walks, ([i = 0, j = 0, o = 0], [is = 0, js = 0], n) => {
    for (let k = 0; k < n; k++) out[o + k] = op(a[i + k * is] as bigint, b[j + k * js] as bigint);
  });
  return { elem: x.elem, shape, data };
}

export interface Arithmetic {
  readonly float: Row;
  /** The same, for the most common layout. */
  readonly repeated?: Repeated;
  readonly int: NumberOp;
  readonly big: BigOp;
}

/** An operation whose operands and result share one element type. */
export function apply({ float, repeated, int, big }: Arithmetic, x: Tensor, y: Tensor): Tensor {
  if (repeated && x.elem === "f32" && y.elem === "f32" && isRepeated(x.shape, y.shape)) {
    const out = allocate("f32", x.data.length) as Float32Array;
    repeated(x.data as Float32Array, y.data as Float32Array, out);
    return { elem: "f32", shape: x.shape, data: out };
  }
  if (isBig(x.elem)) return zipBig(x, y, big);
  return zip(x, y, x.elem, isFloat(x.elem) ? float : rowOf(int));
}

const add: Arithmetic = {
  float: addRow,
  repeated: addRepeated,
  int: (x, y) => x + y,
  big: (x, y) => x + y,
};
const sub: Arithmetic = { float: subRow, int: (x, y) => x - y, big: (x, y) => x - y };
const mul: Arithmetic = {
  float: mulRow,
  repeated: mulRepeated,
  int: Math.imul,
  big: (x, y) => x * y,
};
// ONNX leaves division by zero open for integers; 0 keeps a run going where a mask drops the value.
const div: Arithmetic = {
  float: divRow,
  int: (x, y) => (y === 0 ? 0 : Math.trunc(x / y)),
  big: (x, y) => (y === 0n ? 0n : x / y),
};
/** The remainder with the sign of the divisor, as Python's. */
const mod: Arithmetic = {
  float: rowOf((x, y) => x - y * Math.floor(x / y)),
  int: (x, y) => (y === 0 ? 0 : x - y * Math.floor(x / y)),
  big: (x, y) => (y === 0n ? 0n : ((x % y) + y) % y),
};
/** The remainder with the sign of the dividend, as C's fmod. */
const fmod: Arithmetic = {
  float: rowOf((x, y) => x % y),
  int: (x, y) => (y === 0 ? 0 : x % y),
  big: (x, y) => (y === 0n ? 0n : x % y),
};
const max: Arithmetic = {
  float: rowOf(Math.max),
  int: Math.max,
  big: bigMax,
};
const min: Arithmetic = {
  float: rowOf(Math.min),
  int: Math.min,
  big: bigMin,
};

/** As C's pow, which gives 1 for 1 to any power and for -1 to an infinite one, where JavaScript gives NaN. */
function floatPower(x: number, y: number): number {
  const isOne = x === 1 || (x === -1 && Math.abs(y) === Infinity);
  return isOne ? 1 : x ** y;
}

/** x to the power y in the type of x; exact for integers with exponents that are not negative. */
function power(x: Tensor, y: Tensor): Tensor {
  if (isFloat(x.elem) || isFloat(y.elem)) return zip(x, y, x.elem, rowOf(floatPower));
  if (!isBig(x.elem)) return zip(x, y, x.elem, rowOf(intPower));
  return zipBig(x, y, (a, b) => (b >= 0n ? a ** b : a === 1n ? 1n : 0n));
}

/** Doubles hold no 64-bit product, so the 32-bit result comes from wrapped multiplications. */
function intPower(x: number, y: number): number {
  let power = 1;
  let square = x;
  for (let e = y; e > 0; e = Math.floor(e / 2)) {
    if (e % 2 === 1) power = Math.imul(power, square);
    square = Math.imul(square, square);
  }
  return y >= 0 ? power : Math.trunc(x ** y);
}

const binary =
  (op: Arithmetic): Kernel =>
  (call) => [apply(op, operand(call, 0), operand(call, 1))];

const present = (call: KernelCall): Tensor[] => call.inputs.filter((t) => t !== null);

/** Any number of operands, combined from the left. */
const fold = (call: KernelCall, op: Arithmetic): Tensor =>
  present(call).reduce((a, b) => apply(op, a, b));

const mean: Kernel = (call) => {
  const sum = fold(call, add);
  const count = present(call).length;
  return [zip(sum, { elem: "f64", shape: [], data: Float64Array.of(count) }, sum.elem, divRow)];
};

export const ELEMENTWISE: KernelTable = {
  Add: binary(add),
  Sub: binary(sub),
  Mul: binary(mul),
  Div: binary(div),
  Mod: (call) => binary(flag(call, "fmod") ? fmod : mod)(call),
  Pow: (call) => [power(operand(call, 0), operand(call, 1))],
  PRelu: (call) => [
    zip(
      operand(call, 0),
      operand(call, 1),
      operand(call, 0).elem,
      rowOf((x, s) => (x < 0 ? s * x : x)),
    ),
  ],
  Sum: (call) => [fold(call, add)],
  Max: (call) => [fold(call, max)],
  Min: (call) => [fold(call, min)],
  Mean: mean,
  "nn.residual": binary(add),
};

export const plus = (x: Tensor, y: Tensor): Tensor => apply(add, x, y);
export const times = (x: Tensor, y: Tensor): Tensor => apply(mul, x, y);
