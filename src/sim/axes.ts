/**
 * Which axes of a kernel's operands go along with which axis of its result: where a result's part needs no more than
 * the operands' parts of the same name. Sums run over other axes, so parts give the same numbers bit for bit.
 */

import { axesOf as axesOfEquation } from "../tensor/kernels/einsum.ts";
import {
  flag,
  type KernelCall,
  maybe,
  num,
  nums,
  operand,
  text,
} from "../tensor/kernels/kernel.ts";
import { lanes } from "../tensor/kernels/lanes.ts";
import { sizeOf, type Tensor } from "../tensor/tensor.ts";

/** A name for each axis; null where every part needs all of it. */
type Names = readonly (string | null)[];

export interface Axes {
  /** Of each operand; operands that are absent or needed whole may have none. */
  readonly operands: readonly Names[];
  readonly result: Names;
}

/** Null for forms whose parts cannot be computed apart. */
type Rule = (call: KernelCall) => Axes | null;

const rankOf = (call: KernelCall, i: number): number => maybe(call, i)?.shape.length ?? 0;

/** Axes that broadcast are counted from the end. */
const counted = (count: number): Names => Array.from({ length: count }, (_, i) => `.${count - i}`);

/** A stack of matrices, or a vector, which has the axis of the sum alone. */
const stack = (rank: number, [row, column]: readonly [string, string]): Names =>
  rank === 1 ? ["k"] : [...counted(rank - 2), row, column];

const turned = (call: KernelCall, name: string, axes: readonly [string, string]) =>
  flag(call, name) ? ([axes[1], axes[0]] as const) : axes;

/** Names of the operands at `a` and `b` and of their product. */
function product(call: KernelCall, a: number, b: number) {
  const [m, n] = [rankOf(call, a), rankOf(call, b)];
  const result = [
    ...counted(Math.max(m, n, 2) - 2),
    ...(m > 1 ? ["m"] : []),
    ...(n > 1 ? ["n"] : []),
  ];
  const left = stack(m, turned(call, "transA", ["m", "k"]));
  const right = stack(n, turned(call, "transB", ["k", "n"]));
  return { left, right, result };
}

const matMul: Rule = (call) => {
  if (flag(call, "transBatchA") || flag(call, "transBatchB")) return null;
  const { left, right, result } = product(call, 0, 1);
  return { operands: [left, right], result };
};

const gemm: Rule = (call) => {
  const { left, right, result } = product(call, 0, 1);
  const rank = rankOf(call, 2);
  return { operands: [left, right, rank > 0 ? result.slice(-rank) : []], result };
};

/** A number, or one for each index of an axis. Undefined for other forms. */
function listOf(call: KernelCall, i: number, name: string): Names | undefined {
  const t = maybe(call, i);
  if (!t || sizeOf(t.shape) === 1) return [];
  return t.shape.length === 1 ? [name] : undefined;
}

/** An operand by its number: its names, or undefined where they are not known. */
type Named = Readonly<Record<number, Names | undefined>>;

function named(operands: Named, result: Names): Axes | null {
  const all: (Names | undefined)[] = [];
  for (const [i, names] of Object.entries(operands)) all[Number(i)] = names;
  return Object.values(operands).includes(undefined)
    ? null
    : { operands: Array.from(all, (names) => names ?? []), result };
}

const matMulInteger: Rule = (call) => {
  const { left, right, result } = product(call, 0, 1);
  return named({ 0: left, 1: right, 2: listOf(call, 2, "m"), 3: listOf(call, 3, "n") }, result);
};

const qLinearMatMul: Rule = (call) => {
  const { left, right, result } = product(call, 0, 3);
  const lists = {
    1: listOf(call, 1, "m"),
    2: listOf(call, 2, "m"),
    4: listOf(call, 4, "n"),
    5: listOf(call, 5, "n"),
  };
  return named({ 0: left, 3: right, ...lists }, result);
};

/** Operands: x, bias, routing, W, scales, zero points; the last three are matrices (in-parts.ts). */
const linear: Rule = (call) => {
  const axes = flag(call, "transposed") ? ["n", null] : [null, "n"];
  const bias: Names = rankOf(call, 1) === 0 ? [] : lastOf(rankOf(call, 1), "n");
  return { operands: [[], bias, [], axes, axes, axes], result: lastOf(rankOf(call, 0), "n") };
};

const lastOf = (rank: number, name: string): Names => [...unnamed(rank - 1), name];

const unnamed = (count: number): Names => new Array<null>(count).fill(null);

/** Filters [out, in, …] of one group, or [in, out, …]; lists of them are along "out". */
function filtered(
  call: KernelCall,
  { w, lists, isTransposed }: { w: number; lists: readonly number[]; isTransposed: boolean },
): Axes | null {
  if (num(call, "group", 1) !== 1) return null;
  const filters: Names = isTransposed ? [null, "out"] : ["out"];
  const own = Object.fromEntries(lists.map((i) => [i, listOf(call, i, "out")]));
  return named({ [w]: filters, ...own }, [null, "out", ...unnamed(rankOf(call, 0) - 2)]);
}

/** An axis that is named twice in a term is its diagonal, which no part has. */
const einsum: Rule = (call) => {
  const ranks = call.inputs.map((_, i) => rankOf(call, i));
  const { inputs, output } = axesOfEquation(text(call, "equation"), ranks);
  const isTwice = (l: string) => inputs.some((t) => t.indexOf(l) !== t.lastIndexOf(l));
  const once = (labels: readonly string[]): Names => labels.map((l) => (isTwice(l) ? null : l));
  return { operands: inputs.map(once), result: once(output) };
};

/** Axes of x by their number, but for those on which positions are picked. */
const kept = (x: Tensor, isPicked: (axis: number) => boolean): Names =>
  x.shape.map((_, i) => (isPicked(i) ? null : `${i}`));

const gather: Rule = (call) => {
  const x = operand(call, 0);
  const axis = fromFront(num(call, "axis", 0), x);
  const own = kept(x, (i) => i === axis);
  const result = [...own.slice(0, axis), ...unnamed(rankOf(call, 1)), ...own.slice(axis + 1)];
  return { operands: [own], result };
};

const fromFront = (axis: number, { shape }: Tensor): number =>
  axis < 0 ? axis + shape.length : axis;

/** Indices that end before x does leave a rest of x, which parts of the indices' names do not have. */
const gatherElements: Rule = (call) => {
  const [x, indices] = [operand(call, 0), operand(call, 1)];
  const axis = fromFront(num(call, "axis", 0), x);
  const own = kept(x, (i) => i === axis || x.shape[i] !== indices.shape[i]);
  return { operands: [own, own], result: own };
};

const slice: Rule = (call) => {
  const x = operand(call, 0);
  const [starts, given] = [maybe(call, 1), maybe(call, 3)];
  const axes = given ? Array.from(lanes(given)) : nums(call, "axes");
  const count = starts ? sizeOf(starts.shape) : (nums(call, "starts")?.length ?? 0);
  const sliced = new Set(axes ? axes.map((a) => fromFront(a, x)) : Array(count).keys());
  const own = kept(x, (i) => sliced.has(i));
  return { operands: [own], result: own };
};

const RULES: Readonly<Record<string, Rule>> = {
  MatMul: matMul,
  "com.microsoft.FusedMatMul": matMul,
  Gemm: gemm,
  "com.microsoft.FusedGemm": gemm,
  MatMulInteger: matMulInteger,
  QLinearMatMul: qLinearMatMul,
  "nn.linear": linear,
  Conv: (call) => filtered(call, { w: 1, lists: [2], isTransposed: false }),
  ConvTranspose: (call) => filtered(call, { w: 1, lists: [2], isTransposed: true }),
  ConvInteger: (call) => filtered(call, { w: 1, lists: [3], isTransposed: false }),
  QLinearConv: (call) => filtered(call, { w: 3, lists: [4, 5, 8], isTransposed: false }),
  Einsum: einsum,
  Gather: gather,
  GatherElements: gatherElements,
  Slice: slice,
};

/** The names of a kernel's axes; null where its result cannot be computed in parts. */
export const axesOf = (kernel: string, call: KernelCall): Axes | null =>
  RULES[kernel]?.(call) ?? null;
