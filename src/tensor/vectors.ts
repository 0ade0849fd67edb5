/**
 * What WebAssembly computes of float32 vectors: functions of one element (src/wasm/functions.as.ts), norms and softmax of
 * rows (rows.as.ts). Everything is computed in doubles and rounded at the end. How many elements or rows go together
 * changes no result.
 */

import { Wasm } from "../wasm/module.ts";

/** By the numbers that `mapped` gives them. */
const ELEMENT_FUNCTIONS = [
  "exp",
  "tanh",
  "sigmoid",
  /** x / (1 + e^(-alpha x)). */
  "swish",
  "gelu_tanh",
  "gelu_erf",
  "erf",
] as const;

export interface ElementFunction {
  readonly name: (typeof ELEMENT_FUNCTIONS)[number];
  /** Of swish alone. */
  readonly alpha?: number;
}

/** Elements that go through the module's memory at once: they stay in the processor's second cache. */
const AT_ONCE = 1 << 15;

let wasm: Wasm | undefined;

const instance = (): Wasm => {
  wasm ??= new Wasm();
  return wasm;
};

/** out[i] = f(from[i]), and with `by` that times by[i]; `out` may be `from`. */
export function mapElements(
  from: Float32Array,
  out: Float32Array,
  { name, alpha = 1 }: ElementFunction,
  by?: Float32Array,
): void {
  const w = instance();
  const kind = ELEMENT_FUNCTIONS.indexOf(name);
  const room = Math.min(AT_ONCE, from.length);
  const [at = 0, factor = 0] = w.scratch([room, room]);
  const place = w.view(at, room);
  const factors = w.view(factor, room);
  for (let first = 0; first < from.length; first += AT_ONCE) {
    const part = from.subarray(first, first + AT_ONCE);
    place.set(part);
    w.call.mapped(at, at, part.length, kind, alpha);
    if (by) {
      factors.set(by.subarray(first, first + AT_ONCE));
      w.call.multiply(at, factor, part.length);
    }
    out.set(part.length === room ? place : place.subarray(0, part.length), first);
  }
}

export interface RowNorm {
  readonly width: number;
  /** One for each element of a row. */
  readonly scale: Float32Array | null;
  readonly bias: Float32Array | null;
  readonly epsilon: number;
  /** Without, the mean counts as 0 (RMS norm). */
  readonly centred: boolean;
}

/**
 * Rows of `from` as (x - mean) / sqrt(variance + epsilon) scale + bias; also writes each row's mean and inverse
 * deviation.
 */
export function normaliseRows(
  from: Float32Array,
  out: Float32Array,
  how: RowNorm,
  means: Float32Array,
  inverses: Float32Array,
): void {
  const w = instance();
  const { width, epsilon, centred } = how;
  const rows = Math.min(means.length, Math.max(1, Math.floor(AT_ONCE / width)));
  const places = w.scratch([rows * width, width, width, rows, rows]);
  const [x = 0, scale = 0, bias = 0, mean = 0, inverse = 0] = places;
  fillOr(w.view(scale, width), how.scale, 1);
  fillOr(w.view(bias, width), how.bias, 0);
  for (let first = 0; first < means.length; first += rows) {
    const count = Math.min(rows, means.length - first);
    const at = first * width;
    const place = w.view(x, count * width);
    place.set(from.subarray(at, at + count * width));
    w.call.rowNorms(x, scale, bias, mean, inverse, count, width, epsilon, centred ? 1 : 0);
    out.set(place, at);
    means.set(w.view(mean, count), first);
    inverses.set(w.view(inverse, count), first);
  }
}

function fillOr(place: Float32Array, values: Float32Array | null, otherwise: number): void {
  if (values) place.set(values);
  else place.fill(otherwise);
}

/** Softmax of rows, each by itself. */
export function softmaxRows(from: Float32Array, out: Float32Array, width: number): void {
  if (from.length === 0) return;
  const w = instance();
  const rows = Math.max(1, Math.floor(AT_ONCE / width));
  const [at = 0] = w.scratch([rows * width]);
  for (let first = 0; first < from.length; first += rows * width) {
    const part = from.subarray(first, first + rows * width);
    const place = w.view(at, part.length);
    place.set(part);
    for (let row = 0; row < part.length; row += width) {
      w.call.softmax(at + 4 * row, width, -Infinity);
    }
    out.set(place, first);
  }
}
