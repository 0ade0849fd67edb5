/**
 * Where an element of a resized axis comes from: coordinates and weights as ONNX's Resize defines them. Arithmetic
 * on coordinates is that of float32, as in ONNX Runtime: a half decides which neighbour is the nearest.
 */

const { fround } = Math;

/** One axis that is resized. */
export interface Resized {
  readonly size: number;
  readonly length: number;
  /** Of the result's length to the operand's; not quite their quotient where the length was rounded. */
  readonly scale: number;
  /** The part of the operand that is meant, from 0 to 1 of its length. */
  readonly region: readonly [start: number, end: number];
}

/** How long an axis gets, and by which factor its coordinates grow. */
export type Extent = Pick<Resized, "length" | "scale">;

/** What a resize asks of its axes: factors, or lengths that may have to keep the axes' proportions. */
export type Wanted =
  | { readonly scales: readonly number[] }
  | { readonly sizes: readonly number[]; readonly policy: string };

/** The extents of axes of these sizes. */
export function extents(sizes: readonly number[], wanted: Wanted): Extent[] {
  if ("scales" in wanted) {
    return sizes.map((size, i) => {
      const scale = wanted.scales[i] ?? 1;
      return { scale, length: Math.floor(fround(scale * size)) };
    });
  }
  const factors = sizes.map((size, i) => fround((wanted.sizes[i] ?? size) / size));
  if (wanted.policy === "stretch") {
    return factors.map((scale, i) => ({ scale, length: wanted.sizes[i] ?? 0 }));
  }
  const scale = (wanted.policy === "not_larger" ? Math.min : Math.max)(...factors);
  return sizes.map((size) => ({ scale, length: Math.floor(fround(scale * size) + 0.5) }));
}

/** How elements are mixed: attributes of Resize. */
export interface Sampling {
  readonly mode: string;
  readonly coordinates: string;
  readonly nearest: string;
  readonly cubicA: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
}

/** What an element of the result is made of; null where it lies outside of the region. */
export type Taps = {
  /** The first position, which may lie outside of the operand; the others follow it. */
  readonly first: number;
  readonly weights: readonly number[];
} | null;

/** The coordinate in the operand of position i of the result. */
function coordinate(mode: string, { size, length, scale, region }: Resized, i: number): number {
  const half = fround(fround((i + 0.5) / scale) - 0.5);
  switch (mode) {
    case "align_corners":
      return length === 1 ? 0 : fround((i * (size - 1)) / (length - 1));
    case "asymmetric":
      return fround(i / scale);
    case "pytorch_half_pixel":
      return length > 1 ? half : 0;
    case "tf_half_pixel_for_nn":
      return fround((i + 0.5) / scale);
    case "tf_crop_and_resize": {
      const [start, end] = region;
      if (length === 1) return fround(0.5 * (start + end) * (size - 1));
      return fround(start * (size - 1) + (i * (end - start) * (size - 1)) / (length - 1));
    }
    case "half_pixel_symmetric":
      return fround((size / 2) * (1 - length / (scale * size)) + half);
    default:
      return half;
  }
}

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** The triangle and the cubic of Keys, 1981 (equation 4); 0 from `reach` on. */
const triangle = (x: number): number => Math.max(0, 1 - Math.abs(x));

const cubic =
  (a: number) =>
  (x: number): number => {
    const t = Math.abs(x);
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
  };

/** The weights of a filter around x; one that is stretched for antialiasing sees 1 / scale times as far. */
function filtered(x: number, scale: number, { mode, cubicA }: Sampling): NonNullable<Taps> {
  const [filter, reach] = mode === "cubic" ? [cubic(cubicA), 2] : [triangle, 1];
  const first = Math.floor(x - reach / scale) + 1;
  const last = Math.ceil(x + reach / scale) - 1;
  const weights: number[] = [];
  for (let i = first; i <= last; i++) weights.push(filter((i - x) * scale));
  return { first, weights };
}

function normalised({ first, weights }: NonNullable<Taps>): NonNullable<Taps> {
  const sum = weights.reduce((s, w) => s + w, 0);
  return { first, weights: sum === 0 ? weights : weights.map((w) => w / sum) };
}

/** The taps of every position of the result. */
export function tapsAlong(axis: Resized, how: Sampling): Taps[] {
  const { size, length, scale } = axis;
  const stretched = how.antialias ? Math.min(1, scale) : 1;
  const rounded = NEAREST[how.nearest] ?? Math.round;
  return Array.from({ length }, (_, i) => {
    // Nothing moves where nothing is resized, whatever the formula's rounding says.
    const x =
      scale === 1 && how.coordinates !== "tf_crop_and_resize"
        ? i
        : coordinate(how.coordinates, axis, i);
    if (how.coordinates === "tf_crop_and_resize" && (x < 0 || x > size - 1)) return null;
    if (how.mode === "nearest") return { first: rounded(x), weights: [1] };
    const taps = filtered(x, stretched, how);
    const weights = taps.weights.map((w, k) => {
      const isOutside = taps.first + k < 0 || taps.first + k >= size;
      return isOutside && how.excludeOutside ? 0 : w;
    });
    const uneven = how.excludeOutside || stretched !== 1;
    return uneven ? normalised({ first: taps.first, weights }) : taps;
  });
}
