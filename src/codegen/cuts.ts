/**
 * How kernels may be computed piece by piece, each piece a call of the same kernel for smaller shapes: along an axis of
 * the results, of which an operand has its part along one of its own axes, or is needed whole.
 */

import type { KernelRequest } from "./kernel.ts";
import { ELEMENTWISE } from "./kernels/elementwise.ts";

export interface Cut {
  /** Of every result. */
  readonly axis: number;
  /** Of each operand; null: it is needed whole. */
  readonly operands: readonly (number | null)[];
}

type Given = Pick<KernelRequest, "kernel" | "attrs" | "operands" | "results">;
type Axes = (request: Given, axis: number) => readonly (number | null)[] | null;

/** Cuts of a kernel, outermost axis first: that is where pieces lie together. */
export function cutsOf(request: Given): readonly Cut[] {
  const of = CUTS.get(request.kernel);
  const { shape } = request.results[0] ?? { shape: [] };
  const alike = request.results.every(
    (r) => r.shape.length === shape.length && r.elem === request.results[0]?.elem,
  );
  if (!of || !alike) return [];
  return shape.flatMap((size, axis) => {
    const isShared = request.results.every((r) => r.shape[axis] === size);
    const operands = size > 1 && isShared ? of(request, axis) : null;
    return operands ? [{ axis, operands }] : [];
  });
}

/** Operands are broadcast to the result. null where one has this axis in another size. */
const broadcast: Axes = ({ operands, results }, axis) => {
  const { shape } = results[0] ?? { shape: [] };
  const axes = operands.map((o) => {
    const own = o ? axis - shape.length + o.shape.length : -1;
    const size = o?.shape[own] ?? 1;
    return own < 0 || size === 1 ? null : size === shape[axis] ? own : undefined;
  });
  return axes.every((a) => a !== undefined) ? axes : null;
};

const isLast = ({ results }: Given, axis: number): boolean =>
  axis === (results[0]?.shape.length ?? 0) - 1;

/** Rows along the last axis are computed as a whole. */
const byRows: Axes = (request, axis) => {
  const rank = request.results[0]?.shape.length ?? 0;
  const along = Number(request.attrs["axis"] ?? -1);
  const isAlongLast = along === -1 || along === rank - 1;
  return isAlongLast && !isLast(request, axis) ? broadcast(request, axis) : null;
};

/** The first operand has one more axis, which is summed. */
const summed: Axes = (_, axis) => [axis + 1];

const MATRIX = 2;

const product: Axes = (request, axis) => {
  const [a, b] = request.operands;
  const rank = request.results[0]?.shape.length ?? 0;
  if (!a || !b || a.shape.length < MATRIX || b.shape.length < MATRIX) return null;
  if (axis === rank - 1) return [null, b.shape.length - 1];
  if (axis === rank - MATRIX) return [a.shape.length - MATRIX, null];
  return broadcast(request, axis);
};

const [X, BIAS, WEIGHT] = [0, 1, 3];

/** By rows; by outputs as well where the weight is what it is. */
const linear: Axes = (request, axis) => {
  const { operands, attrs } = request;
  const weight = operands[WEIGHT];
  const isPlain = operands.every((o, i) => o === null || [X, BIAS, WEIGHT].includes(i));
  if (weight?.elem !== "f32" || weight.shape.length !== MATRIX || !isPlain) return null;
  const only = (at: number, own: number | null): (number | null)[] =>
    operands.map((_, i) => (i === at ? own : null));
  if (!isLast(request, axis)) return hasRows(request, axis) ? only(X, axis) : null;
  const axes = only(WEIGHT, attrs["transposed"] ? 0 : 1);
  const bias = operands[BIAS];
  return bias ? axes.with(BIAS, bias.shape.length - 1) : axes;
};

/** Whether x has the axis of the result, and a bias, if there is one, is the same for all rows. */
const hasRows = ({ operands, results }: Given, axis: number): boolean =>
  operands[X]?.shape.length === results[0]?.shape.length &&
  operands[X]?.shape[axis] === results[0]?.shape[axis] &&
  (operands[BIAS]?.shape ?? []).slice(0, -1).every((d) => d === 1);

const CUTS: ReadonlyMap<string, Axes> = new Map<string, Axes>([
  ...Object.keys(ELEMENTWISE).map((name): [string, Axes] => [name, broadcast]),
  ["Cast", broadcast],
  ["nn.layer_norm", byRows],
  ["nn.rms_norm", byRows],
  ["nn.softmax", byRows],
  ["Softmax", byRows],
  ["LogSoftmax", byRows],
  ["aimc.sum", summed],
  ["MatMul", product],
  ["nn.linear", linear],
]);
