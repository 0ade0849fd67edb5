/** Comparisons, logic, and choosing between values. */

import { allocate, sizeOf, stridesOf, type Tensor } from "../tensor.ts";
import { flag, type Kernel, type KernelTable, maybe, num, operand } from "./kernel.ts";
import { bigLanes, isBig, lanes, scalar, seal, workspace } from "./lanes.ts";
import { bitsOf, broadcastShape, broadcastWalk, eachRow } from "./strided.ts";

type Test<T> = (x: T, y: T) => boolean;

/** A truth for each pair of elements; 64-bit integers are compared as such. */
function relation(number: Test<number>, big: Test<bigint>): Kernel {
  return (call) => {
    const x = operand(call, 0);
    const y = operand(call, 1);
    const shape = broadcastShape(x.shape, y.shape);
    const out = new Uint8Array(sizeOf(shape));
    const walks = [
      broadcastWalk(x.shape, shape),
      broadcastWalk(y.shape, shape),
      { at: 0, strides: stridesOf(shape) },
    ];
    const wide = isBig(x.elem);
    // One loop serves both: within a call all elements are of one kind.
    const a = (wide ? bigLanes(x) : lanes(x)) as Float64Array;
    const b = (wide ? bigLanes(y) : lanes(y)) as Float64Array;
    const holds = (wide ? big : number) as Test<number>;
    eachRow(shape, walks, ([i = 0, j = 0, o = 0], [is = 0, js = 0], n) => {
      for (let k = 0; k < n; k++) {
        out[o + k] = holds(a[i + k * is] as number, b[j + k * js] as number) ? 1 : 0;
      }
    });
    return [{ elem: "i1", shape, data: out }];
  };
}

/** A truth for each element. */
const property =
  (holds: (x: number) => boolean): Kernel =>
  (call) => {
    const x = operand(call, 0);
    return [
      { elem: "i1", shape: x.shape, data: Uint8Array.from(lanes(x), (v) => (holds(v) ? 1 : 0)) },
    ];
  };

const where: Kernel = (call) => {
  const [condition, yes, no] = [operand(call, 0), operand(call, 1), operand(call, 2)];
  const shape = broadcastShape(condition.shape, yes.shape, no.shape);
  const data = allocate(yes.elem, sizeOf(shape));
  const [truth, a, b, out] = [lanes(condition), bitsOf(yes.data), bitsOf(no.data), bitsOf(data)];
  const walks = [condition, yes, no].map((t) => broadcastWalk(t.shape, shape));
  const target = { at: 0, strides: stridesOf(shape) };
  eachRow(
    shape,
    [...walks, target],
    ([c = 0, i = 0, j = 0, o = 0], [cs = 0, is = 0, js = 0], n) => {
      for (let k = 0; k < n; k++) {
        out[o + k] =
          truth[c + k * cs] !== 0 ? (a[i + k * is] as number) : (b[j + k * js] as number);
      }
    },
  );
  return [{ elem: yes.elem, shape, data }];
};

const isInf: Kernel = (call) => {
  const up = flag(call, "detect_positive", true);
  const down = flag(call, "detect_negative", true);
  const test = property((v) => (up && v === Infinity) || (down && v === -Infinity));
  return test(call);
};

function clipBig(x: Tensor, low: Tensor | null, high: Tensor | null): Tensor {
  const data = bigLanes(x).slice();
  const min = low && bigLanes(low)[0];
  const max = high && bigLanes(high)[0];
  for (let i = 0; i < data.length; i++) {
    if (typeof min === "bigint" && (data[i] as bigint) < min) data[i] = min;
    if (typeof max === "bigint" && (data[i] as bigint) > max) data[i] = max;
  }
  return { elem: x.elem, shape: x.shape, data };
}

const orElse = (bound: number, none: number): number => (Number.isNaN(bound) ? none : bound);

/** Bounds come as operands (opset 11 and later) or as the attributes of older files. */
const clip: Kernel = (call) => {
  const x = operand(call, 0);
  const [low, high] = [maybe(call, 1), maybe(call, 2)];
  if (isBig(x.elem)) return [clipBig(x, low, high)];
  // A bound that is NaN is none.
  const min = orElse(low ? scalar(low) : num(call, "min", -Infinity), -Infinity);
  const max = orElse(high ? scalar(high) : num(call, "max", Infinity), Infinity);
  const out = workspace(x.elem, x.data.length);
  const from = lanes(x);
  // The upper bound wins where the bounds cross, and NaN stays NaN.
  for (let i = 0; i < out.length; i++) {
    out[i] = Math.min(Math.max(from[i] as number, min), max);
  }
  return [seal(x.elem, x.shape, out)];
};

export const COMPARE: KernelTable = {
  Equal: relation(
    (x, y) => x === y,
    (x, y) => x === y,
  ),
  Greater: relation(
    (x, y) => x > y,
    (x, y) => x > y,
  ),
  GreaterOrEqual: relation(
    (x, y) => x >= y,
    (x, y) => x >= y,
  ),
  Less: relation(
    (x, y) => x < y,
    (x, y) => x < y,
  ),
  LessOrEqual: relation(
    (x, y) => x <= y,
    (x, y) => x <= y,
  ),
  And: relation(
    (x, y) => x !== 0 && y !== 0,
    (x, y) => x !== 0n && y !== 0n,
  ),
  Or: relation(
    (x, y) => x !== 0 || y !== 0,
    (x, y) => x !== 0n || y !== 0n,
  ),
  Xor: relation(
    (x, y) => (x !== 0) !== (y !== 0),
    (x, y) => (x !== 0n) !== (y !== 0n),
  ),
  Not: property((x) => x === 0),
  IsNaN: property(Number.isNaN),
  IsInf: isInf,
  Where: where,
  Clip: clip,
};
