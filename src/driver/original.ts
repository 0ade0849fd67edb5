/** The original model as a reference runs it, and what stands in for a file too old to be run. */

import { InputError } from "../diag/diagnostic.ts";
import type { Module } from "../ir/op.ts";
import { exportModule } from "../onnx/export.ts";
import type { WeightStore } from "../weights/store.ts";

/** ONNX Runtime has every operator as opset 7 says it, and only some of the forms before. */
const FIRST_OPSET = 7;

export interface Original {
  /** The file. */
  readonly path: string;
  readonly opset: number;
  /** The file as it was read, before any pass. */
  readonly source: Module;
  readonly store: WeightStore;
}

/**
 * Gives the file to `use`. When ONNX Runtime refuses it and it is older than opset 7, gives the bytes of the
 * module as it was read: reading has brought its operators to the meaning that they have now.
 */
export async function onOriginal<T>(
  { path, opset, source, store }: Original,
  use: (model: string | Uint8Array) => Promise<T>,
): Promise<T> {
  try {
    return await use(path);
  } catch (e) {
    const isRefused = e instanceof InputError && e.diagnostics.some((d) => d.code === "A140");
    if (!isRefused || opset >= FIRST_OPSET) throw e;
    return use(exportModule(source, store));
  }
}
