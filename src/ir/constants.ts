/** The small constants of a module, by the value that holds them. */

import type { Tensor } from "../tensor/tensor.ts";
import { isTensorAttr, type Module, type Value } from "./op.ts";

/** Constants that the IR holds inline: shapes, axes, indices. Weights are not loaded for this. */
export const inlineConstants = (module: Module): ReadonlyMap<Value, Tensor> =>
  new Map(
    module.ops.flatMap((op) => {
      const [result] = op.results;
      const value = op.kind === "onnx.Constant" ? op.attrs["value"] : undefined;
      return result && isTensorAttr(value) ? [[result, value] as const] : [];
    }),
  );
