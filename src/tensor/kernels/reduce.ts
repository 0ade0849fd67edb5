/** Reductions along axes. Sums run in doubles and round once. */

import { allocate, isFloat, sizeOf, type Tensor } from "../tensor.ts";
import {
  axisOf,
  flag,
  type Kernel,
  type KernelCall,
  type KernelTable,
  maybe,
  num,
  nums,
  operand,
} from "./kernel.ts";
import {
  bigLanes,
  bigMax,
  bigMin,
  int64,
  ints,
  isBig,
  type Lanes,
  lanes,
  scalar,
  seal,
  workspace,
} from "./lanes.ts";
import { transposed } from "./strided.ts";

/** A tensor with the reduced axes last, so that each result is one run of `width` elements. */
interface Rows {
  readonly tensor: Tensor;
  readonly width: number;
  readonly count: number;
}

export function rowsOver(x: Tensor, axes: readonly number[]): Rows {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const perm = [...kept, ...axes];
  const inPlace = perm.every((axis, i) => axis === i);
  return {
    tensor: inPlace ? x : transposed(x, perm),
    width: sizeOf(axes.map((a) => x.shape[a] ?? 1)),
    count: sizeOf(kept.map((a) => x.shape[a] ?? 1)),
  };
}

type Reducer = (data: Lanes, at: number, n: number) => number;
type BigReducer = (data: BigInt64Array, at: number, n: number) => bigint;

interface Reduction {
  readonly number: Reducer;
  readonly big?: BigReducer;
}

/** A reducer that folds transformed elements from a start value. */
const folding =
  (start: number, step: (sum: number, x: number) => number): Reducer =>
  (data, at, n) => {
    let sum = start;
    for (let i = at; i < at + n; i++) sum = step(sum, data[i] as number);
    return sum;
  };

const foldingBig =
  (start: bigint | null, step: (sum: bigint, x: bigint) => bigint): BigReducer =>
  (data, at, n) => {
    let sum = start ?? data[at] ?? 0n;
    for (let i = at; i < at + n; i++) sum = step(sum, data[i] as bigint);
    return sum;
  };

const sum: Reducer = (data, at, n) => {
  let total = 0;
  for (let i = at; i < at + n; i++) total += data[i] as number;
  return total;
};

const logSumExp: Reducer = (data, at, n) => {
  const top = folding(-Infinity, Math.max)(data, at, n);
  // All -inf, or an infinite largest element, would give NaN below.
  if (!Number.isFinite(top)) return top;
  return top + Math.log(folding(0, (s, x) => s + Math.exp(x - top))(data, at, n));
};

const l1 = folding(0, (s, x) => s + Math.abs(x));
const squares = folding(0, (s, x) => s + x * x);
const largest = folding(-Infinity, Math.max);
const smallest = folding(Infinity, Math.min);

const bigSum = foldingBig(0n, (s, x) => s + x);
const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  ReduceSum: { number: sum, big: bigSum },
  ReduceMean: {
    number: (data, at, n) => sum(data, at, n) / n,
    big: (data, at, n) => bigSum(data, at, n) / BigInt(n),
  },
  ReduceProd: { number: folding(1, (s, x) => s * x), big: foldingBig(1n, (s, x) => s * x) },
  ReduceMax: { number: largest, big: foldingBig(null, bigMax) },
  ReduceMin: { number: smallest, big: foldingBig(null, bigMin) },
  ReduceL1: { number: l1, big: foldingBig(0n, (s, x) => s + (x < 0n ? -x : x)) },
  ReduceL2: { number: (data, at, n) => Math.sqrt(squares(data, at, n)) },
  ReduceSumSquare: { number: squares, big: foldingBig(0n, (s, x) => s + x * x) },
  ReduceLogSum: { number: (data, at, n) => Math.log(sum(data, at, n)) },
  ReduceLogSumExp: { number: logSumExp },
};

/** The largest and smallest finite-width integers stand for the infinities of an empty set. */
function inRange(elem: Tensor["elem"], value: number): number {
  if (isFloat(elem) || Number.isFinite(value)) return value;
  const bits = Number(/\d+$/.exec(elem)?.[0] ?? 1);
  const unsigned = elem.startsWith("u") || elem === "i1";
  if (value > 0) return unsigned ? 2 ** bits - 1 : 2 ** (bits - 1) - 1;
  return unsigned ? 0 : -(2 ** (bits - 1));
}

/** Reduces `axes` (not negative); the result keeps them as 1 or drops them. */
function reduced(x: Tensor, axes: readonly number[], keep: boolean, how: Reduction): Tensor {
  const { tensor, width, count } = rowsOver(x, axes);
  const shape = keep
    ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d))
    : x.shape.filter((_, i) => !axes.includes(i));
  if (isBig(x.elem) && how.big) {
    const data = allocate(x.elem, count) as BigInt64Array;
    const from = bigLanes(tensor) as BigInt64Array;
    for (let i = 0; i < count; i++) data[i] = how.big(from, i * width, width);
    return { elem: x.elem, shape, data };
  }
  const from = lanes(tensor);
  const out = workspace(x.elem, count);
  for (let i = 0; i < count; i++) out[i] = inRange(x.elem, how.number(from, i * width, width));
  return seal(x.elem, shape, out);
}

export const sumOver = (x: Tensor, axes: readonly number[], keep: boolean): Tensor =>
  reduced(x, axes, keep, { number: sum, big: bigSum });

/** Axes from the second operand (opset 18 and later) or the attribute of older files. */
function reduceAxes(call: KernelCall, rank: number): readonly number[] | null {
  const operandAxes = maybe(call, 1);
  const axes = operandAxes ? ints(operandAxes) : (nums(call, "axes") ?? []);
  const named = new Set(axes.map((a) => axisOf(a, rank)));
  if (named.size > 0) return [...named].sort((a, b) => a - b);
  if (flag(call, "noop_with_empty_axes")) return null;
  return Array.from({ length: rank }, (_, i) => i);
}

const reduction =
  (how: Reduction): Kernel =>
  (call) => {
    const x = operand(call, 0);
    // Without axes to reduce, each element is a set of its own: its logarithm, say, is taken nevertheless.
    const axes = reduceAxes(call, x.shape.length) ?? [];
    return [reduced(x, axes, flag(call, "keepdims", true), how)];
  };

/** The position of the extreme element; the first of equals unless select_last_index says the last. */
function argExtreme(better: (x: number, y: number) => boolean): Kernel {
  return (call) => {
    const x = operand(call, 0);
    const axis = axisOf(num(call, "axis", 0), x.shape.length);
    const { tensor, width, count } = rowsOver(x, [axis]);
    const data = lanes(tensor);
    const last = flag(call, "select_last_index");
    const found = Array.from({ length: count }, (_, row) => {
      let best = 0;
      for (let i = 1; i < width; i++) {
        const [v, top] = [data[row * width + i] as number, data[row * width + best] as number];
        if (better(v, top) || (last && v === top)) best = i;
      }
      return best;
    });
    const keep = flag(call, "keepdims", true);
    return [int64(found, keep ? x.shape.with(axis, 1) : x.shape.toSpliced(axis, 1))];
  };
}

/** How a running result begins and goes on, on numbers and on 64-bit integers alike. */
interface Running {
  readonly start: number;
  readonly step: (total: number, x: number) => number;
}

/** Running sums or products along an axis, each step in the element type's own precision. */
const cumulative =
  ({ start, step: combine }: Running): Kernel =>
  (call) => {
    const x = operand(call, 0);
    const axis = axisOf(scalar(operand(call, 1)), x.shape.length);
    const [exclusive, reverse] = [flag(call, "exclusive"), flag(call, "reverse")];
    const size = x.shape[axis] ?? 1;
    const step = sizeOf(x.shape.slice(axis + 1));
    const { from, out, first } = runningOf(x, start);
    const beginning = reverse ? size - 1 : 0;
    for (let at = 0; at < from.length; at++) {
      if (Math.floor(at / step) % size !== beginning) continue;
      runAlong({ from, out, at, size, step: reverse ? -step : step, exclusive, first, combine });
    }
    const big = isBig(x.elem);
    return [big ? { elem: x.elem, shape: x.shape, data: out } : seal(x.elem, x.shape, out)];
  };

/** What a running result reads, fills and begins with: bigints where the elements are. */
function runningOf(x: Tensor, start: number): Pick<Line, "from" | "out" | "first"> {
  const wide = isBig(x.elem);
  const from = wide ? bigLanes(x) : lanes(x);
  const out = wide ? allocate(x.elem, from.length) : workspace(x.elem, from.length);
  const first = wide ? BigInt(start) : start;
  // One loop serves both: within a call all elements are of one kind.
  return { from: from as Float64Array, out: out as Float64Array, first: first as number };
}

interface Line {
  readonly from: Float64Array;
  readonly out: Float64Array;
  readonly at: number;
  readonly size: number;
  readonly step: number;
  readonly exclusive: boolean;
  readonly first: number;
  readonly combine: Running["step"];
}

function runAlong({ from, out, at, size, step, exclusive, first, combine }: Line): void {
  let total = first;
  for (let i = 0, p = at; i < size; i++, p += step) {
    if (exclusive) out[p] = total;
    total = combine(total, from[p] as number);
    if (!exclusive) out[p] = total;
  }
}

export const REDUCE: KernelTable = {
  ...Object.fromEntries(Object.entries(REDUCTIONS).map(([name, how]) => [name, reduction(how)])),
  ArgMax: argExtreme((x, y) => x > y),
  ArgMin: argExtreme((x, y) => x < y),
  CumSum: cumulative({ start: 0, step: (sum, x) => sum + x }),
  CumProd: cumulative({ start: 1, step: (product, x) => product * x }),
};
