/** Transposed convolution: every element of x adds its scaled filters into the result. */

import { sizeOf, stridesOf } from "../tensor.ts";
import {
  type Kernel,
  type KernelCall,
  type KernelTable,
  maybe,
  num,
  nums,
  operand,
  text,
} from "./kernel.ts";
import { type Lanes, lanes, seal, workspace } from "./lanes.ts";

/** One spatial axis: sizes of x, filter and result, and where tap 0 of element 0 lands. */
export interface Spread {
  readonly size: number;
  readonly kernel: number;
  readonly output: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
}

interface SpreadAttrs {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly outputPadding: readonly number[];
  readonly outputShape: readonly number[] | null;
  readonly auto: string;
}

/** The formulas of ONNX's ConvTranspose. */
export function spreads(
  input: readonly number[],
  kernel: readonly number[],
  how: SpreadAttrs,
): Spread[] {
  const n = input.length;
  // Where the file names sizes of all axes, the last ones are meant.
  const wanted = how.outputShape?.slice(-n) ?? null;
  return input.map((size, i) => {
    const [stride, dilation] = [how.strides[i] ?? 1, how.dilations[i] ?? 1];
    const axis = { size, kernel: kernel[i] ?? 1, stride, dilation };
    const full =
      stride * (size - 1) + (how.outputPadding[i] ?? 0) + (axis.kernel - 1) * dilation + 1;
    const output = wanted?.[i] ?? (how.auto.startsWith("SAME") ? size * stride : null);
    const ends = [how.pads[i] ?? 0, how.pads[i + n] ?? 0] as const;
    const cut = how.auto === "VALID" ? ([0, 0] as const) : ends;
    return { ...axis, ...(output === null ? trimmed(full, cut) : fitted(full, output, how.auto)) };
  });
}

type Fit = Pick<Spread, "output" | "before">;

const trimmed = (full: number, [before, after]: readonly [number, number]): Fit => ({
  before,
  output: full - before - after,
});

/** What is too much goes at both ends, the odd element at the end that the attribute names. */
function fitted(full: number, output: number, auto: string): Fit {
  const total = Math.max(0, full - output);
  const less = Math.floor(total / 2);
  return { output, before: auto === "SAME_UPPER" ? less : total - less };
}

const ones = (n: number): number[] => new Array<number>(n).fill(1);

/** How each spatial axis is spread, from the attributes. */
export function spreadsOf(
  call: KernelCall,
  input: readonly number[],
  kernel: readonly number[],
): Spread[] {
  return spreads(input, kernel, {
    strides: nums(call, "strides") ?? ones(input.length),
    dilations: nums(call, "dilations") ?? ones(input.length),
    pads: nums(call, "pads") ?? [],
    outputPadding: nums(call, "output_padding") ?? [],
    outputShape: nums(call, "output_shape"),
    auto: text(call, "auto_pad", "NOTSET"),
  });
}

/** Entry q * positions + p: where tap q of element p lands in the result's plane, or -1. */
function targets(axes: readonly Spread[]): Int32Array {
  const [input, kernel] = [axes.map((a) => a.size), axes.map((a) => a.kernel)];
  const [positions, own, taps] = [sizeOf(input), stridesOf(input), stridesOf(kernel)];
  const steps = stridesOf(axes.map((a) => a.output));
  return Int32Array.from({ length: positions * sizeOf(kernel) }, (_, at) => {
    const [p, q] = [at % positions, Math.floor(at / positions)];
    let target = 0;
    for (const [i, a] of axes.entries()) {
      const from = Math.floor(p / (own[i] ?? 1)) % a.size;
      const tap = Math.floor(q / (taps[i] ?? 1)) % a.kernel;
      const to = from * a.stride + tap * a.dilation - a.before;
      if (to < 0 || to >= a.output) return -1;
      target += to * (steps[i] ?? 1);
    }
    return target;
  });
}

/** x [B, C, ...], w [C, M / group, ...], bias [M] -> [B, M, ...]. */
const convTranspose: Kernel = (call) => {
  const [x, w, bias] = [operand(call, 0), operand(call, 1), maybe(call, 2)];
  const group = num(call, "group", 1);
  const [batch = 1, channels = 1, ...input] = x.shape;
  const [, depth = 1, ...kernel] = w.shape;
  const axes = spreadsOf(call, input, kernel);
  const output = axes.map((a) => a.output);
  const [where, plane, taps] = [targets(axes), sizeOf(output), sizeOf(kernel)];
  const positions = sizeOf(input);
  const features = depth * group;
  const out = new Float64Array(batch * features * plane);
  const [from, weights] = [lanes(x), lanes(w)];
  for (let at = 0; at < batch * channels; at++) {
    const [b, c] = [Math.floor(at / channels), at % channels];
    const first = b * features + Math.floor(c / (channels / group)) * depth;
    for (let m = 0; m < depth; m++) {
      const filter = weights.subarray((c * depth + m) * taps, (c * depth + m + 1) * taps);
      spread(
        from.subarray(at * positions, (at + 1) * positions),
        filter,
        where,
        out,
        (first + m) * plane,
      );
    }
  }
  const values = workspace(x.elem, out.length);
  const shifts = bias && lanes(bias);
  for (let i = 0; i < out.length; i++) {
    const shift = shifts ? (shifts[Math.floor(i / plane) % features] as number) : 0;
    values[i] = (out[i] as number) + shift;
  }
  return [seal(x.elem, [batch, features, ...output], values)];
};

function spread(x: Lanes, filter: Lanes, where: Int32Array, out: Float64Array, at: number): void {
  for (let q = 0; q < filter.length; q++) {
    const weight = filter[q] as number;
    for (let p = 0; p < x.length; p++) {
      const to = where[q * x.length + p] as number;
      if (to >= 0) out[at + to] = (out[at + to] as number) + weight * (x[p] as number);
    }
  }
}

export const CONV_TRANSPOSE: KernelTable = { ConvTranspose: convTranspose };
