/** Values by their strides: axes may be swapped, repeated or taken together without moving anything. */

import { sizeOf, stridesOf } from "../../tensor/tensor.ts";
import { KernelGap } from "../kernel.ts";
import { type Product, WORD } from "./product.ts";

export interface View {
  readonly shape: readonly number[];
  /** In bytes; 0 along axes that repeat. */
  readonly strides: readonly number[];
}

/** Words of a value in row-major order. */
export const viewOf = (shape: readonly number[]): View => ({
  shape,
  strides: stridesOf(shape).map((s) => s * WORD),
});

/** The last two axes exchanged. */
export function transposedView({ shape, strides }: View): View {
  const turn = (list: readonly number[]): readonly number[] => [
    ...list.slice(0, -2),
    list.at(-1) ?? 1,
    list.at(-2) ?? 1,
  ];
  return { shape: turn(shape), strides: turn(strides) };
}

/** Repeated to a shape as ONNX's broadcasting does. Errors: KernelGap where it does not fit. */
export function broadcastTo({ shape, strides }: View, to: readonly number[]): View {
  const ahead = to.length - shape.length;
  const fits = shape.every((d, i) => d === 1 || d === to[ahead + i]);
  if (ahead < 0 || !fits) throw new KernelGap(`a shape [${shape}] for [${to}]`);
  return {
    shape: to,
    strides: to.map((_, i) =>
      i < ahead || shape[i - ahead] === 1 ? 0 : (strides[i - ahead] ?? 0),
    ),
  };
}

/** An axis of a stack of products: its size and the stride of each value along it. */
export interface StackAxis {
  readonly size: number;
  readonly rows: number;
  readonly columns: number;
  readonly out: number;
  readonly addend: number;
}

export interface Stacked {
  readonly product: Product;
  /** Outermost first. */
  readonly axes: readonly StackAxis[];
  /** Nothing is to be computed. */
  readonly empty: boolean;
}

/** out[..., i, j] = alpha · Σ a[..., i, k] · b[..., k, j] (+ beta · c[..., i, j]). */
export interface Contraction {
  readonly a: View;
  readonly b: View;
  readonly out: View;
  readonly c?: View | null;
  readonly alpha?: number;
  readonly beta?: number;
}

/** A contraction with as few axes of the stack as its strides allow. */
export function stacked({ a, b, out, c = null, alpha = 1, beta = 1 }: Contraction): Stacked {
  const heads = out.shape.slice(0, -2);
  const [x, y] = [headed(a, heads), headed(b, heads)];
  const z = c && broadcastTo(c, out.shape);
  const last = (v: View | null, axis: -1 | -2): number => v?.strides.at(axis) ?? 0;
  const product: Product = {
    rows: {
      size: out.shape.at(-2) ?? 1,
      step: last(x, -2),
      out: last(out, -2),
      addend: last(z, -2),
      along: last(x, -1),
    },
    columns: {
      size: out.shape.at(-1) ?? 1,
      step: last(y, -1),
      out: last(out, -1),
      addend: last(z, -1),
      along: last(y, -2),
    },
    depth: x.shape.at(-1) ?? 1,
    alpha,
    beta: z ? beta : null,
  };
  const axes = heads.map((size, i) => ({
    size,
    rows: x.strides[i] ?? 0,
    columns: y.strides[i] ?? 0,
    out: out.strides[i] ?? 0,
    addend: z?.strides[i] ?? 0,
  }));
  return absorbed({
    product,
    axes: merged(axes.filter(({ size }) => size !== 1)),
    empty: sizeOf(out.shape) === 0,
  });
}

/** A matrix or stack of matrices repeated to the axes of a stack. */
const headed = (v: View, heads: readonly number[]): View =>
  broadcastTo(v, [...heads, ...v.shape.slice(-2)]);

const VALUES = ["rows", "columns", "out", "addend"] as const;

/** Neighbouring axes that every value walks as one. */
function merged(axes: readonly StackAxis[]): readonly StackAxis[] {
  const out: StackAxis[] = [];
  for (const axis of axes) {
    const before = out.at(-1);
    if (before && VALUES.every((v) => before[v] === axis.size * axis[v])) {
      out[out.length - 1] = { ...axis, size: before.size * axis.size };
    } else out.push(axis);
  }
  return out;
}

/** The last axis of the stack becomes a part of the rows where all of it meets the same columns. */
function absorbed(s: Stacked): Stacked {
  const axis = s.axes.at(-1);
  const { rows } = s.product;
  const continues =
    axis?.columns === 0 &&
    axis.rows === rows.size * rows.step &&
    axis.out === rows.size * rows.out &&
    axis.addend === rows.size * rows.addend;
  if (!axis || !continues) return s;
  const grown = { ...rows, size: rows.size * axis.size };
  return absorbed({
    ...s,
    product: { ...s.product, rows: grown },
    axes: s.axes.slice(0, -1),
  });
}
