/**
 * Matrix products of integers, with zero points, and their rounding to the scale of a result: the same bits as
 * src/tensor's kernels. Sums are of 32 bits.
 */

import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { given, wanted } from "../blocks.ts";
import { STORE, type Unit } from "../copy.ts";
import {
  type Block,
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { type F, type X, ZERO } from "../register.ts";
import { broadcastStrides, byteStrides, eachRow, type Run, type Walker } from "../walk.ts";
import { isWhole, loadWhole } from "./integers.ts";
import { gridOf, nearestLevel } from "./quantise.ts";

/** Columns whose sums are taken at once. */
const TILE = 4;

/** Numbers of the operands; null where the kernel has no such operand. */
interface Numbers {
  readonly a: number;
  readonly b: number;
  readonly aZero: number | null;
  readonly bZero: number | null;
  /** Further operands of one element, or one for each column. */
  readonly columns: readonly number[];
}

interface Product {
  readonly a: Block;
  readonly b: Block;
  /** [..., rows, columns], the axes of the stack repeated. */
  readonly dims: readonly number[];
  readonly depth: number;
}

/** numpy's matmul: a vector on either side gains an axis for the product and loses it again. */
function productOf(a: Block, b: Block, y: Block): Product {
  const [left, right] = [a.shape.length === 1, b.shape.length === 1];
  const [aShape, bShape] = [left ? [1, ...a.shape] : a.shape, right ? [...b.shape, 1] : b.shape];
  const heads = y.shape.slice(0, y.shape.length - 2 + Number(left) + Number(right));
  return {
    a: { ...a, shape: aShape },
    b: { ...b, shape: bShape },
    dims: [...heads, aShape.at(-2) ?? 1, bShape.at(-1) ?? 1],
    depth: aShape.at(-1) ?? 1,
  };
}

function narrow({ elem }: Block): void {
  if (!isWhole(elem) || bytesPer(elem) > 4) throw new KernelGap(`elements of type ${elem}`);
}

/** Strides of a matrix over the axes of the result, but for one of its last two, along which it is walked by hand. */
function without({ elem, shape }: Block, dims: readonly number[], axis: -1 | -2) {
  const bytes = bytesPer(elem);
  const heads = broadcastStrides(shape.slice(0, -2), dims.slice(0, -2), 1);
  const matrix = sizeOf(shape.slice(-2)) * bytes;
  const own = byteStrides(shape.slice(-2), bytes).with(axis, 0);
  return [...heads.map((s) => s * matrix), ...own];
}

/** Of one element, or one for each index of an axis of the result. */
function along({ elem, shape }: Block, dims: readonly number[], axis: -1 | -2): readonly number[] {
  const size = sizeOf(shape);
  if (size !== 1 && size !== dims.at(axis)) throw new KernelGap("zero points or scales of a stack");
  return dims.map((_, i) => (size !== 1 && i === dims.length + axis ? bytesPer(elem) : 0));
}

/** What is done with a sum; `at` says where the further operands lie, and the offset of each. */
type Finish = (sum: X, to: readonly [number, X], from: readonly (readonly [number, X])[]) => void;

/** A product whose sums are finished as `prepare` says, which makes its constants first. */
function product(request: KernelRequest, of: Numbers, prepare: (k: PhaseAssembler) => Finish) {
  const [a, b, y] = [given(request, of.a), given(request, of.b), wanted(request)];
  for (const block of [a, b]) narrow(block);
  const shape = productOf(a, b, y);
  const { dims } = shape;
  const present = (i: number | null): number[] => (i !== null && request.operands[i] ? [i] : []);
  const [aZero, bZero] = [present(of.aZero), present(of.bZero)];
  const sides = [...bZero, ...of.columns];
  const phase = (k: PhaseAssembler): void => {
    const side = (i: number, axis: -1 | -2): Walker => ({
      address: k.operand(i),
      strides: along(given(request, i), dims, axis),
    });
    const walkers: Walker[] = [
      { address: k.result(0), strides: byteStrides(dims, bytesPer(y.elem)) },
      { address: k.operand(of.a), strides: without(shape.a, dims, -1) },
      { address: k.operand(of.b), strides: without(shape.b, dims, -2) },
      ...sides.map((i) => side(i, -1)),
      ...aZero.map((i) => side(i, -2)),
    ];
    const finish = prepare(k);
    eachRow(k, dims, walkers, (run) => row(k, shape, run, [aZero.length, bZero.length], finish));
  };
  return { phases: [phase] };
}

/** Sums of a part of a row of the result. */
function row(
  k: PhaseAssembler,
  { a, b, dims, depth }: Product,
  { at, steps, count }: Run,
  [hasRowZero = 0, hasColumnZero = 0]: readonly number[],
  finish: Finish,
): void {
  const [, from, matrix, ...rest] = at as [X, X, X, ...X[]];
  const last = rest.at(-1);
  const rowZero = hasRowZero && last ? loadWhole(k, a.elem, 0, last) : null;
  const down = k.li((dims.at(-1) ?? 1) * bytesPer(b.elem));
  const tile = (columns: number): void => {
    const sums = Array.from({ length: columns }, () => k.li(0));
    const total = k.li(0);
    const [x, w] = [k.copy(from), k.copy(matrix)];
    k.repeat(depth, () => {
      const loaded = loadWhole(k, a.elem, 0, x);
      const value = rowZero ? k.sub(loaded, rowZero) : loaded;
      if (hasColumnZero) k.addTo(total, total, value);
      for (const [j, sum] of sums.entries()) {
        k.addTo(sum, sum, k.x("mul", value, loadWhole(k, b.elem, j * bytesPer(b.elem), w)));
      }
      k.addTo(x, x, bytesPer(a.elem));
      k.addTo(w, w, down);
    });
    for (const [j, sum] of sums.entries()) {
      const [to, , , ...sides] = at.map((p, i) => [j * (steps[i] ?? 0), p] as const);
      const [zero] = sides;
      // The zero point of a column counts once for each value of the row.
      if (hasColumnZero && zero) {
        k.to(sum, "sub", sum, k.x("mul", total, loadWhole(k, b.elem, ...zero)));
      }
      if (to) finish(sum, to, sides.slice(hasColumnZero));
    }
    for (const [i, p] of at.entries()) if (steps[i]) k.addTo(p, p, columns * (steps[i] ?? 0));
  };
  const columns = typeof count === "number" ? k.li(count) : count;
  k.repeat(k.div(columns, TILE), () => tile(TILE));
  k.repeat(k.rem(columns, TILE), () => tile(1));
}

const plain = (k: PhaseAssembler): Finish => {
  const { elem } = wanted(k.request);
  return (sum, to) => k.emit(STORE[bytesPer(elem) as Unit], sum, ...to);
};

/** Of integers of 32 bits. */
export const integerMatMul: Generate = (request) => {
  const { elem } = wanted(request);
  if (elem !== "i32" && elem !== "ui32") throw new KernelGap(`elements of type ${elem}`);
  return product(request, { a: 0, b: 1, aZero: null, bZero: null, columns: [] }, plain);
};

const matMulInteger: Generate = (request) =>
  product(request, { a: 0, b: 1, aZero: 2, bZero: 3, columns: [] }, plain);

const [A_SCALE, B_SCALE, SCALE, ZERO_POINT] = [1, 4, 6, 7];

/** Operands: a, its scale and zero point, b, its scale and zero point, the result's scale and zero. */
const qLinearMatMul: Generate = (request) => {
  const { elem } = wanted(request);
  const factors = [A_SCALE, B_SCALE, SCALE].map((i) => given(request, i));
  const other = factors.find((f) => f.elem !== "f32");
  if (other) throw new KernelGap(`elements of type ${other.elem}`);
  if (sizeOf(given(request, A_SCALE).shape) !== 1) throw new KernelGap("scales of rows");
  const of = { a: 0, b: 3, aZero: 2, bZero: 5, columns: [B_SCALE] };
  return product(request, of, (k) => requantised(k, elem));
};

/** Sums times a scale and b's scale over that of the result, as levels. */
function requantised(k: PhaseAssembler, elem: Elem): Finish {
  const own = k.f("flw", 0, k.operand(A_SCALE));
  const scale = k.f("flw", 0, k.operand(SCALE));
  const zero = loadWhole(k, elem, 0, k.operand(ZERO_POINT));
  const grid = gridOf(k, scale, zero, elem);
  return (sum, to, [by]) => {
    const factor: F = k.f("fdiv.s", k.f("fmul.s", own, k.f("flw", ...(by ?? [0, ZERO]))), scale);
    const level = nearestLevel(k, k.f("fmul.s", k.f("fcvt.s.w", sum), factor), grid);
    k.emit(STORE[bytesPer(elem) as Unit], level, ...to);
  };
}

export const INTEGER_PRODUCT: GeneratorTable = {
  MatMulInteger: matMulInteger,
  QLinearMatMul: qLinearMatMul,
};
