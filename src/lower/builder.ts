/** Builds ONNX operations of the IR one by one, with their types. */

import type { Attrs, Op, Value } from "../ir/op.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { type Dim, type Elem, type Tensor, tensor } from "../tensor/tensor.ts";

export class Builder {
  readonly ops: Op[] = [];
  private readonly fresh: (base: string) => string;
  private readonly source: Op;

  /** New operations come from where `source` came from. */
  constructor(source: Op, fresh: (base: string) => string) {
    this.source = source;
    this.fresh = fresh;
  }

  op(
    kind: string,
    operands: readonly (Value | null)[],
    type: { readonly elem?: Elem; readonly shape: readonly Dim[] },
    attrs: Attrs = {},
    origin: readonly string[] = this.source.origin,
  ): Value {
    const result = { id: this.fresh(`lowered.${kind}`), type: { elem: "f32" as const, ...type } };
    this.ops.push({ kind: `onnx.${kind}`, operands, results: [result], attrs, origin });
    return result;
  }

  constant(value: Tensor): Value {
    return this.op("Constant", [], { elem: value.elem, shape: value.shape }, { value });
  }

  floats(data: Float32Array): Value {
    return this.constant(tensor("f32", [data.length], data));
  }

  float(value: number): Value {
    return this.number("f32", value);
  }

  number(elem: Elem, value: number): Value {
    return this.constant(fromNumbers(elem, [], [value]));
  }

  ints(values: readonly number[]): Value {
    return this.constant(fromNumbers("i64", [values.length], values));
  }

  /** The last operation made defines this value instead of its own. */
  define(result: Value): void {
    const last = this.ops.pop();
    if (!last) throw new Error("nothing was built");
    this.ops.push({ ...last, results: [result] });
  }
}
