/** Where constants live: named, typed, loaded on demand, released by the garbage collector. */

import type { WeightRef } from "../ir/op.ts";
import type { Tensor, TensorData } from "../tensor/tensor.ts";
import type { FileSlice } from "./model-store.ts";

export interface WeightStore {
  /** The whole constant. Callers keep it no longer than they need it. */
  load(ref: WeightRef): Tensor;
  /** Fills `into` with the constant's elements from `start` on. */
  read?(ref: WeightRef, start: number, into: TensorData): void;
  /** The bytes of a file that the constant consists of; null when it was computed. */
  sliceOf?(ref: WeightRef): FileSlice | null;
  /** Adds a constant that a pass computed and gives its reference. Names are made unique. */
  add(name: string, value: Tensor): WeightRef;
  /**
   * Adds a constant that is computed each time it is asked for, so that weights which a pass transposes or
   * converts do not pile up in memory. Equal `sha256` must mean equal values.
   */
  defer?(name: string, type: WeightRef["type"], sha256: string, compute: () => Tensor): WeightRef;
  has(name: string): boolean;
}

/** Elements `start`, `start + 1`, … of a constant, without holding the rest where the store can. */
export function readElements(
  store: WeightStore,
  ref: WeightRef,
  start: number,
  into: TensorData,
): void {
  if (store.read) store.read(ref, start, into);
  else copyElements(store.load(ref).data, start, into);
}

/** Both arrays must be of the same kind. */
export function copyElements(from: TensorData, start: number, into: TensorData): void {
  // Elements are only moved, whatever their type is.
  (into as Float32Array).set((from as Float32Array).subarray(start, start + into.length));
}
