/** Access patterns that many onnx records share. */

import { toNumbers } from "../../../tensor/convert.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import { type Access, ALL, type AxisAccess, broadcast, point, whole } from "../../access.ts";
import type { Op, Value } from "../../op.ts";
import { normaliseAxis, type Shape } from "./shape.ts";

export type Axes = readonly AxisAccess[];

/** Constant operands by value, as far as the caller knows them. */
export type Constants = ReadonlyMap<Value, Tensor>;

export function constantNumbers(value: Value, constants?: Constants): readonly number[] | null {
  const constant = constants?.get(value);
  return constant ? toNumbers(constant) : null;
}

export const resultShape = (op: Op): Shape => op.results[0]?.type.shape ?? [];
export const operandShape = (op: Op, index: number): Shape => op.operands[index]?.type.shape ?? [];

/** Every operand broadcasts to the result. */
export const elementwise = (op: Op): Access =>
  op.operands.map((o) => (o ? broadcast(o.type.shape, resultShape(op)) : null));

/** Each axis of the operand is the same axis of the result. */
export const pointwise = (shape: Shape): Axes => shape.map((_, i) => point(i));

/** Pointwise but for some axes, which are read in full. */
export const allAlong = (shape: Shape, axes: readonly number[]): Axes =>
  shape.map((_, i) => (axes.includes(i) ? ALL : point(i)));

/** The first operand by `axes`, the others in full. */
export const firstOnly = (op: Op, axes: Axes): Access =>
  op.operands.map((o, i) => (o ? (i === 0 ? axes : whole(o.type.shape.length)) : null));

/** Softmax and its like: the first operand is read in full along the axis that an attribute names. */
export const alongAxis =
  (otherwise: number) =>
  (op: Op): Access => {
    const shape = operandShape(op, 0);
    const named = op.attrs["axis"];
    const axis = normaliseAxis(typeof named === "number" ? named : otherwise, shape.length);
    return firstOnly(op, allAlong(shape, [axis]));
  };

/** Batched matrix product of operands 0 and 1; `transpose` says which hold the matrix transposed. */
export function matmulAxes(a: Shape, b: Shape, transA = false, transB = false): [Axes, Axes] {
  if (a.length === 1 && b.length === 1) return [[ALL], [ALL]];
  if (b.length === 1) return [allAlong(a, [a.length - 1]), [ALL]];
  const rank = Math.max(a.length, b.length) - (a.length === 1 ? 1 : 0);
  const column = point(rank - 1);
  const batch = rank - (a.length === 1 ? 1 : 2);
  const right = [...batchAxes(b, batch), ...(transB ? [column, ALL] : [ALL, column])];
  if (a.length === 1) return [[ALL], right];
  const row = point(rank - 2);
  return [[...batchAxes(a, batch), ...(transA ? [ALL, row] : [row, ALL])], right];
}

/** The axes before the matrix, aligned at the end with the result's `count` ones. */
function batchAxes(shape: Shape, count: number): Axes {
  const batch = shape.slice(0, -2);
  return batch.map((d, i) => (d === 1 ? ALL : point(count - batch.length + i)));
}

/** Row-major reinterpretation: axes that only split or merge keep their relation. */
export function reshapeAxes(from: Shape, to: Shape): Axes {
  const axes: AxisAccess[] = from.map(() => ALL);
  const left = countable(from);
  const right = countable(to);
  const same = left.length === right.length && left.every((l, i) => l.dim === right[i]?.dim);
  const unknown = [...left, ...right].some((d) => d.dim === null);
  if (from.includes(0)) return axes;
  if (unknown && !(same && left.filter((d) => d.dim === null).length === 1)) {
    return reshapeEnds(axes, left, right);
  }
  for (const [sources, targets] of same ? pairs(left, right) : groups(left, right)) {
    relate(axes, sources, targets);
  }
  return axes;
}

interface Counted {
  readonly axis: number;
  readonly dim: number | null;
}

type Group = readonly [readonly Counted[], readonly Counted[]];

/** Axes with more than one index; those of size 1 say nothing about order. */
const countable = (shape: Shape): readonly Counted[] =>
  shape.map((dim, axis) => ({ axis, dim })).filter((d) => d.dim !== 1);

const pairs = (left: readonly Counted[], right: readonly Counted[]): Group[] =>
  left.flatMap((l, i) => {
    const r = right[i];
    return r ? [[[l], [r]]] : [];
  });

/** The shortest runs of axes on both sides that hold equally many elements. */
function groups(left: readonly Counted[], right: readonly Counted[]): Group[] {
  const found: Group[] = [];
  let [i, j] = [0, 0];
  while (i < left.length && j < right.length) {
    const [startI, startJ] = [i, j];
    let a = left[i++]?.dim ?? 1;
    let b = right[j++]?.dim ?? 1;
    while (a !== b && i <= left.length && j <= right.length) {
      if (a < b) a *= left[i++]?.dim ?? 1;
      else b *= right[j++]?.dim ?? 1;
    }
    found.push([left.slice(startI, i), right.slice(startJ, j)]);
  }
  return found;
}

function relate(
  axes: AxisAccess[],
  sources: readonly Counted[],
  targets: readonly Counted[],
): void {
  const [source] = sources;
  const [target] = targets;
  if (!source || !target) return;
  if (sources.length === 1 && targets.length === 1) {
    axes[source.axis] = point(target.axis);
  } else if (sources.length === 1) {
    const terms = strided(targets).map(({ axis, stride }) => ({ axis, stride }));
    axes[source.axis] = { kind: "merge", terms };
  } else if (targets.length === 1) {
    for (const { axis, stride, dim } of strided(sources)) {
      axes[axis] = { kind: "digit", axis: target.axis, stride, extent: dim ?? 1 };
    }
  }
}

/** Row-major strides within one run of axes. */
function strided(run: readonly Counted[]): (Counted & { readonly stride: number })[] {
  let stride = 1;
  return run
    .toReversed()
    .map((d) => {
      const here = { ...d, stride };
      stride *= d.dim ?? 1;
      return here;
    })
    .toReversed();
}

/** With unknown dimensions: only equal axes at both ends are certain. */
function reshapeEnds(
  axes: AxisAccess[],
  left: readonly Counted[],
  right: readonly Counted[],
): AxisAccess[] {
  const certain = (l: Counted | undefined, r: Counted | undefined): boolean => {
    if (!l || !r || l.dim === null || l.dim !== r.dim) return false;
    axes[l.axis] = point(r.axis);
    return true;
  };
  let start = 0;
  while (certain(left[start], right[start])) start++;
  let end = 1;
  while (certain(left.at(-end), right.at(-end))) end++;
  return axes;
}
