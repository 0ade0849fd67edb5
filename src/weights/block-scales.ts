/** The scales of a linear's integer weights, read from where they are kept. */

import { boolAttr, intAttr } from "../ir/attrs.ts";
import { type BlockScaling, blockScalesOf, linearSize } from "../ir/dialects/nn/linear.ts";
import { isTensorAttr, type Op, type WeightRef } from "../ir/op.ts";
import type { BlockScales } from "../tensor/block-scales.ts";
import { toF32 } from "../tensor/convert.ts";
import { allocate, type Tensor, tensor } from "../tensor/tensor.ts";
import { readElements, type WeightStore } from "./store.ts";

type Constant = WeightRef | Tensor;

/** `length` elements of a constant from the `first` one on. */
export function elementsOf(
  of: Constant,
  store: WeightStore,
  first: number,
  length: number,
): Tensor {
  if (isTensorAttr(of)) return { ...of, data: of.data.subarray(first, first + length) };
  const { elem } = of.type;
  const data = allocate(elem, length);
  readElements(store, of, first, data);
  return tensor(elem, [length], data);
}

/** Scales and zero points as the file has them: of a stack, those of the operation's own slice. */
export function storedScales(op: Op, { scales, zeros, block }: BlockScaling, store: WeightStore) {
  const [rows = 0, cols = 0] = linearSize(op) ?? [];
  const count = Math.ceil(rows / block) * cols;
  const first = count * intAttr(op, "slice", 0);
  const own = (of: Constant) => elementsOf(of, store, first, count);
  return { scales: own(scales), zeros: zeros && own(zeros) };
}

/** What makes the operation's stored integers real; null where operations behind the product do. */
export function scalesFor(op: Op, store: WeightStore): BlockScales | null {
  const scaling = blockScalesOf(op);
  if (!scaling) return null;
  const { scales, zeros } = storedScales(op, scaling, store);
  return {
    block: scaling.block,
    axis: boolAttr(op, "transposed") ? 1 : 0,
    scales: toF32(scales),
    zeros: zeros && toF32(zeros),
  };
}
