/** Sliding windows over spatial axes, as convolution and pooling share them. */

import { sizeOf, stridesOf } from "../tensor.ts";
import { flag, type KernelCall, nums, text } from "./kernel.ts";

export interface Windows {
  /** Sizes of the spatial axes of the input, the window, and the result. */
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly output: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before each axis, and after it. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** A tap outside the input but inside its padding. */
const PADDED = -1;
/** A tap beyond the padding, where a window sticks out because of ceil_mode. */
export const BEYOND = -2;

/** One spatial axis: its sizes, and how the window moves along it. */
interface Axis {
  readonly size: number;
  readonly span: number;
  readonly stride: number;
}

interface Fit {
  readonly before: number;
  readonly after: number;
  readonly output: number;
}

/** Reads strides, dilations and paddings; auto_pad and ceil_mode follow the ONNX operators. */
export function windowsOf(
  call: KernelCall,
  input: readonly number[],
  kernel: readonly number[],
): Windows {
  const ones = input.map(() => 1);
  const strides = nums(call, "strides") ?? ones;
  const dilations = nums(call, "dilations") ?? ones;
  const mode = text(call, "auto_pad", "NOTSET");
  const pads = (mode === "NOTSET" ? nums(call, "pads") : null) ?? input.flatMap(() => [0, 0]);
  const up = flag(call, "ceil_mode");
  const fits = input.map((size, i) => {
    const span = ((kernel[i] ?? 1) - 1) * (dilations[i] ?? 1) + 1;
    const axis = { size, span, stride: strides[i] ?? 1 };
    if (mode.startsWith("SAME")) return same(axis, mode === "SAME_UPPER");
    return explicit(axis, pads[i] ?? 0, pads[i + input.length] ?? 0, up);
  });
  return {
    input,
    kernel,
    strides,
    dilations,
    output: fits.map((a) => a.output),
    before: fits.map((a) => a.before),
    after: fits.map((a) => a.after),
  };
}

function explicit({ size, span, stride }: Axis, before: number, after: number, up: boolean): Fit {
  const steps = (size + before + after - span) / stride;
  if (!up) return { before, after, output: Math.floor(steps) + 1 };
  const count = Math.ceil(steps) + 1;
  // A window that would start in the padding after the input is dropped.
  const isLost = (count - 1) * stride >= size + before;
  return { before, after, output: isLost ? count - 1 : count };
}

/** As many results as strides fit, the padding split evenly; the odd one goes after, or before. */
function same({ size, span, stride }: Axis, oddAfter: boolean): Fit {
  const output = Math.ceil(size / stride);
  const total = Math.max(0, (output - 1) * stride + span - size);
  const less = Math.floor(total / 2);
  const before = oddAfter ? less : total - less;
  return { before, after: total - before, output };
}

/**
 * For tap q of the window at result position p, entry q * positions + p: the offset into the
 * input's spatial axes, or PADDED or BEYOND.
 */
export function tapsOf(w: Windows): Int32Array {
  const table = new Int32Array(sizeOf(w.output) * sizeOf(w.kernel));
  for (let axis = 0; axis < w.input.length; axis++) addAxis(table, w, axis);
  return table;
}

/** Position `axis` of index i in a space of this shape. */
function digit(i: number, shape: readonly number[], axis: number): number {
  return Math.floor(i / sizeOf(shape.slice(axis + 1))) % (shape[axis] ?? 1);
}

/** Adds what one axis contributes to every tap's offset. */
function addAxis(table: Int32Array, w: Windows, axis: number): void {
  const positions = sizeOf(w.output);
  const [size = 1, stride = 1, dilation = 1] = [w.input[axis], w.strides[axis], w.dilations[axis]];
  const [before = 0, after = 0] = [w.before[axis], w.after[axis]];
  const step = stridesOf(w.input)[axis] ?? 1;
  for (let i = 0; i < table.length; i++) {
    const q = digit(Math.floor(i / positions), w.kernel, axis);
    const at = digit(i % positions, w.output, axis) * stride + q * dilation - before;
    const found = table[i] as number;
    if (at >= size + after) table[i] = BEYOND;
    else if (at < 0 || at >= size) table[i] = Math.min(found, PADDED);
    else if (found >= 0) table[i] = found + at * step;
  }
}
