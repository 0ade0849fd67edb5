/** Values whose last axis is a vector, as matrices: what linear layers read and write. */

import { sizeOf } from "../../tensor/tensor.ts";
import { type Block, KernelGap } from "../kernel.ts";
import { broadcastTo, type View, viewOf } from "./view.ts";

/** [rows, width]. */
export function rowsOf({ shape }: Block): View {
  const width = shape.at(-1) ?? 1;
  return viewOf([sizeOf(shape.slice(0, -1)), width]);
}

/** A value that is added to a result [..., width], repeated to its rows. */
export function addendOf({ shape }: Block, result: Block): View {
  if (sizeOf(shape) === sizeOf(result.shape)) return rowsOf(result);
  const full = broadcastTo(viewOf(shape), result.shape);
  if (full.strides.slice(0, -1).some((s, i) => s !== 0 && result.shape[i] !== 1)) {
    throw new KernelGap(`an addend of shape [${shape}]`);
  }
  return { shape: [1, full.shape.at(-1) ?? 1], strides: [0, full.strides.at(-1) ?? 0] };
}
