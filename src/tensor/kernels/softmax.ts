/** Softmax over an axis, and its logarithm. */

import { isFloat, type Tensor } from "../tensor.ts";
import { softmaxRows } from "../vectors.ts";
import { axisOf, type Kernel, KernelFault, type KernelTable, num, operand } from "./kernel.ts";
import { type Lanes, lanes, seal, workspace } from "./lanes.ts";
import { rowsOver } from "./reduce.ts";
import { transposed } from "./strided.ts";

/**
 * exp(x - max) / sum over n elements from `at`; `out`, written at the same place, may be `from`. `beside` is
 * one more element, which takes its share and is not written.
 */
export function softmaxRow(
  from: Lanes,
  out: Lanes,
  at: number,
  n: number,
  beside = -Infinity,
): void {
  let top = beside;
  for (let i = at; i < at + n; i++) top = Math.max(top, from[i] as number);
  let sum = beside === -Infinity ? 0 : Math.exp(beside - top);
  for (let i = at; i < at + n; i++) {
    const e = Math.exp((from[i] as number) - top);
    out[i] = e;
    sum += e;
  }
  const share = 1 / sum;
  for (let i = at; i < at + n; i++) out[i] = (out[i] as number) * share;
}

function logSoftmaxRow(from: Lanes, out: Lanes, at: number, n: number): void {
  let top = -Infinity;
  for (let i = at; i < at + n; i++) top = Math.max(top, from[i] as number);
  let sum = 0;
  for (let i = at; i < at + n; i++) sum += Math.exp((from[i] as number) - top);
  const log = top + Math.log(sum);
  for (let i = at; i < at + n; i++) out[i] = (from[i] as number) - log;
}

/** 1 at the first of the largest elements, 0 elsewhere. */
function hardmaxRow(from: Lanes, out: Lanes, at: number, n: number): void {
  let best = at;
  for (let i = at; i < at + n; i++) if ((from[i] as number) > (from[best] as number)) best = i;
  out.fill(0, at, at + n);
  if (n > 0) out[best] = 1;
}

type Row = (from: Lanes, out: Lanes, at: number, n: number) => void;

/** All rows of `from`, one behind the other. */
type Rows = (from: Lanes, out: Lanes, width: number) => void;

const each =
  (row: Row): Rows =>
  (from, out, width) => {
    for (let at = 0; at < from.length; at += width) row(from, out, at, width);
  };

const softmaxes: Rows = (from, out, width) => {
  const areSingle = from instanceof Float32Array && out instanceof Float32Array;
  if (areSingle) softmaxRows(from, out, width);
  else each(softmaxRow)(from, out, width);
};

/** Applies a row function along one axis. */
function alongAxis(x: Tensor, axisAttr: number, rows: Rows): Tensor {
  if (!isFloat(x.elem)) throw new KernelFault(`softmax takes floats, not ${x.elem}`);
  const axis = axisOf(axisAttr, x.shape.length);
  const { tensor, width } = rowsOver(x, [axis]);
  const from = lanes(tensor);
  const out = workspace(x.elem, from.length);
  rows(from, out, width);
  const result = seal(x.elem, tensor.shape, out);
  if (tensor === x) return result;
  // The axis went last; put it back between those before and after it.
  const last = x.shape.length - 1;
  return transposed(
    result,
    x.shape.map((_, i) => (i < axis ? i : i === axis ? last : i - 1)),
  );
}

const along =
  (rows: Rows): Kernel =>
  (call) => [alongAxis(operand(call, 0), num(call, "axis", -1), rows)];

export const SOFTMAX: KernelTable = {
  Softmax: along(softmaxes),
  LogSoftmax: along(each(logSoftmaxRow)),
  Hardmax: along(each(hardmaxRow)),
  "nn.softmax": along(softmaxes),
};
