/** Convolution, as a matrix product over gathered windows, and pooling. */

import { isFloat, sizeOf, type Tensor } from "../tensor.ts";
import {
  flag,
  type Kernel,
  type KernelCall,
  type KernelTable,
  maybe,
  num,
  nums,
  operand,
} from "./kernel.ts";
import { int64, type Lanes, lanes, seal, workspace } from "./lanes.ts";
import { matmulOf, scaled } from "./matmul.ts";
import { rowsOver, sumOver } from "./reduce.ts";
import { BEYOND, tapsOf, windowsOf } from "./window.ts";

/** Columns[c * taps + q][p]: what tap q of window p sees in channel c of the group. */
function gatherColumns(
  x: Lanes,
  at: number,
  channels: number,
  plane: number,
  taps: Int32Array,
  columns: Lanes,
): void {
  columns.fill(0);
  for (let c = 0; c < channels; c++) {
    const from = at + c * plane;
    const to = c * taps.length;
    for (let i = 0; i < taps.length; i++) {
      const tap = taps[i] as number;
      if (tap >= 0) columns[to + i] = x[from + tap] as number;
    }
  }
}

/** x [B, C, ...], w [M, C / group, ...], bias [M] -> [B, M, ...]; any number of spatial axes. */
export const conv: Kernel = (call) => {
  const [x, w, bias] = [operand(call, 0), operand(call, 1), maybe(call, 2)];
  const group = num(call, "group", 1);
  const [batch = 1, channels = 1, ...input] = x.shape;
  const [features = 1, depth = 1, ...kernel] = w.shape;
  const windows = windowsOf(call, input, kernel);
  const taps = tapsOf(windows);
  const [plane, positions] = [sizeOf(input), sizeOf(windows.output)];
  const rows = features / group;
  const width = depth * sizeOf(kernel);
  // Halves are computed in float32, doubles as such.
  const elem = x.elem === "f64" ? "f64" : "f32";
  const [from, weights] = [lanes(x), lanes(w)];
  const out = workspace(elem, batch * features * positions);
  const columns = workspace(elem, width * positions);
  for (let b = 0; b < batch; b++) {
    for (let g = 0; g < group; g++) {
      gatherColumns(from, (b * channels + g * depth) * plane, depth, plane, taps, columns);
      const filters = weights.subarray(g * rows * width, (g + 1) * rows * width);
      const product = matmulOf(
        { elem, shape: [rows, width], data: filters },
        { elem, shape: [width, positions], data: columns },
      );
      out.set(lanes(product), (b * features + g * rows) * positions);
    }
  }
  if (bias) addBias(out, lanes(bias), positions);
  return [seal(x.elem, [batch, features, ...windows.output], out)];
};

function addBias(out: Lanes, bias: Lanes, positions: number): void {
  for (let i = 0; i < out.length; i++) {
    const channel = Math.floor(i / positions) % bias.length;
    out[i] = (out[i] as number) + (bias[channel] as number);
  }
}

/** Sees every window of every channel: `from` is the plane's offset, `to` the result's. */
type Pool = (x: Lanes, from: number, taps: Int32Array, p: number, positions: number) => number;

function pooled(call: KernelCall, pool: Pool): Tensor {
  const x = operand(call, 0);
  const [batch = 1, channels = 1, ...input] = x.shape;
  const windows = windowsOf(call, input, nums(call, "kernel_shape") ?? input);
  const taps = tapsOf(windows);
  const [plane, positions] = [sizeOf(input), sizeOf(windows.output)];
  const from = lanes(x);
  const out = workspace(x.elem, batch * channels * positions);
  for (let i = 0; i < out.length; i++) {
    out[i] = pool(from, Math.floor(i / positions) * plane, taps, i % positions, positions);
  }
  return seal(x.elem, [batch, channels, ...windows.output], out);
}

/** The offset of the largest element that a window sees; the first of equals. */
function largest(x: Lanes, from: number, taps: Int32Array, p: number, positions: number): number {
  let best = -1;
  for (let i = p; i < taps.length; i += positions) {
    const tap = taps[i] as number;
    if (tap >= 0 && (best < 0 || (x[from + tap] as number) > (x[best] as number)))
      best = from + tap;
  }
  return best;
}

const maxPool: Kernel = (call) => {
  const found: number[] = [];
  const values = pooled(call, (x, from, taps, p, positions) => {
    const at = largest(x, from, taps, p, positions);
    found.push(at);
    if (at >= 0) return x[at] as number;
    return isFloat(operand(call, 0).elem) ? -Infinity : 0;
  });
  const { shape } = operand(call, 0);
  const places = flag(call, "storage_order") ? found.map((at) => byColumn(at, shape)) : found;
  return [values, int64(places, values.shape)];
};

/** An offset into a tensor of this shape, where the last axis but one is counted first. */
function byColumn(at: number, shape: readonly number[]): number {
  const [rows = 1, columns = 1] = shape.slice(-2);
  const within = at % (rows * columns);
  return at - within + (within % columns) * rows + Math.floor(within / columns);
}

const averagePool: Kernel = (call) => {
  const withPadding = flag(call, "count_include_pad");
  return [
    pooled(call, (x, from, taps, p, positions) => {
      let [sum, count] = [0, 0];
      for (let i = p; i < taps.length; i += positions) {
        const tap = taps[i] as number;
        if (tap >= 0) sum += x[from + tap] as number;
        if (tap >= 0 || (withPadding && tap !== BEYOND)) count++;
      }
      return sum / count;
    }),
  ];
};

const lpPool: Kernel = (call) => {
  const p = num(call, "p", 2);
  return [
    pooled(call, (x, from, taps, at, positions) => {
      let sum = 0;
      for (let i = at; i < taps.length; i += positions) {
        const tap = taps[i] as number;
        if (tap >= 0) sum += Math.abs(x[from + tap] as number) ** p;
      }
      return sum ** (1 / p);
    }),
  ];
};

const spatial = (x: Tensor): number[] => [...x.shape.keys()].slice(2);

const globalAverage: Kernel = (call) => {
  const x = operand(call, 0);
  const axes = spatial(x);
  return [scaled(sumOver(x, axes, true), 1 / rowsOver(x, axes).width)];
};

/** A window as large as the plane. */
const whole = (call: KernelCall) => ({ kernel_shape: operand(call, 0).shape.slice(2) });

const globalMax: Kernel = (call) => maxPool({ ...call, attrs: whole(call) }).slice(0, 1);

export const CONV: KernelTable = {
  Conv: conv,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAverage,
  LpPool: lpPool,
  GlobalMaxPool: globalMax,
  GlobalLpPool: (call) => lpPool({ ...call, attrs: { ...call.attrs, ...whole(call) } }),
};
