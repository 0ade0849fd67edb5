/** Normalisations. Means and variances are taken in doubles. */

import { sizeOf, type Tensor, zeros } from "../tensor.ts";
import { normaliseRows } from "../vectors.ts";
import { cast } from "./cast.ts";
import { axisOf, type Kernel, type KernelTable, maybe, num, operand } from "./kernel.ts";
import { type Lanes, lanes, seal, workspace } from "./lanes.ts";
import { expanded } from "./strided.ts";

interface Moments {
  readonly mean: number;
  /** 1 / sqrt(variance + epsilon). */
  readonly scale: number;
}

/** Mean and scale of n elements; without centring, the mean is 0 (RMS norm). */
function moments(x: Lanes, at: number, n: number, epsilon: number, centred: boolean): Moments {
  let mean = 0;
  if (centred) {
    for (let i = at; i < at + n; i++) mean += x[i] as number;
    mean /= n;
  }
  let squares = 0;
  for (let i = at; i < at + n; i++) {
    const d = (x[i] as number) - mean;
    squares += d * d;
  }
  return { mean, scale: 1 / Math.sqrt(squares / n + epsilon) };
}

interface Normalise {
  readonly x: Tensor;
  /** Broadcasts to x. */
  readonly scale: Tensor | null;
  readonly bias: Tensor | null;
  /** The first of the axes that are normalised together. */
  readonly axis: number;
  readonly epsilon: number;
  readonly centred: boolean;
}

/** The normalised tensor, and the mean and inverse deviation of every row. */
function overTrailing(how: Normalise): readonly [Tensor, Tensor, Tensor] {
  const { x, axis } = how;
  const width = sizeOf(x.shape.slice(axis));
  const count = sizeOf(x.shape.slice(0, axis));
  const from = lanes(x);
  const out = workspace(x.elem, from.length);
  const [means, inverses] = [new Float32Array(count), new Float32Array(count)];
  const [scale, bias] = [repeating(how.scale, x.shape), repeating(how.bias, x.shape)];
  const [rowScale, rowBias] = [ofRow(scale, width), ofRow(bias, width)];
  const areSingle = from instanceof Float32Array && out instanceof Float32Array;
  if (areSingle && rowScale !== undefined && rowBias !== undefined) {
    const wide = { width, scale: rowScale, bias: rowBias };
    normaliseRows(from, out, { ...how, ...wide }, means, inverses);
  } else {
    for (let row = 0; row < count; row++) {
      const at = row * width;
      const m = moments(from, at, width, how.epsilon, how.centred);
      means[row] = m.mean;
      inverses[row] = m.scale;
      affine(from, out, at, width, m, scale, bias);
    }
  }
  const shape = x.shape.map((d, i) => (i < axis ? d : 1));
  return [
    seal(x.elem, x.shape, out),
    { elem: "f32", shape, data: means },
    { elem: "f32", shape, data: inverses },
  ];
}

/** Values that are the same for every row, one for each of its elements; undefined where they are not. */
function ofRow(values: Lanes | null, width: number): Float32Array | null | undefined {
  if (!values) return null;
  if (values.length === 1) return new Float32Array(width).fill(values[0] as number);
  return values.length === width && values instanceof Float32Array ? values : undefined;
}

/** Values that repeat over x from its first element on: those of the last axes, or of all of x. */
function repeating(t: Tensor | null, shape: readonly number[]): Lanes | null {
  if (!t) return null;
  const own = t.shape.slice(t.shape.findIndex((d) => d !== 1));
  const isEnd = sizeOf(t.shape) === 1 || own.every((d, i) => d === shape.at(i - own.length));
  return lanes(isEnd ? t : expanded(t, shape));
}

function affine(
  from: Lanes,
  out: Lanes,
  at: number,
  n: number,
  { mean, scale: by }: Moments,
  scale: Lanes | null,
  bias: Lanes | null,
): void {
  const [scales, biases] = [scale?.length ?? 1, bias?.length ?? 1];
  for (let i = 0; i < n; i++) {
    const y = ((from[at + i] as number) - mean) * by;
    const s = scale ? (scale[(at + i) % scales] as number) : 1;
    const b = bias ? (bias[(at + i) % biases] as number) : 0;
    out[at + i] = y * s + b;
  }
}

/** ONNX's default epsilon, which the nn level always spells out. */
const EPSILON = 1e-5;

const layerNorm: Kernel = (call) => {
  const x = operand(call, 0);
  return [
    ...overTrailing({
      x,
      scale: maybe(call, 1),
      bias: maybe(call, 2),
      axis: axisOf(num(call, "axis", -1), x.shape.length),
      epsilon: num(call, "epsilon", EPSILON),
      centred: true,
    }),
  ];
};

/** Also ONNX Runtime's SimplifiedLayerNormalization, whose second result is the inverse deviation. */
const rmsNorm: Kernel = (call) => {
  const x = operand(call, 0);
  const scale = maybe(call, 1);
  const [y, , deviation] = overTrailing({
    x,
    scale: scale && cast(scale, x.elem),
    bias: null,
    axis: axisOf(num(call, "axis", -1), x.shape.length),
    epsilon: num(call, "epsilon", EPSILON),
    centred: false,
  });
  return [y, deviation];
};

/** y = x * scale[c] + bias[c], where a channel c is `step` elements and there are `channels` of them. */
function perChannel(x: Tensor, scale: Lanes, bias: Lanes): Tensor {
  const channels = x.shape[1] ?? 1;
  const step = sizeOf(x.shape.slice(2));
  const from = lanes(x);
  const out = workspace(x.elem, from.length);
  for (let i = 0; i < out.length; i++) {
    const c = Math.floor(i / step) % channels;
    out[i] = (from[i] as number) * (scale[c] as number) + (bias[c] as number);
  }
  return seal(x.elem, x.shape, out);
}

/** Inference: the running mean and variance are operands. */
const batchNorm: Kernel = (call) => {
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => lanes(operand(call, i)));
  const epsilon = num(call, "epsilon", EPSILON);
  if (!scale || !bias || !mean || !variance) return [];
  const by = Float64Array.from(scale, (s, c) => s / Math.sqrt((variance[c] as number) + epsilon));
  const shift = Float64Array.from(bias, (b, c) => b - (mean[c] as number) * (by[c] as number));
  return [perChannel(operand(call, 0), by, shift)];
};

/** Normalises groups of channels over everything but the batch, then scales each channel. */
function grouped(x: Tensor, groups: number, epsilon: number, scale: Tensor, bias: Tensor): Tensor {
  const [batch = 1] = x.shape;
  const rows = { ...x, shape: [batch * groups, x.data.length / (batch * groups)] };
  const [y] = overTrailing({
    x: rows,
    scale: null,
    bias: null,
    axis: 1,
    epsilon,
    centred: true,
  });
  return perChannel({ ...y, shape: x.shape }, lanes(scale), lanes(bias));
}

const instanceNorm: Kernel = (call) => {
  const x = operand(call, 0);
  const epsilon = num(call, "epsilon", EPSILON);
  return [grouped(x, x.shape[1] ?? 1, epsilon, operand(call, 1), operand(call, 2))];
};

const groupNorm: Kernel = (call) => {
  const epsilon = num(call, "epsilon", EPSILON);
  const groups = num(call, "num_groups");
  return [grouped(operand(call, 0), groups, epsilon, operand(call, 1), operand(call, 2))];
};

/** x / norm along an axis, of order 1 or 2. */
const lpNorm: Kernel = (call) => {
  const x = operand(call, 0);
  const axis = axisOf(num(call, "axis", -1), x.shape.length);
  const order = num(call, "p", 2);
  const [size, step] = [x.shape[axis] ?? 1, sizeOf(x.shape.slice(axis + 1))];
  const from = lanes(x);
  const out = zeros(x.elem, x.shape);
  const norms = new Float64Array(from.length / Math.max(1, size));
  const lineOf = (i: number) => Math.floor(i / (size * step)) * step + (i % step);
  for (let i = 0; i < from.length; i++) {
    norms[lineOf(i)] = (norms[lineOf(i)] as number) + Math.abs(from[i] as number) ** order;
  }
  const to = workspace(x.elem, out.data.length);
  for (let i = 0; i < to.length; i++) {
    const norm = (norms[lineOf(i)] as number) ** (1 / order);
    to[i] = norm === 0 ? 0 : (from[i] as number) / norm;
  }
  return [seal(x.elem, x.shape, to)];
};

export const NORM: KernelTable = {
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: rmsNorm,
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  LpNormalization: lpNorm,
  "nn.layer_norm": layerNorm,
  "nn.rms_norm": rmsNorm,
};

/** For the fused operators: the last axis normalised, and the mean and inverse deviation of each row. */
export function normaliseLast(
  x: Tensor,
  scale: Tensor,
  bias: Tensor | null,
  epsilon: number,
  centred = true,
): readonly [Tensor, Tensor, Tensor] {
  const axis = x.shape.length - 1;
  return overTrailing({ x, scale, bias, axis, epsilon, centred });
}
