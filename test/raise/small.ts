/** Small modules of the onnx level, written in a test. */

import type { Attrs, Module, Op, Value } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Elem, Tensor } from "../../src/tensor/tensor.ts";
import { ModelStore } from "../../src/weights/model-store.ts";
import type { WeightStore } from "../../src/weights/store.ts";

export interface Writer {
  /** Adds an operation with one result; gives its name. */
  op(type: string, operands: readonly string[], attrs?: Attrs): string;
  /** Adds an operation with several results; gives their names. */
  several(
    type: string,
    operands: readonly string[],
    count: number,
    attrs?: Attrs,
  ): readonly string[];
  /** Adds a constant of any type. */
  tensor(elem: Elem, shape: readonly number[], values: readonly number[]): string;
  /** Adds a float constant. */
  constant(shape: readonly number[], values: readonly number[]): string;
  number(value: number): string;
  ints(values: readonly number[]): string;
}

/** A module with float inputs of the given shapes, whose output is the value that `write` names. */
export function small(
  inputs: Readonly<Record<string, readonly number[]>>,
  write: (w: Writer) => string,
): { readonly module: Module; readonly store: WeightStore } {
  const values = new Map<string, Value>();
  const ops: Op[] = [];
  const define = (id: string, type: Value["type"]): Value => {
    const value = { id, type };
    values.set(id, value);
    return value;
  };
  const ports = Object.entries(inputs).map(([name, shape]) => ({
    name,
    value: define(name, { elem: "f32", shape }),
  }));
  const hold = (value: Tensor): string => {
    const name = `c${ops.length}`;
    const results = [define(name, { elem: value.elem, shape: value.shape })];
    ops.push({ kind: "onnx.Constant", operands: [], results, attrs: { value }, origin: [name] });
    return name;
  };
  const several: Writer["several"] = (type, operands, count, attrs = {}) => {
    const names = Array.from({ length: count }, (_, i) => `${type}${ops.length}_${i}`);
    const results = names.map((name) => define(name, { elem: "f32", shape: [] }));
    const read = operands.map((o) => values.get(o) ?? null);
    ops.push({ kind: `onnx.${type}`, operands: read, results, attrs, origin: [names[0] ?? type] });
    return names;
  };
  const output = write({
    op: (type, operands, attrs) => several(type, operands, 1, attrs)[0] ?? "",
    several,
    tensor: (elem, shape, data) => hold(fromNumbers(elem, shape, data)),
    constant: (shape, data) => hold(fromNumbers("f32", shape, data)),
    number: (value) => hold(fromNumbers("f32", [], [value])),
    ints: (data) => hold(fromNumbers("i64", [data.length], data)),
  });
  const value = values.get(output);
  if (!value) throw new Error(`nothing is called ${output}`);
  const outputs = [{ name: "y", value }];
  return {
    module: { level: "onnx", name: "small", inputs: ports, outputs, ops },
    store: new ModelStore(),
  };
}
