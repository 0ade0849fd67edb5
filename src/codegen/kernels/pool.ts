/**
 * Windows that slide over planes. Maxima and their positions are the same bits; means and norms are sums in single
 * precision, in the order of the window.
 */

import { type Windows, windowsOf } from "../../tensor/kernels/window.ts";
import { bytesPer, type Elem, isFloat, sizeOf } from "../../tensor/tensor.ts";
import { LOAD, STORE, unitOf } from "../copy.ts";
import { inSingle } from "../in-single.ts";
import {
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { type F, type X, ZERO } from "../register.ts";
import { given, number, wanted } from "../request.ts";
import { type Scalars, withScalars } from "../scalars.ts";
import { byteStrides, type Walker, walk } from "../walk.ts";

function windows(request: KernelRequest, isGlobal: boolean): Windows {
  const [batch = 1, channels = 1, ...input] = given(request, 0).shape;
  const { attrs } = request;
  const kernel = isGlobal ? input : (attrs["kernel_shape"] as readonly number[] | undefined);
  const own = isGlobal ? {} : attrs;
  const found = windowsOf({ inputs: [], attrs: own, outShapes: null }, input, kernel ?? input);
  const shape = [batch, channels, ...found.output];
  if (shape.some((d, i) => d !== wanted(request).shape[i])) {
    throw new KernelGap("a part of the result");
  }
  return found;
}

/** Elements that a window sees, in order; `padded` is called for taps in the padding. */
interface Taps {
  readonly each: (seen: (address: X) => void, padded?: () => void) => void;
}

/** `pool` for every result: with the taps of its window and where it lies in each of the results. */
function slide(
  k: PhaseAssembler,
  request: KernelRequest,
  w: Windows,
  pool: (taps: Taps, to: readonly X[]) => void,
): void {
  const { results } = request;
  const { elem, shape } = given(request, 0);
  const bytes = bytesPer(elem);
  const dims = [sizeOf(shape.slice(0, 2)), ...w.output];
  const own = byteStrides(w.input, bytes);
  const offset = w.before.reduce((sum, b, i) => sum - b * (own[i] ?? 0), 0);
  const steps = own.map((s, i) => s * (w.strides[i] ?? 1));
  const walkers: Walker[] = [
    { address: k.add(k.operand(0), offset), strides: [sizeOf(w.input) * bytes, ...steps] },
    // Where the window begins on each axis, walked as if it were an address.
    ...w.input.map((_, axis) => ({
      address: k.li(-(w.before[axis] ?? 0)),
      strides: [0, ...w.input.map((_, i) => (i === axis ? (w.strides[i] ?? 1) : 0))],
    })),
    ...results.map((r, i) => ({
      address: k.result(i),
      strides: byteStrides(dims, bytesPer(r.elem)),
    })),
  ];
  const sight = sightOf(k, w, own);
  walk(k, { dims, strides: walkers.map((v) => v.strides) }, walkers, ({ at, steps: by, count }) => {
    k.repeat(count, () => {
      const [from, ...rest] = at as [X, ...X[]];
      const places = rest.slice(0, w.input.length);
      pool({ each: sight(from, places) }, rest.slice(w.input.length));
      for (const [i, p] of at.entries()) if (by[i] !== 0) k.addTo(p, p, by[i] ?? 0);
    });
  });
}

/** The axes of the operand: their sizes, and where their padding ends. */
interface Edges {
  readonly sizes: readonly X[];
  readonly ends: readonly X[];
}

/** Loops over the taps of the window that begins at an address, and at these places on the axes. */
function sightOf(k: PhaseAssembler, w: Windows, own: readonly number[]) {
  const edges: Edges = {
    sizes: w.input.map((size) => k.li(size)),
    ends: w.input.map((size, i) => k.li(size + (w.after[i] ?? 0))),
  };
  return (from: X, places: readonly X[]): Taps["each"] =>
    (seen, padded) => {
      const nest = (axis: number, outer: X, on: readonly X[]): void => {
        if (axis === places.length) {
          tap(k, edges, on, () => seen(outer), padded);
          return;
        }
        const [at, place] = [k.copy(outer), k.copy(places[axis] as X)];
        const dilation = w.dilations[axis] ?? 1;
        k.repeat(w.kernel[axis] ?? 1, () => {
          nest(axis + 1, at, [...on, place]);
          k.addTo(at, at, dilation * (own[axis] ?? 0));
          k.addTo(place, place, dilation);
        });
      };
      nest(0, from, []);
    };
}

/** `seen` where the places lie inside of all axes, `padded` where they lie in their padding, else nothing. */
function tap(
  k: PhaseAssembler,
  { sizes, ends }: Edges,
  places: readonly X[],
  seen: () => void,
  padded?: () => void,
): void {
  const [hidden, done] = [k.newLabel(), k.newLabel()];
  for (const [i, p] of places.entries()) k.branch("geu", p, sizes[i] as X, hidden);
  seen();
  if (padded) k.jump(done);
  k.label(hidden);
  if (padded) {
    for (const [i, p] of places.entries()) k.branch("ge", p, ends[i] as X, done);
    padded();
  }
  k.label(done);
}

const maxPool =
  (isGlobal: boolean): Generate =>
  (request) => {
    const { elem } = given(request, 0);
    const w = windows(request, isGlobal);
    if (request.results.length > 1 && number(request, "storage_order", 0) !== 0) {
      throw new KernelGap("positions counted by columns");
    }
    const search = (k: PhaseAssembler): void => {
      withScalars(k, elem, (s) => {
        const base = k.operand(0);
        slide(k, request, w, ({ each }, [to, place]) => {
          const best = largest(k, s, each);
          store(k, elem, best, to as X);
          if (place) storePlace(k, best, base, bytesPer(elem), place);
        });
      });
    };
    return { phases: [search] };
  };

/** The address of the largest element, the first of equals; 0 where there is none. NaN stays if it is the first. */
function largest<T>(k: PhaseAssembler, s: Scalars<T>, each: Taps["each"]): X {
  const best = k.copy(ZERO);
  each((at) => {
    const [take, done] = [k.newLabel(), k.newLabel()];
    k.branch("eq", best, ZERO, take);
    k.branch("eq", s.less(s.load(0, best), s.load(0, at)), ZERO, done);
    k.label(take);
    k.move(best, at);
    k.label(done);
  });
  return best;
}

/** The bits of what a window without elements gives: the least float, or 0. */
const NOTHING: Readonly<Record<string, number>> = {
  f32: 0xff800000 | 0,
  f16: 0xfc00,
  bf16: 0xff80,
};

function store(k: PhaseAssembler, elem: Elem, best: X, to: X): void {
  const unit = unitOf(4, bytesPer(elem));
  for (let i = 0; i < bytesPer(elem); i += unit) {
    const value = k.li(isFloat(elem) ? (NOTHING[elem] ?? 0) : 0);
    k.when("ne", best, ZERO, () => k.to(value, LOAD[unit], i, best));
    k.emit(STORE[unit], value, i, to);
  }
}

/** The number of the element, -1 for none. */
function storePlace(k: PhaseAssembler, best: X, base: X, bytes: number, to: X): void {
  const place = k.li(-1);
  k.when("ne", best, ZERO, () => k.to(place, "srli", k.sub(best, base), Math.log2(bytes)));
  k.emit("sw", place, 0, to);
  k.emit("sw", k.x("srai", place, 31), 4, to);
}

function single(request: KernelRequest): void {
  const { elem } = given(request, 0);
  if (elem !== "f32") throw new KernelGap(`elements of type ${elem}`);
}

const averagePool =
  (isGlobal: boolean): Generate =>
  (request) => {
    single(request);
    const w = windows(request, isGlobal);
    const withPadding = !isGlobal && number(request, "count_include_pad", 0) !== 0;
    const mean = (k: PhaseAssembler): void => {
      slide(k, request, w, ({ each }, [to]) => {
        const [sum, count] = [k.f("fmv.w.x", ZERO), k.copy(ZERO)];
        const seen = (at: X): void => {
          k.to(sum, "fadd.s", sum, k.f("flw", 0, at));
          k.addTo(count, count, 1);
        };
        each(seen, withPadding ? () => void k.addTo(count, count, 1) : undefined);
        k.emit("fsw", k.f("fdiv.s", sum, k.f("fcvt.s.w", count)), 0, to as X);
      });
    };
    return { phases: [mean] };
  };

/** Sums of magnitudes, or roots of sums of squares. */
const lpPool =
  (isGlobal: boolean): Generate =>
  (request) => {
    single(request);
    const w = windows(request, isGlobal);
    const p = number(request, "p", 2);
    if (p !== 1 && p !== 2) throw new KernelGap(`norms of order ${p}`);
    const norm = (k: PhaseAssembler): void => {
      slide(k, request, w, ({ each }, [to]) => {
        const sum = k.f("fmv.w.x", ZERO);
        each((at) => {
          const x = k.f("flw", 0, at);
          if (p === 2) k.to(sum, "fmadd.s", x, x, sum);
          else k.to(sum, "fadd.s", sum, k.f("fsgnjx.s", x, x));
        });
        const result: F = p === 2 ? k.f("fsqrt.s", sum) : sum;
        k.emit("fsw", result, 0, to as X);
      });
    };
    return { phases: [norm] };
  };

export const POOL: GeneratorTable = {
  MaxPool: maxPool(false),
  GlobalMaxPool: maxPool(true),
  AveragePool: inSingle(averagePool(false)),
  GlobalAveragePool: inSingle(averagePool(true)),
  LpPool: inSingle(lpPool(false)),
  GlobalLpPool: inSingle(lpPool(true)),
};
