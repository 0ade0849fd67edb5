/** Resizing by interpolation, one axis after the other: the filters are separable. */

import { fromNumbers, toNumbers } from "../convert.ts";
import { allocate, isFloat, sizeOf, type Tensor } from "../tensor.ts";
import {
  axisOf,
  flag,
  type Kernel,
  type KernelCall,
  type KernelTable,
  maybe,
  num,
  nums,
  operand,
  text,
} from "./kernel.ts";
import { lanes, seal } from "./lanes.ts";
import { limits, saturate } from "./quantise.ts";
import {
  type Extent,
  extents,
  type Resized,
  type Sampling,
  type Taps,
  tapsAlong,
} from "./sampling.ts";
import { bitsOf } from "./strided.ts";

const within = (at: number, size: number): number => Math.max(0, Math.min(size - 1, at));

/** Whole rows of the operand where one element decides: of any type, bit by bit. */
function pick(x: Tensor, axis: number, taps: readonly Taps[], outside: number): Tensor {
  const [size = 1, length] = [x.shape[axis], taps.length];
  const shape = x.shape.with(axis, length);
  const row = sizeOf(shape.slice(axis + 1));
  const data = allocate(x.elem, sizeOf(shape));
  const blank = fromNumbers(x.elem, [], [outside]);
  const [from, to, fill] = [bitsOf(x.data), bitsOf(data), bitsOf(blank.data)[0] as number];
  for (let i = 0; i < data.length / row; i++) {
    const tap = taps[i % length];
    const at = (Math.floor(i / length) * size + within(tap?.first ?? 0, size)) * row;
    if (tap) to.set(from.subarray(at, at + row), i * row);
    else to.fill(fill, i * row, (i + 1) * row);
  }
  return { elem: x.elem, shape, data };
}

/** Weighted sums of rows, in doubles; positions outside of the axis repeat its ends. */
function mix(x: Tensor, axis: number, taps: readonly Taps[], outside: number): Tensor {
  const [size = 1, length] = [x.shape[axis], taps.length];
  const shape = x.shape.with(axis, length);
  const row = sizeOf(shape.slice(axis + 1));
  const from = x.data as Float64Array;
  const out = new Float64Array(sizeOf(shape));
  for (let i = 0; i < out.length / row; i++) {
    const tap = taps[i % length];
    const base = Math.floor(i / length) * size;
    if (!tap) out.fill(outside, i * row, (i + 1) * row);
    tap?.weights.forEach((w, k) => {
      const at = (base + within(tap.first + k, size)) * row;
      for (let j = 0; j < row; j++) {
        out[i * row + j] = (out[i * row + j] as number) + w * (from[at + j] as number);
      }
    });
  }
  return { elem: "f64", shape, data: out };
}

function samplingOf(call: KernelCall): Sampling {
  return {
    mode: text(call, "mode", "nearest"),
    coordinates: text(call, "coordinate_transformation_mode", "half_pixel"),
    nearest: text(call, "nearest_mode", "round_prefer_floor"),
    cubicA: num(call, "cubic_coeff_a", -0.75),
    excludeOutside: flag(call, "exclude_outside"),
    antialias: flag(call, "antialias"),
  };
}

/** Every named axis with its region, which is all of it but for tf_crop_and_resize. */
function axesOf(call: KernelCall, x: Tensor): readonly (readonly [number, Resized])[] {
  const rank = x.shape.length;
  const axes = nums(call, "axes")?.map((a) => axisOf(a, rank)) ?? [...x.shape.keys()];
  const list = (i: number): readonly number[] | null => {
    const t = maybe(call, i);
    return t && t.data.length > 0 ? toNumbers(t) : null;
  };
  const [region, scales, sizes] = [list(1), list(2), list(3)];
  const named = axes.map((a) => x.shape[a] ?? 1);
  // In a block an axis that is not resized is shorter than the sizes say.
  const policy = text(call, "keep_aspect_ratio_policy", "stretch");
  const block = policy === "stretch" ? call.outShapes?.[0] : undefined;
  const wanted = sizes
    ? {
        sizes: block ? axes.map((a) => block[a] ?? 1) : sizes,
        policy,
      }
    : { scales: scales ?? [] };
  return extents(named, wanted).map((extent: Extent, i) => {
    const [start = 0, end = 1] = [region?.[i], region?.[i + axes.length]];
    return [axes[i] ?? 0, { ...extent, size: named[i] ?? 1, region: [start, end] }] as const;
  });
}

const resize: Kernel = (call) => {
  const x = operand(call, 0);
  const how = samplingOf(call);
  const outside = num(call, "extrapolation_value", 0);
  const axes = axesOf(call, x);
  if (how.mode === "nearest") {
    return [axes.reduce((t, [axis, r]) => pick(t, axis, tapsAlong(r, how), outside), x)];
  }
  const wide: Tensor = { elem: "f64", shape: x.shape, data: Float64Array.from(lanes(x)) };
  const moved = axes.filter(([, r]) => r.scale !== 1 || how.coordinates === "tf_crop_and_resize");
  const { shape, data } = moved.reduce(
    (t, [axis, r]) => mix(t, axis, tapsAlong(r, how), outside),
    wide,
  );
  const values = data as Float64Array;
  if (isFloat(x.elem))
    return [seal(x.elem, shape, x.elem === "f32" ? Float32Array.from(values) : values)];
  const range = limits(x.elem);
  return [
    fromNumbers(
      x.elem,
      shape,
      values.map((v) => saturate(v, range)),
    ),
  ];
};

export const RESIZE: KernelTable = { Resize: resize };
