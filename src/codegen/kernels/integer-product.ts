/**
 * Matrix products of integers, with zero points, and their rounding to the scale of a result: the same bits as
 * src/tensor's kernels. Sums are of 32 bits.
 */

import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
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
import { given, wanted } from "../request.ts";
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

/** Refuses what is no integer of at most 32 bits. */
export function narrow({ elem }: Block): void {
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

/** What is done with a sum: where it goes, and where its further numbers lie. */
type Finish = (sum: X, to: readonly [number, X], from: readonly (readonly [number, X])[]) => void;

/** Integers of a product, along the axes of its result. */
interface Factor extends Walker {
  readonly elem: Elem;
}

/** Sums over an axis that a and b share. */
export interface Sums {
  /** [..., rows, columns]. */
  readonly dims: readonly number[];
  readonly depth: number;
  /** Its elements follow each other along the sum. */
  readonly a: Factor;
  readonly b: Factor;
  /** Bytes of b from one index of the sum to the next. */
  readonly down: number;
  readonly out: Walker;
  /** Zero points of rows and of columns. */
  readonly rowZero: Factor | null;
  readonly columnZero: Factor | null;
  /** Numbers that finishing a sum needs. */
  readonly sides: readonly Walker[];
}

/** Code for each sum, which is finished as `finish` says. */
export function integerSums(k: PhaseAssembler, of: Sums, finish: Finish): void {
  const { a, b, out, rowZero, columnZero, sides, dims } = of;
  const zeros = [columnZero, rowZero].flatMap((z) => z ?? []);
  const walkers = [out, a, b, ...sides, ...zeros];
  eachRow(k, dims, walkers, (run) => row(k, of, run, finish));
}

/** Sums of a part of a row of the result. */
function row(k: PhaseAssembler, of: Sums, { at, steps, count }: Run, finish: Finish): void {
  const { a, b, rowZero, columnZero, depth, sides } = of;
  const [to, from, matrix, ...rest] = at as [X, X, X, ...X[]];
  const [place, last] = [rest[sides.length], rest.at(-1)];
  const own = rowZero && last ? loadWhole(k, rowZero.elem, 0, last) : null;
  const down = k.li(of.down);
  const tile = (columns: number): void => {
    const sums = Array.from({ length: columns }, () => k.li(0));
    const total = k.li(0);
    const [x, w] = [k.copy(from), k.copy(matrix)];
    k.repeat(depth, () => {
      const loaded = loadWhole(k, a.elem, 0, x);
      const value = own ? k.sub(loaded, own) : loaded;
      if (columnZero) k.addTo(total, total, value);
      for (const [j, sum] of sums.entries()) {
        k.addTo(sum, sum, k.x("mul", value, loadWhole(k, b.elem, j * (steps[2] ?? 0), w)));
      }
      k.addTo(x, x, bytesPer(a.elem));
      k.addTo(w, w, down);
    });
    for (const [j, sum] of sums.entries()) {
      // The zero point of a column counts once for each value of the row.
      if (columnZero && place) {
        const zero = loadWhole(k, columnZero.elem, j * (steps[3 + sides.length] ?? 0), place);
        k.to(sum, "sub", sum, k.x("mul", total, zero));
      }
      const spots = sides.map((_, i) => [j * (steps[3 + i] ?? 0), rest[i] ?? to] as const);
      finish(sum, [j * (steps[0] ?? 0), to], spots);
    }
    for (const [i, p] of at.entries()) if (steps[i]) k.addTo(p, p, columns * (steps[i] ?? 0));
  };
  const columns = typeof count === "number" ? k.li(count) : count;
  k.repeat(k.div(columns, TILE), () => tile(TILE));
  k.repeat(k.rem(columns, TILE), () => tile(1));
}

/** A product whose sums are finished as `prepare` says, which makes its constants first. */
function product(request: KernelRequest, of: Numbers, prepare: (k: PhaseAssembler) => Finish) {
  const [a, b, y] = [given(request, of.a), given(request, of.b), wanted(request)];
  for (const block of [a, b]) narrow(block);
  const shape = productOf(a, b, y);
  const { dims, depth } = shape;
  const phase = (k: PhaseAssembler): void => {
    const side = (i: number, axis: -1 | -2): Factor => {
      const block = given(request, i);
      return { elem: block.elem, address: k.operand(i), strides: along(block, dims, axis) };
    };
    const zero = (i: number | null, axis: -1 | -2) =>
      i !== null && request.operands[i] ? side(i, axis) : null;
    const matrix = (i: number, block: Block, axis: -1 | -2): Factor => ({
      elem: block.elem,
      address: k.operand(i),
      strides: without(block, dims, axis),
    });
    const sums: Sums = {
      dims,
      depth,
      a: matrix(of.a, shape.a, -1),
      b: matrix(of.b, shape.b, -2),
      down: (dims.at(-1) ?? 1) * bytesPer(b.elem),
      out: { address: k.result(0), strides: byteStrides(dims, bytesPer(y.elem)) },
      rowZero: zero(of.aZero, -2),
      columnZero: zero(of.bZero, -1),
      sides: of.columns.map((i) => side(i, -1)),
    };
    integerSums(k, sums, prepare(k));
  };
  return { phases: [phase] };
}

/** Sums as they are. */
export const plain = (k: PhaseAssembler): Finish => {
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

/** Of the operands of QLinearMatMul and QLinearConv. */
const [A_SCALE, SCALE, ZERO_POINT] = [1, 6, 7];
export const B_SCALE = 4;

/** Refuses scales that machine code does not take. */
export function checkScales(request: KernelRequest): void {
  const factors = [A_SCALE, B_SCALE, SCALE].map((i) => given(request, i));
  const other = factors.find((f) => f.elem !== "f32");
  if (other) throw new KernelGap(`elements of type ${other.elem}`);
  if (sizeOf(given(request, A_SCALE).shape) !== 1) throw new KernelGap("scales of rows");
}

/** Operands: a, its scale and zero point, b, its scale and zero point, the result's scale and zero. */
const qLinearMatMul: Generate = (request) => {
  checkScales(request);
  const of = { a: 0, b: 3, aZero: 2, bZero: 5, columns: [B_SCALE] };
  return product(request, of, requantised);
};

/** Sums, with an addend where there is one, times a's scale and b's over that of the result, as levels. */
export function requantised(k: PhaseAssembler): Finish {
  const { elem } = wanted(k.request);
  const own = k.f("flw", 0, k.operand(A_SCALE));
  const scale = k.f("flw", 0, k.operand(SCALE));
  const zero = loadWhole(k, elem, 0, k.operand(ZERO_POINT));
  const grid = gridOf(k, scale, zero, elem);
  return (sum, to, [by, addend]) => {
    const factor: F = k.f("fdiv.s", k.f("fmul.s", own, k.f("flw", ...(by ?? [0, ZERO]))), scale);
    const whole = addend ? k.add(sum, k.x("lw", ...addend)) : sum;
    const level = nearestLevel(k, k.f("fmul.s", k.f("fcvt.s.w", whole), factor), grid);
    k.emit(STORE[bytesPer(elem) as Unit], level, ...to);
  };
}

export const INTEGER_PRODUCT: GeneratorTable = {
  MatMulInteger: matMulInteger,
  QLinearMatMul: qLinearMatMul,
};
