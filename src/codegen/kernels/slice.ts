/** Windows into a tensor and around it. The same bits. */

import { PAD_SOURCES } from "../../tensor/kernels/slice.ts";
import { bytesPer, isFloat, sizeOf } from "../../tensor/tensor.ts";
import { copyWalk, fillWalk, unitOf } from "../copy.ts";
import {
  type Block,
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { axisOf, given, listed, number, wanted, word } from "../request.ts";
import { byteStrides } from "../walk.ts";

/** One axis of a slice; the start is the number of the element of `starts` where only the run knows it. */
interface Cut {
  readonly start: number | { readonly entry: number };
  readonly step: number;
}

const clamp = (v: number, low: number, high: number): number => Math.max(low, Math.min(high, v));

/** numpy's rules: negative positions count from the end, and out of range means the edge. */
function firstOf(start: number, step: number, size: number): number {
  return clamp(start < 0 ? start + size : start, 0, step > 0 ? size : Math.max(0, size - 1));
}

function cutsOf(request: KernelRequest): readonly Cut[] {
  const { shape } = given(request, 0);
  const block = request.operands[1];
  const known = block && !block.values ? null : (listed(request, 1, "starts") ?? []);
  const count = known ? known.length : sizeOf(block?.shape ?? []);
  const axes = listed(request, 3, "axes") ?? Array.from({ length: count }, (_, i) => i);
  const steps = listed(request, 4, "steps") ?? axes.map(() => 1);
  const cuts: Cut[] = shape.map(() => ({ start: 0, step: 1 }));
  for (const [i, a] of axes.entries()) {
    const axis = axisOf(a, shape.length);
    const [size = 0, step = 1] = [shape[axis], steps[i]];
    const start = known ? firstOf(known[i] ?? 0, step, size) : { entry: i };
    cuts[axis] = { start, step };
  }
  return cuts;
}

const slice: Generate = (request) => {
  const [x, y] = [given(request, 0), wanted(request)];
  const cuts = cutsOf(request);
  const bytes = bytesPer(x.elem);
  const own = byteStrides(x.shape, bytes);
  const at = cuts.map(({ start }, i) => (typeof start === "number" ? start * (own[i] ?? 0) : 0));
  const offset = at.reduce((a, b) => a + b, 0);
  const strides = cuts.map(({ step }, i) => step * (own[i] ?? 0));
  const open = cuts.flatMap(({ start }, i) => (typeof start === "number" ? [] : [own[i] ?? 0]));
  const cut = (k: PhaseAssembler): void => {
    const address = k.add(k.operand(0), offset);
    for (const [axis, { start, step }] of cuts.entries()) {
      if (typeof start === "number") continue;
      const place = startAt(k, request, start.entry, step, x.shape[axis] ?? 0);
      k.addTo(address, address, k.mul(place, own[axis] ?? 0));
    }
    const to = { address: k.result(0), strides: byteStrides(y.shape, bytes) };
    copyWalk(k, y.shape, bytes, { address, strides }, to, unitOf(4, offset, ...open));
  };
  return { phases: [cut] };
};

/** Entry i of operand 1 as a position on an axis of this size. */
function startAt(
  k: PhaseAssembler,
  request: KernelRequest,
  i: number,
  step: number,
  size: number,
): X {
  const { elem } = given(request, 1);
  const address = k.operand(1);
  const at = k.x("lw", i * bytesPer(elem), address);
  if (elem === "i64") {
    // What 32 bits do not hold lies behind an edge in any case.
    const high = k.x("lw", i * 8 + 4, address);
    k.when("ne", high, k.x("srai", at, 31), () => {
      k.to(at, "xori", k.x("srai", high, 31), -1);
      k.to(at, "srli", at, 1);
      k.when("lt", high, ZERO, () => k.set(at, -(2 ** 31)));
    });
  }
  k.when("lt", at, ZERO, () => k.addTo(at, at, size));
  k.when("lt", at, ZERO, () => k.move(at, ZERO));
  return k.min(at, k.li(step > 0 ? size : Math.max(0, size - 1)));
}

/** Positions of the result side by side, and what they read: one element after the other, backwards, or the same. */
interface Segment {
  readonly at: number;
  readonly length: number;
  /** -1 for the constant. */
  readonly source: number;
  readonly step: number;
}

/** A product of more pieces than this is no code any more. */
const MOST_PIECES = 48;

function segments(sources: readonly number[]): readonly Segment[] {
  const found: Segment[] = [];
  for (const [at, source] of sources.entries()) {
    const last = found.at(-1);
    if (last && last.source < 0 === source < 0) {
      const step = source < 0 ? 0 : source - (last.source + (last.length - 1) * last.step);
      if (last.length === 1 ? Math.abs(step) <= 1 : step === last.step) {
        found[found.length - 1] = { ...last, length: last.length + 1, step };
        continue;
      }
    }
    found.push({ at, length: 1, source, step: 0 });
  }
  return found;
}

function paddings(request: KernelRequest, rank: number): readonly (readonly [number, number])[] {
  const pads = listed(request, 1, "pads") ?? [];
  const axes = listed(request, 3, "axes")?.map((a) => axisOf(a, rank)) ?? null;
  const count = pads.length / 2;
  return Array.from({ length: rank }, (_, axis) => {
    const i = axes ? axes.indexOf(axis) : axis;
    return i < 0 ? [0, 0] : [pads[i] ?? 0, pads[i + count] ?? 0];
  });
}

/** A box of the result, and where it reads; without that it gets the constant. */
interface Piece {
  readonly at: readonly number[];
  readonly shape: readonly number[];
  readonly source: readonly Segment[] | null;
}

/** The boxes of a result whose axes have these segments. */
function piecesOf(
  axes: readonly (readonly Segment[])[],
  sizes: readonly number[],
): readonly Piece[] {
  const found: Piece[] = [];
  const visit = (chosen: readonly Segment[]): void => {
    const axis = chosen.length;
    const at = sizes.map((_, i) => chosen[i]?.at ?? 0);
    const shape = sizes.map((size, i) => chosen[i]?.length ?? size);
    if (chosen.at(-1)?.source === -1) found.push({ at, shape, source: null });
    else if (axis === sizes.length) found.push({ at, shape, source: chosen });
    else for (const s of axes[axis] ?? []) visit([...chosen, s]);
  };
  visit([]);
  return found;
}

const pad: Generate = (request) => {
  const [x, y] = [given(request, 0), wanted(request)];
  const source = PAD_SOURCES[word(request, "mode", "constant")];
  if (!source) throw new KernelGap(`the mode ${word(request, "mode", "")}`);
  const pads = paddings(request, x.shape.length);
  const axes = pads.map(([before, after], axis) => {
    const size = x.shape[axis] ?? 1;
    const count = Math.max(0, size + before + after);
    if (count !== y.shape[axis]) throw new KernelGap("a part of the result");
    return segments(Array.from({ length: count }, (_, i) => source(i - before, size)));
  });
  const pieces = piecesOf(axes, y.shape).filter((p) => sizeOf(p.shape) > 0);
  if (pieces.length > MOST_PIECES) throw new KernelGap(`paddings of ${pieces.length} pieces`);
  return {
    phases: [
      (k) => {
        for (const piece of pieces) paste(k, x, y, piece);
      },
    ],
  };
};

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * (b[i] ?? 0), 0);

function paste(k: PhaseAssembler, x: Block, y: Block, { at, shape, source }: Piece): void {
  const bytes = bytesPer(x.elem);
  const [own, strides] = [byteStrides(x.shape, bytes), byteStrides(y.shape, bytes)];
  const offset = dot(at, strides);
  const to = { address: k.add(k.result(0), offset), strides };
  if (source) {
    const begin = dot(
      source.map((s) => s.source),
      own,
    );
    const from = {
      address: k.add(k.operand(0), begin),
      strides: source.map((s, axis) => s.step * (own[axis] ?? 0)),
    };
    copyWalk(k, shape, bytes, from, to, unitOf(4, offset, begin));
  } else if (k.request.operands[2]) {
    const from = { address: k.operand(2), strides: shape.map(() => 0) };
    copyWalk(k, shape, bytes, from, to, unitOf(4, offset));
  } else fillWalk(k, shape, bytes, attributeValue(k, x), to);
}

/** The constant of files before opset 11. */
function attributeValue(k: PhaseAssembler, { elem }: Block): X {
  const value = number(k.request, "value", 0);
  if (value === 0) return ZERO;
  if (elem === "f32") return k.x("fmv.x.w", k.constant(value));
  if (isFloat(elem)) throw new KernelGap(`paddings of ${elem} other than 0`);
  return k.li(value);
}

export const SLICE: GeneratorTable = { Slice: slice, Pad: pad };
