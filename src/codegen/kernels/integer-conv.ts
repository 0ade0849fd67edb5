/** Convolutions of integers, as products over gathered windows: the same bits as src/tensor's kernels. */

import { windowsOf } from "../../tensor/kernels/window.ts";
import { bytesPer, sizeOf } from "../../tensor/tensor.ts";
import { fillWalk } from "../copy.ts";
import type { Generate, GeneratorTable, KernelRequest, Phase, PhaseAssembler } from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { given, number, wanted } from "../request.ts";
import { unrolled } from "../unrolled.ts";
import { byteStrides, eachRun } from "../walk.ts";
import { gathered, padding, seen, whole } from "./conv.ts";
import {
  B_SCALE,
  checkScales,
  integerSums,
  narrow,
  plain,
  requantised,
  type Sums,
} from "./integer-product.ts";
import { loadWhole } from "./integers.ts";

const WORD = 4;
const BIAS = 8;

/** Numbers of the operands; `sides` are f32 or i32, one or one for each filter. */
interface Numbers {
  readonly x: number;
  readonly xZero: number;
  readonly w: number;
  readonly wZero: number;
  readonly sides: readonly number[];
}

type Prepare = (k: PhaseAssembler) => Parameters<typeof integerSums>[2];

/** x [B, C, ...], w [M, C / group, ...] -> [B, M, ...]; any number of spatial axes. */
function convolution(request: KernelRequest, of: Numbers, prepare: Prepare) {
  const [x, w] = [given(request, of.x), given(request, of.w)];
  for (const block of [x, w]) narrow(block);
  const group = number(request, "group", 1);
  const [batch = 1, channels = 1, ...input] = x.shape;
  const [features = 1, depth = 1, ...kernel] = w.shape;
  const call = { inputs: [], attrs: request.attrs, outShapes: null };
  const windows = windowsOf(call, input, kernel);
  whole(request, [batch, features, ...windows.output]);
  const [rows, width] = [features / group, depth * sizeOf(kernel)];
  const positions = sizeOf(windows.output);
  const planes = [batch, channels, ...seen(windows)];
  const planeBytes = sizeOf(planes) * WORD;
  const columns = (k: PhaseAssembler): X => k.add(k.scratch(), planeBytes);
  const sums = (k: PhaseAssembler): void => {
    const { elem } = wanted(request);
    const filters = (i: number) => {
      const own = given(request, i);
      const step = sizeOf(own.shape) === 1 ? 0 : bytesPer(own.elem);
      return { elem: own.elem, address: k.operand(i), strides: [0, rows * step, step, 0] };
    };
    const weight = bytesPer(w.elem);
    const dims = [batch, group, rows, positions];
    const plane = width * positions * WORD;
    const all: Sums = {
      dims,
      depth: width,
      a: {
        elem: w.elem,
        address: k.operand(of.w),
        strides: [0, rows * width * weight, width * weight, 0],
      },
      b: { elem: "i32", address: columns(k), strides: [group * plane, plane, 0, WORD] },
      down: positions * WORD,
      out: { address: k.result(0), strides: byteStrides(dims, bytesPer(elem)) },
      rowZero: request.operands[of.wZero] ? filters(of.wZero) : null,
      columnZero: null,
      sides: of.sides.filter((i) => request.operands[i]).map(filters),
    };
    integerSums(k, all, prepare(k));
  };
  return {
    phases: [
      (k: PhaseAssembler) =>
        fillWalk(k, planes, WORD, ZERO, {
          address: k.scratch(),
          strides: byteStrides(planes, WORD),
        }),
      centred(of, x.shape, planes, windows.before),
      gathered(planes, windows, (k) => k.scratch(), columns),
      sums,
    ],
    scratchBytes: planeBytes + batch * channels * sizeOf(kernel) * positions * WORD,
  };
}

/** x less its zero point as words among zeros, at the beginning of the scratch memory. */
function centred(
  { x, xZero }: Numbers,
  shape: readonly number[],
  planes: readonly number[],
  before: readonly number[],
): Phase {
  const { kept, offset } = padding(shape, planes, before);
  return (k) => {
    const { elem } = given(k.request, x);
    const zero = k.request.operands[xZero] ? loadWhole(k, elem, 0, k.operand(xZero)) : null;
    const walkers = [
      { address: k.operand(x), strides: byteStrides(shape, bytesPer(elem)) },
      { address: k.add(k.scratch(), offset), strides: byteStrides(planes, WORD) },
    ];
    eachRun(k, kept, walkers, (run) => {
      const [from, to] = run.at as [X, X];
      unrolled(k, run, ([source = 0, target = 0]) => {
        const value = loadWhole(k, elem, source, from);
        k.emit("sw", zero ? k.sub(value, zero) : value, target, to);
      });
    });
  };
}

const convInteger: Generate = (request) =>
  convolution(request, { x: 0, xZero: 2, w: 1, wZero: 3, sides: [] }, plain);

/** Operands: x, its scale and zero point, w, its, the result's scale and zero point, bias?. */
const qLinearConv: Generate = (request) => {
  checkScales(request);
  const of = { x: 0, xZero: 2, w: 3, wZero: 5, sides: [B_SCALE, BIAS] };
  return convolution(request, of, requantised);
};

export const INTEGER_CONV: GeneratorTable = { ConvInteger: convInteger, QLinearConv: qLinearConv };
