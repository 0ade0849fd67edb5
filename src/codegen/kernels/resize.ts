/**
 * Resizing, one axis after the other. Coordinates are those of src/tensor, in single precision, so the nearest elements
 * are the same; weighted sums are within 2e-6 of the largest magnitude of the operand.
 */

import { extents, type Resized as Region, type Sampling } from "../../tensor/kernels/sampling.ts";
import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { copyUnits, copyWalk, unitOf } from "../copy.ts";
import { inSingle } from "../in-single.ts";
import {
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type Phase,
  type PhaseAssembler,
} from "../kernel.ts";
import { type F, type X, ZERO } from "../register.ts";
import { axisOf, given, listed, number, wanted, word } from "../request.ts";
import { byteStrides } from "../walk.ts";
import { isTabled, picked, tableOf, weighted, writeTable } from "./resize-table.ts";

const [NEAREST, DOWN, UP] = [0, 2, 3];

/** An axis that is resized. */
interface Resized extends Region {
  readonly axis: number;
}

/** The values of an operand that is there and not empty. */
function valuesOf(request: KernelRequest, i: number, name: string): readonly number[] | null {
  const block = request.operands[i];
  return block && sizeOf(block.shape) > 0 ? listed(request, i, name) : null;
}

/** The axes whose scale is not 1, or that are cropped. Errors: KernelGap where the result's shape is another. */
function resized(request: KernelRequest, isCrop: boolean): readonly Resized[] {
  const [x, y] = [given(request, 0).shape, wanted(request).shape];
  const named = request.attrs["axes"];
  const axes = Array.isArray(named) ? named.map((a) => axisOf(Number(a), x.length)) : [...x.keys()];
  const [scales, given3] = [valuesOf(request, 2, "scales"), valuesOf(request, 3, "sizes")];
  const policy = word(request, "keep_aspect_ratio_policy", "stretch");
  // In a block an axis that is not resized is shorter than the sizes say.
  const sizes = policy === "stretch" ? axes.map((a) => y[a] ?? 1) : (given3 ?? []);
  const region = isCrop ? (valuesOf(request, 1, "roi") ?? []) : [];
  const shapes = axes.map((a) => x[a] ?? 1);
  const found = extents(shapes, given3 ? { sizes, policy } : { scales: scales ?? [] });
  return found.flatMap(({ length, scale }, i): Resized[] => {
    const axis = axes[i] ?? 0;
    if (length !== y[axis]) throw new KernelGap("a part of the result");
    const [start = 0, end = 1] = [region[i], region[i + axes.length]];
    if (scale === 1 && !isCrop) return [];
    return [{ axis, size: shapes[i] ?? 1, length, scale, region: [start, end] }];
  });
}

const HALVES = new Set(["half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn"]);

/** The coordinate in the operand of position i of the result. */
function coordinate(request: KernelRequest, { size, length, scale }: Resized) {
  const mode = word(request, "coordinate_transformation_mode", "half_pixel");
  return (k: PhaseAssembler): ((i: X) => F) => {
    const position = (i: X): F => k.f("fcvt.s.wu", i, NEAREST);
    if (length === 1 && (mode === "align_corners" || mode === "pytorch_half_pixel")) {
      return () => k.constant(0);
    }
    if (mode === "align_corners") {
      const [steps, last] = [k.li(size - 1), k.constant(length - 1)];
      return (i) => k.f("fdiv.s", position(k.mul(i, steps)), last);
    }
    const by = k.constant(scale);
    if (mode === "asymmetric") return (i) => k.f("fdiv.s", position(i), by);
    if (!HALVES.has(mode)) throw new KernelGap(`the coordinates ${mode}`);
    const half = k.constant(0.5);
    const middle = (i: X): F => k.f("fdiv.s", k.f("fadd.s", position(i), half), by);
    return mode === "tf_half_pixel_for_nn" ? middle : (i) => k.f("fsub.s", middle(i), half);
  };
}

/** The position next to a coordinate. */
function nearest(k: PhaseAssembler, mode: string, x: F): X {
  if (mode === "floor") return k.x("fcvt.w.s", x, DOWN);
  if (mode === "ceil") return k.x("fcvt.w.s", x, UP);
  const below = k.x("fcvt.w.s", x, DOWN);
  const [rest, half] = [k.f("fsub.s", x, k.f("fcvt.s.w", below)), k.constant(0.5)];
  if (mode === "round_prefer_floor") return k.add(below, k.x("flt.s", half, rest));
  if (mode !== "round_prefer_ceil") throw new KernelGap(`the rounding ${mode}`);
  return k.add(below, k.x("fle.s", half, rest));
}

/** For each row of the result along an axis: its place, where row 0 of its operand lies, and its position. */
function eachPosition(
  k: PhaseAssembler,
  { size, length }: Resized,
  [outer, rowBytes]: readonly [number, number],
  [from, to]: readonly [X, X],
  body: (to: X, base: X, i: X) => void,
): void {
  const part = k.share(outer * length);
  k.range(part.from, part.end, 1, (r) => {
    const [plane, i] = [k.div(r, length), k.rem(r, length)];
    const base = k.add(from, k.mul(plane, size * rowBytes));
    body(k.add(to, k.mul(r, rowBytes)), base, i);
  });
}

/** Where a row of the operand lies; positions outside of the axis repeat its ends. */
function rowAt(k: PhaseAssembler, base: X, position: X, last: X, rowBytes: number): X {
  const inside = k.min(position, last);
  k.when("lt", inside, ZERO, () => k.move(inside, ZERO));
  return k.add(base, k.mul(inside, rowBytes));
}

type Weights = (k: PhaseAssembler, part: F) => readonly F[];

/** Of a linear filter: the positions at and behind the coordinate, which is `part` behind the first. */
const linear: Weights = (k, part) => [k.f("fsub.s", k.constant(1), part), part];

/** Of the cubic filter of Keys, 1981 (equation 4): from the position before the coordinate on. */
const cubic =
  (a: number): Weights =>
  (k, part) => {
    const one = k.constant(1);
    const near = (t: F): F => {
      const square = k.f("fmul.s", t, t);
      const line = k.f("fsub.s", k.f("fmul.s", k.constant(a + 2), t), k.constant(a + 3));
      return k.f("fadd.s", k.f("fmul.s", line, square), one);
    };
    const far = (t: F): F => {
      const square = k.f("fmul.s", k.f("fsub.s", t, k.constant(5)), t);
      const rest = k.f("fmul.s", k.f("fadd.s", square, k.constant(8)), t);
      return k.f("fmul.s", k.f("fsub.s", rest, k.constant(4)), k.constant(a));
    };
    const other = k.f("fsub.s", one, part);
    return [far(k.f("fadd.s", one, part)), near(part), near(other), far(k.f("fadd.s", one, other))];
  };

/** Weighted sums of rows of words. */
function mixed(k: PhaseAssembler, own: Resized, weights: Weights, at: F, row: Mixed): void {
  const below = k.x("fcvt.w.s", at, DOWN);
  const part = k.f("fsub.s", at, k.f("fcvt.s.w", below));
  const taps = weights(k, part);
  const first = k.add(below, 1 - taps.length / 2);
  const last = k.li(own.size - 1);
  const places = taps.map((_, i) => rowAt(k, row.base, k.add(first, i), last, row.count * 4));
  const sums = (count: number): void =>
    k.repeat(row.count, () => {
      const used = taps.slice(0, count);
      const terms = used.map((w, i) => k.f("fmul.s", w, k.f("flw", 0, places[i] ?? row.base)));
      const sum = terms.reduce((a, b) => k.f("fadd.s", a, b));
      k.emit("fsw", sum, 0, row.to);
      for (const p of [...places, row.to]) k.addTo(p, p, 4);
    });
  // At a coordinate without a part the last tap does not count, not even where it is infinite.
  const isWhole = k.x("feq.s", part, k.constant(0));
  k.when(
    "ne",
    isWhole,
    ZERO,
    () => sums(taps.length - 1),
    () => sums(taps.length),
  );
}

interface Mixed {
  readonly to: X;
  readonly base: X;
  readonly count: number;
}

/** Writes a row of the result at `to`, number i along an axis, from the rows of the operand that lie at `base`. */
type RowCode = (to: X, base: X, i: X) => void;

/** What comes before the rows of an axis, and their code. */
interface AxisCode {
  readonly before: readonly Phase[];
  readonly rows: (k: PhaseAssembler) => RowCode;
  readonly scratchBytes: number;
}

/** With positions and weights that are computed as they are needed. */
function computed(request: KernelRequest, own: Resized, elem: Elem, count: number): AxisCode {
  const mode = word(request, "mode", "nearest");
  const weights = mode === "cubic" ? cubic(number(request, "cubic_coeff_a", -0.75)) : linear;
  const rounding = word(request, "nearest_mode", "round_prefer_floor");
  const place = coordinate(request, own);
  const rowBytes = count * bytesPer(elem);
  const rows = (k: PhaseAssembler): RowCode => {
    const at = place(k);
    return (to, base, i) => {
      if (mode !== "nearest") return mixed(k, own, weights, at(i), { to, base, count });
      const chosen = nearest(k, rounding, at(i));
      const found = rowAt(k, base, chosen, k.li(own.size - 1), rowBytes);
      const unit = unitOf(4, rowBytes);
      copyUnits(k, found, to, rowBytes / unit, unit);
    };
  };
  return { before: [], rows, scratchBytes: 0 };
}

/** With those of a table at an offset in the scratch memory. */
function tabled(
  request: KernelRequest,
  { own, how, offset }: { readonly own: Resized; readonly how: Sampling; readonly offset: number },
  elem: Elem,
  count: number,
): AxisCode {
  const table = tableOf(own, how);
  const outside = number(request, "extrapolation_value", 0);
  const code = how.mode === "nearest" ? picked : weighted;
  const rows = (k: PhaseAssembler): RowCode => {
    const [first, last] = [k.add(k.scratch(), offset), k.li(own.size - 1)];
    return (to, base, i) => {
      const entry = k.add(first, k.mul(i, table.step));
      code(k, { entry, to, base, last, count, elem, outside });
    };
  };
  return { before: [writeTable(table, offset)], rows, scratchBytes: table.bytes };
}

function samplingOf(request: KernelRequest): Sampling {
  return {
    mode: word(request, "mode", "nearest"),
    coordinates: word(request, "coordinate_transformation_mode", "half_pixel"),
    nearest: word(request, "nearest_mode", "round_prefer_floor"),
    cubicA: number(request, "cubic_coeff_a", -0.75),
    excludeOutside: number(request, "exclude_outside", 0) !== 0,
    antialias: number(request, "antialias", 0) !== 0,
  };
}

const resize: Generate = (request) => {
  const [x, y] = [given(request, 0), wanted(request)];
  const how = samplingOf(request);
  const axes = resized(request, how.coordinates === "tf_crop_and_resize");
  if (how.mode !== "nearest" && x.elem !== "f32") throw new KernelGap(`elements of type ${x.elem}`);
  const bytes = bytesPer(x.elem);
  let [shape, offset] = [x.shape, 0];
  let before: number | null = null;
  const phases = axes.flatMap((own, n): readonly Phase[] => {
    const outer = sizeOf(shape.slice(0, own.axis));
    const count = sizeOf(shape.slice(own.axis + 1));
    const code = isTabled(how)
      ? tabled(request, { own, how, offset }, x.elem, count)
      : computed(request, own, x.elem, count);
    offset += padded(code.scratchBytes);
    shape = shape.with(own.axis, own.length);
    const source = before;
    const target = n === axes.length - 1 ? null : offset;
    if (target !== null) offset += padded(sizeOf(shape) * bytes);
    before = target;
    const resizing: Phase = (k) => {
      const from = source === null ? k.operand(0) : k.add(k.scratch(), source);
      const to = target === null ? k.result(0) : k.add(k.scratch(), target);
      eachPosition(k, own, [outer, count * bytes], [from, to], code.rows(k));
    };
    return [...code.before, resizing];
  });
  const strides = byteStrides(y.shape, bytes);
  const copied: Phase = (k) => {
    const [from, to] = [k.operand(0), k.result(0)].map((address) => ({ address, strides }));
    if (from && to) copyWalk(k, y.shape, bytes, from, to);
  };
  return { phases: axes.length > 0 ? phases : [copied], scratchBytes: offset };
};

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

export const RESIZE: GeneratorTable = { Resize: inSingle(resize, [0]) };
