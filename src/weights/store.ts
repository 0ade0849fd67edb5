/** Where constants live: named, typed, loaded on demand, released by the garbage collector. */

import type { WeightRef } from "../ir/op.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface WeightStore {
  /** The whole constant. Callers keep it no longer than they need it. */
  load(ref: WeightRef): Tensor;
  /** Adds a constant that a pass computed and gives its reference. Names are made unique. */
  add(name: string, value: Tensor): WeightRef;
  has(name: string): boolean;
}
