/** Modules of the onnx level evaluated operation by operation, without a machine. */

import { isTensorAttr, isWeightRef, type Module, type Value } from "../../src/ir/op.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";

/** Every value of the module, operations taken in order. */
export function interpret(
  module: Module,
  store: WeightStore,
  inputs: ReadonlyMap<string, Tensor>,
): ReadonlyMap<Value, Tensor> {
  const values = new Map<Value, Tensor>();
  for (const { name, value } of module.inputs) values.set(value, inputs.get(name) as Tensor);
  for (const op of module.ops) {
    const constant = op.attrs["value"];
    const [result] = op.results;
    if (op.kind === "onnx.Constant" && isWeightRef(constant) && result) {
      values.set(result, store.load(constant));
      continue;
    }
    const kernel = kernelOf(op.kind);
    if (!kernel) throw new Error(`no kernel for ${op.kind}`);
    const operands = op.operands.map((v) => (v ? (values.get(v) ?? null) : null));
    const attrs = isTensorAttr(constant) ? { value: constant } : op.attrs;
    const found = kernel({ inputs: operands, attrs, outShapes: null });
    op.results.forEach((r, i) => {
      values.set(r, found[i] as Tensor);
    });
  }
  return values;
}
