/**
 * The values of small results that constants and shapes decide. They are needed while reading, because
 * they choose the branch of an If, and the rank behind a Reshape. Folding is a pass of its own.
 */

import type { Op, Value } from "../ir/op.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { KERNELS } from "../tensor/kernels/index.ts";
import { isStatic, sizeOf, type Tensor, TensorFault } from "../tensor/tensor.ts";

/** Shapes, axes, conditions: longer results are of no use here. */
const SMALL = 64;

/** undefined when the (first) result is not known, or not small. */
export function evaluateSmall(op: Op, constants: ReadonlyMap<Value, Tensor>): Tensor | undefined {
  if (op.kind === "onnx.Shape") return shapeValue(op);
  const kernel = KERNELS.get(op.kind.replace(/^onnx\./, ""));
  const [result] = op.results;
  if (!kernel || !result || !isStatic(result.type)) return undefined;
  if (sizeOf(result.type.shape) > SMALL || op.operands.length === 0) return undefined;
  if (!op.operands.every((v) => v === null || constants.has(v))) return undefined;
  const inputs = op.operands.map((v) => (v && constants.get(v)) || null);
  try {
    return kernel({ inputs, attrs: op.attrs, outShapes: null })[0];
  } catch (e) {
    if (e instanceof TensorFault) return undefined; // Folding will meet it again, and say so.
    throw e;
  }
}

function shapeValue(op: Op): Tensor | undefined {
  const shape = op.operands[0]?.type.shape ?? [];
  const { start = 0, end = shape.length } = op.attrs as { start?: number; end?: number };
  const dims = shape.slice(start, end);
  const known = dims.filter((d) => d !== null);
  return known.length === dims.length ? fromNumbers("i64", [dims.length], known) : undefined;
}
