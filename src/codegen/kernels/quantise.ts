/** ONNX's linear quantisation: the same bits as src/tensor's kernels. */

import { limits } from "../../tensor/kernels/quantise.ts";
import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { STORE, type Unit } from "../copy.ts";
import { allInSingle } from "../in-single.ts";
import {
  type Block,
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { type F, type X, ZERO } from "../register.ts";
import { axisOf, given, number, wanted } from "../request.ts";
import { FLOAT_BYTES } from "../strip.ts";
import { unrolled } from "../unrolled.ts";
import { byteStrides, eachRun, type Run } from "../walk.ts";
import { isWhole, loadWhole } from "./integers.ts";

/** Instructions around an element: few elements a turn. */
const WORK = 3;

/** A part of the index space of x, in which blocks along the axis have an axis of their own; strides are in elements. */
interface Scaled {
  readonly dims: readonly number[];
  readonly x: Strides;
  /** Of a tensor of one scale, one for each index of the axis, or one for each block. */
  readonly scale: Strides;
}

interface Strides {
  readonly from: number;
  readonly strides: readonly number[];
}

/** All of x; where the last block is not full, that one is a part of its own. */
function scaledOf(request: KernelRequest, x: Block, scale: Block): readonly Scaled[] {
  const own = byteStrides(x.shape, 1);
  const all = (strides: readonly number[]): readonly Scaled[] => [
    { dims: x.shape, x: { from: 0, strides: own }, scale: { from: 0, strides } },
  ];
  if (sizeOf(scale.shape) === 1) return all(x.shape.map(() => 0));
  const axis = axisOf(number(request, "axis", 1), x.shape.length);
  const block = number(request, "block_size", 0);
  if (block === 0) return all(x.shape.map((_, i) => (i === axis ? 1 : 0)));
  const size = x.shape[axis] ?? 1;
  const blocks = Math.floor(size / block);
  const strides = byteStrides(scale.shape, 1);
  const step = own[axis] ?? 1;
  const part = (first: number, count: number, length: number): Scaled => ({
    dims: x.shape.toSpliced(axis, 1, count, length),
    x: { from: first * block * step, strides: own.toSpliced(axis, 1, block * step, step) },
    scale: { from: first * (strides[axis] ?? 0), strides: strides.toSpliced(axis + 1, 0, 0) },
  });
  return [part(0, blocks, block), part(blocks, 1, size % block)];
}

/** Of a row-major tensor of these elements. */
const walker = (address: X, elem: Elem, dims: readonly number[]) => ({
  address,
  strides: byteStrides(dims, bytesPer(elem)),
});

function partWalker(k: PhaseAssembler, address: X, elem: Elem, { from, strides }: Strides) {
  const bytes = bytesPer(elem);
  return { address: k.add(address, from * bytes), strides: strides.map((s) => s * bytes) };
}

interface Grid {
  readonly scale: F;
  readonly zero: X;
  /** The ends of the range, less the zero point. */
  readonly low: F;
  readonly high: F;
}

export function gridOf(k: PhaseAssembler, scale: F, zero: X, elem: Elem): Grid {
  const [low, high] = limits(elem).map((end) => k.f("fcvt.s.w", k.sub(k.li(end), zero)));
  if (!low || !high) throw new Error("a range has two ends");
  return { scale, zero, low, high };
}

/** The level of a number. */
const level = (k: PhaseAssembler, x: F, grid: Grid): X =>
  nearestLevel(k, k.f("fdiv.s", x, grid.scale), grid);

/** The level of a quotient: within the range, to the nearest, halves to even; 0 for NaN. */
export function nearestLevel(k: PhaseAssembler, quotient: F, { zero, low, high }: Grid): X {
  const bounded = k.f("fmin.s", k.f("fmax.s", quotient, low), high);
  const nearest = k.add(k.x("fcvt.w.s", bounded, 0), zero);
  const isNumber = k.x("feq.s", quotient, quotient);
  return k.x("and", nearest, k.sub(ZERO, isNumber));
}

const refuse = (elem: Elem): never => {
  throw new KernelGap(`elements of type ${elem}`);
};

interface Operands {
  readonly x: Block;
  readonly y: Block;
  readonly zeros: Block | null;
}

/** Over results, operands, scales, and zero points where there are some. */
const walkersOf = (k: PhaseAssembler, { x, y, zeros }: Operands, part: Scaled) => [
  partWalker(k, k.result(0), y.elem, part.x),
  partWalker(k, k.operand(0), x.elem, part.x),
  partWalker(k, k.operand(1), "f32", part.scale),
  ...(zeros ? [partWalker(k, k.operand(2), zeros.elem, part.scale)] : []),
];

/** Code for each run of each part. */
function eachScaledRun(
  k: PhaseAssembler,
  of: Operands,
  parts: readonly Scaled[],
  run: (run: Run) => void,
): void {
  for (const part of parts) {
    if (sizeOf(part.dims) > 0) eachRun(k, part.dims, walkersOf(k, of, part), run);
  }
}

const quantizeLinear: Generate = (request) => {
  const [x, scale, y] = [given(request, 0), given(request, 1), wanted(request)];
  const zeros = request.operands[2] ?? null;
  if (x.elem !== "f32" || scale.elem !== "f32") refuse(x.elem);
  if (!isWhole(y.elem) || bytesPer(y.elem) > 2) refuse(y.elem);
  const parts = scaledOf(request, x, scale);
  const phase = (k: PhaseAssembler): void => {
    eachScaledRun(k, { x, y, zeros }, parts, (run) => {
      const grid = (at: readonly X[], offsets: readonly number[]): Grid => {
        const [, , s, z] = at;
        const zero = z ? loadWhole(k, y.elem, offsets[3] ?? 0, z) : ZERO;
        return gridOf(k, k.f("flw", offsets[2] ?? 0, s ?? ZERO), zero, y.elem);
      };
      quantised(k, run, y.elem, grid);
    });
  };
  return { phases: [phase] };
};

/** Writes the levels of a run; places: levels, numbers, and what the grid is read from. */
function quantised(
  k: PhaseAssembler,
  run: Run,
  elem: Elem,
  grid: (at: readonly X[], offsets: readonly number[]) => Grid,
): void {
  const { at, steps } = run;
  const [to, from] = at as [X, X];
  const fixed = steps.slice(2).every((s) => s === 0) ? grid(at, []) : null;
  const one = (offsets: readonly number[]): void => {
    const x = k.f("flw", offsets[1] ?? 0, from);
    const value = level(k, x, fixed ?? grid(at, offsets));
    k.emit(STORE[bytesPer(elem) as Unit], value, offsets[0] ?? 0, to);
  };
  unrolled(k, run, one, WORK);
}

const dequantizeLinear: Generate = (request) => {
  const [x, scale, y] = [given(request, 0), given(request, 1), wanted(request)];
  const zeros = request.operands[2] ?? null;
  if (y.elem !== "f32" || scale.elem !== "f32") refuse(y.elem);
  if (!isWhole(x.elem) || bytesPer(x.elem) > 4) refuse(x.elem);
  const parts = scaledOf(request, x, scale);
  const phase = (k: PhaseAssembler): void => {
    eachScaledRun(k, { x, y, zeros }, parts, (run) => {
      const [to, from, s, z] = run.at as [X, X, X, X | undefined];
      const read = (offsets: readonly number[]) => ({
        scale: k.f("flw", offsets[2] ?? 0, s),
        zero: z ? loadWhole(k, x.elem, offsets[3] ?? 0, z) : ZERO,
      });
      const fixed = run.steps.slice(2).every((step) => step === 0) ? read([]) : null;
      const one = (offsets: readonly number[]): void => {
        const { scale: by, zero } = fixed ?? read(offsets);
        const difference = k.sub(loadWhole(k, x.elem, offsets[1] ?? 0, from), zero);
        const value = k.f("fmul.s", k.f("fcvt.s.w", difference), by);
        k.emit("fsw", value, offsets[0] ?? 0, to);
      };
      unrolled(k, run, one, WORK);
    });
  };
  return { phases: [phase] };
};

const LEVELS = 255;
const PAIR = 2 * FLOAT_BYTES;

/** To uint8, over the range of the values and zero: the ends of each core's part first. */
const dynamicQuantizeLinear: Generate = (request) => {
  const x = given(request, 0);
  if (x.elem !== "f32") refuse(x.elem);
  const size = sizeOf(x.shape);
  const { cores } = request;
  const ends = (k: PhaseAssembler): void => {
    const [low, high] = [k.constant(0), k.constant(0)];
    const { from, end } = k.share(size);
    const at = k.add(k.operand(0), k.mul(from, FLOAT_BYTES));
    unrolled(k, { at: [at], steps: [FLOAT_BYTES], count: k.sub(end, from) }, ([offset = 0]) => {
      const v = k.f("flw", offset, at);
      k.to(low, "fmin.s", low, v);
      k.to(high, "fmax.s", high, v);
    });
    const place = k.add(k.scratch(), k.mul(k.core, PAIR));
    k.emit("fsw", low, 0, place);
    k.emit("fsw", high, FLOAT_BYTES, place);
  };
  const levels = (k: PhaseAssembler): void => {
    const grid = rangeGrid(k, cores);
    k.when("eq", k.core, ZERO, () => {
      k.emit("fsw", grid.scale, 0, k.result(1));
      k.emit("sb", grid.zero, 0, k.result(2));
    });
    const walkers = [walker(k.result(0), "ui8", [size]), walker(k.operand(0), "f32", [size])];
    eachRun(k, [size], walkers, (run) => quantised(k, run, "ui8", () => grid));
  };
  return { phases: [ends, levels], scratchBytes: cores * PAIR };
};

/** Scale and zero point of the range that the cores have found; zeros alone have the scale 1. */
function rangeGrid(k: PhaseAssembler, cores: number): Grid {
  const [low, high] = [k.constant(0), k.constant(0)];
  const at = k.scratch();
  k.repeat(cores, () => {
    k.to(low, "fmin.s", low, k.f("flw", 0, at));
    k.to(high, "fmax.s", high, k.f("flw", FLOAT_BYTES, at));
    k.addTo(at, at, PAIR);
  });
  const scale = k.f("fdiv.s", k.f("fsub.s", high, low), k.constant(LEVELS));
  const one = k.constant(1);
  k.when("ne", k.x("feq.s", low, high), ZERO, () => k.to(scale, "fsgnj.s", one, one));
  const shift = k.f("fdiv.s", k.f("fsgnjn.s", low, low), scale);
  const zero = k.x("fcvt.w.s", k.f("fmin.s", shift, k.constant(LEVELS)), 0);
  return gridOf(k, scale, zero, "ui8");
}

export const QUANTISE: GeneratorTable = allInSingle({
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
});
