/** When two tensors count as the same. */

import { toNumbers } from "../../src/tensor/convert.ts";
import { isFloat, type Tensor } from "../../src/tensor/tensor.ts";

export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/** What ONNX's own backend test runner allows (onnx/backend/test/case/node: rtol 1e-3, atol 1e-7). */
export const ONNX_RUNNER: Tolerance = { relative: 1e-3, absolute: 1e-7 };

/** What differs, in one line, or "" when nothing does. Integers and truths must be equal. */
export function difference(found: Tensor, expected: Tensor, allowed: Tolerance): string {
  if (found.elem !== expected.elem) return `${found.elem} instead of ${expected.elem}`;
  if (found.shape.join() !== expected.shape.join()) {
    return `shape [${found.shape}] instead of [${expected.shape}]`;
  }
  if (!isFloat(found.elem)) {
    const at = found.data.findIndex((v: number | bigint, i: number) => v !== expected.data[i]);
    return at < 0 ? "" : `element ${at} is ${found.data[at]}, not ${expected.data[at]}`;
  }
  const [a, b] = [toNumbers(found), toNumbers(expected)];
  const at = a.findIndex((v, i) => !near(v, b[i] ?? 0, allowed));
  return at < 0 ? "" : `element ${at} is ${a[at]}, not ${b[at]}`;
}

function near(found: number, expected: number, { relative, absolute }: Tolerance): boolean {
  if (Object.is(found, expected) || found === expected) return true;
  if (Number.isNaN(found) || Number.isNaN(expected)) return false;
  return Math.abs(found - expected) <= absolute + relative * Math.abs(expected);
}
