/**
 * Convolution as a matrix product over gathered windows, and transposed convolution as a product whose results are
 * spread. Sums are taken in single precision with fused multiply-adds: within 2^-24 of the sum of the magnitudes of a
 * result's terms for each of them, as matrix products are.
 */

import { type Spread, spreadsOf } from "../../tensor/kernels/conv-transpose.ts";
import { type Windows, windowsOf } from "../../tensor/kernels/window.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import { copyWalk, fillWalk } from "../copy.ts";
import { allInSingle } from "../in-single.ts";
import {
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type Phase,
  type PhaseAssembler,
} from "../kernel.ts";
import { contraction } from "../product/phase.ts";
import { type View, viewOf } from "../product/view.ts";
import { type X, ZERO } from "../register.ts";
import { number, single, wanted } from "../request.ts";
import { byteStrides, type Run, type Walker, walk } from "../walk.ts";

const WORD = 4;

type Address = (k: PhaseAssembler) => X;

const scratchAt =
  (offset: number): Address =>
  (k) =>
    k.add(k.scratch(), offset);

const callOf = ({ attrs }: KernelRequest) => ({ inputs: [], attrs, outShapes: null });

/** Refuses a result of another shape. */
export function whole(request: KernelRequest, shape: readonly number[]): void {
  const y = wanted(request).shape;
  if (shape.length !== y.length || shape.some((d, i) => d !== y[i])) {
    throw new KernelGap("a part of the result");
  }
}

/** Padded elements of x that the windows see, on every spatial axis. */
export const seen = (w: Windows): readonly number[] =>
  w.output.map((o, i) => {
    return (o - 1) * (w.strides[i] ?? 1) + ((w.kernel[i] ?? 1) - 1) * (w.dilations[i] ?? 1) + 1;
  });

/** x [B, C, ...], w [M, C / group, ...], bias [M] -> [B, M, ...]; any number of spatial axes. */
const conv: Generate = (request) => {
  const [x, w] = [single(request.operands[0]), single(request.operands[1])];
  const group = number(request, "group", 1);
  const [batch = 1, channels = 1, ...input] = x.shape;
  const [features = 1, depth = 1, ...kernel] = w.shape;
  const windows = windowsOf(callOf(request), input, kernel);
  whole(request, [batch, features, ...windows.output]);
  const [rows, width, positions] = [
    features / group,
    depth * sizeOf(kernel),
    sizeOf(windows.output),
  ];
  const sizes = seen(windows);
  const isPadded = windows.before.some((b) => b !== 0) || sizes.some((s, i) => s > (input[i] ?? 0));
  const planes = [batch, channels, ...(isPadded ? sizes : input)];
  const paddedBytes = isPadded ? sizeOf(planes) * WORD : 0;
  const from: Address = isPadded ? scratchAt(0) : (k) => k.operand(0);
  const isPlain = !isPadded && sizeOf(kernel) === 1 && windows.strides.every((s) => s === 1);
  const columns: Address = isPlain ? from : scratchAt(paddedBytes);
  const product = contraction(
    {
      a: viewOf([1, group, rows, width]),
      b: viewOf([batch, group, width, positions]),
      out: viewOf([batch, group, rows, positions]),
      c: request.operands[2] ? biasView(group, rows) : null,
    },
    { a: (k) => k.operand(1), b: columns, c: (k) => k.operand(2), out: (k) => k.result(0) },
    request.isa,
    request.cores,
  );
  return {
    phases: [
      ...(isPadded ? padded(x.shape, planes, windows.before) : []),
      ...(isPlain ? [] : [gathered(planes, windows, from, columns)]),
      product,
    ],
    scratchBytes:
      paddedBytes + (isPlain ? 0 : batch * channels * sizeOf(kernel) * positions * WORD),
  };
};

/** One number for each row of each group. */
const biasView = (group: number, rows: number): View => ({
  shape: [1, group, rows, 1],
  strides: [0, rows * WORD, WORD, 0],
});

/** How much of x lies among the planes that windows see, and where it begins there. */
export function padding(
  shape: readonly number[],
  planes: readonly number[],
  before: readonly number[],
): { readonly kept: readonly number[]; readonly offset: number } {
  const strides = byteStrides(planes, WORD);
  const ahead = [0, 0, ...before];
  if (ahead.some((b) => b < 0)) throw new KernelGap("negative paddings");
  const kept = shape.map((d, i) => Math.max(0, Math.min(d, (planes[i] ?? 0) - (ahead[i] ?? 0))));
  const offset = ahead.reduce((sum, b, i) => sum + b * (strides[i] ?? 0), 0);
  return { kept, offset };
}

/** x among zeros, in the scratch memory: what lies behind the last window is left out. */
function padded(
  shape: readonly number[],
  planes: readonly number[],
  before: readonly number[],
): readonly Phase[] {
  const [own, strides] = [byteStrides(shape, WORD), byteStrides(planes, WORD)];
  const { kept, offset } = padding(shape, planes, before);
  return [
    (k) => fillWalk(k, planes, WORD, ZERO, { address: k.scratch(), strides }),
    (k) => {
      const to = { address: k.add(k.scratch(), offset), strides };
      copyWalk(k, kept, WORD, { address: k.operand(0), strides: own }, to);
    },
  ];
}

/** Columns [B, C, taps, positions]: what each tap of each window sees. */
export function gathered(planes: readonly number[], w: Windows, from: Address, to: Address): Phase {
  const [batch = 1, channels = 1] = planes;
  const own = byteStrides(planes, WORD);
  const spatial = own.slice(2);
  const dims = [batch, channels, ...w.kernel, ...w.output];
  const strides = [
    ...own.slice(0, 2),
    ...spatial.map((s, i) => s * (w.dilations[i] ?? 1)),
    ...spatial.map((s, i) => s * (w.strides[i] ?? 1)),
  ];
  return (k) => {
    const target = { address: to(k), strides: byteStrides(dims, WORD) };
    copyWalk(k, dims, WORD, { address: from(k), strides }, target);
  };
}

/** x [B, C, ...], w [C, M / group, ...], bias [M] -> [B, M, ...]. */
const convTranspose: Generate = (request) => {
  const [x, w] = [single(request.operands[0]), single(request.operands[1])];
  const group = number(request, "group", 1);
  const [batch = 1, channels = 1, ...input] = x.shape;
  const [, depth = 1, ...kernel] = w.shape;
  const axes = spreadsOf(callOf(request), input, kernel);
  const features = depth * group;
  whole(request, [batch, features, ...axes.map((a) => a.output)]);
  const [each, width, positions] = [channels / group, depth * sizeOf(kernel), sizeOf(input)];
  const product = contraction(
    {
      a: {
        shape: [1, group, width, each],
        strides: [0, each * width * WORD, WORD, width * WORD],
      },
      b: viewOf([batch, group, each, positions]),
      out: viewOf([batch, group, width, positions]),
    },
    { a: (k) => k.operand(1), b: (k) => k.operand(0), out: (k) => k.scratch() },
    request.isa,
    request.cores,
  );
  return {
    phases: [product, began, (k) => spread(k, batch * features, axes)],
    scratchBytes: batch * group * width * positions * WORD,
  };
};

/** The result begins as its bias, or 0. */
function began(k: PhaseAssembler): void {
  const { shape } = wanted(k.request);
  const to = { address: k.result(0), strides: byteStrides(shape, WORD) };
  if (!k.request.operands[2]) fillWalk(k, shape, WORD, ZERO, to);
  else {
    const strides = shape.map((_, i) => (i === 1 ? WORD : 0));
    copyWalk(k, shape, WORD, { address: k.operand(2), strides }, to);
  }
}

/** Adds each tap's product with each element to where it lands: a core has whole planes of the result. */
function spread(k: PhaseAssembler, planes: number, axes: readonly Spread[]): void {
  const dims = [planes, ...axes.map((a) => a.kernel), ...axes.map((a) => a.size)];
  const own = byteStrides(
    axes.map((a) => a.output),
    WORD,
  );
  const offset = axes.reduce((sum, a, i) => sum - a.before * (own[i] ?? 0), 0);
  const moved = (by: readonly number[]): readonly number[] => [
    ...axes.map((a, i) => a.dilation * (by[i] ?? 0)),
    ...axes.map((a, i) => a.stride * (by[i] ?? 0)),
  ];
  const walkers: Walker[] = [
    { address: k.scratch(), strides: byteStrides(dims, WORD) },
    {
      address: k.add(k.result(0), offset),
      strides: [sizeOf(axes.map((a) => a.output)) * WORD, ...moved(own)],
    },
    // Positions on the result's axes, walked as if they were addresses.
    ...axes.map((a, axis) => ({
      address: k.li(-a.before),
      strides: [0, ...moved(axes.map((_, i) => (i === axis ? 1 : 0)))],
    })),
  ];
  const ends = axes.map((a) => k.li(a.output));
  const strides = walkers.map((w) => w.strides);
  const add = ({ at, steps, count }: Run): void => {
    const [from, to, ...places] = at as [X, X, ...X[]];
    k.repeat(count, () => {
      const outside = k.newLabel();
      for (const [i, p] of places.entries()) k.branch("geu", p, ends[i] as X, outside);
      k.emit("fsw", k.f("fadd.s", k.f("flw", 0, to), k.f("flw", 0, from)), 0, to);
      k.label(outside);
      for (const [i, p] of at.entries()) if (steps[i] !== 0) k.addTo(p, p, steps[i] ?? 0);
    });
  };
  walk(k, { dims, strides }, walkers, add, (axis) => axis === 0);
}

export const CONV: GeneratorTable = allInSingle({ Conv: conv, ConvTranspose: convTranspose });
