/** Operators that ONNX defines by others, written out as it defines them. */

import type { Attrs } from "../../ir/op.ts";
import { fromNumbers } from "../../tensor/convert.ts";
import type { Rule } from "./rule.ts";

/** (x - mean) / (sqrt(mean of squares - squared mean) + 1e-9), over axes that are 0, 2 and 3 unless told. */
export const writeOutMvn: Rule["rewrite"] = (node, draft) => {
  const [x = ""] = node.inputs;
  const elem = draft.facts.elem(x) ?? "f32";
  const named = (node.attrs["axes"] as readonly number[] | undefined) ?? [0, 2, 3];
  const axes = draft.constant(fromNumbers("i64", [named.length], named));
  const write = (opType: string, inputs: readonly string[], attrs: Attrs = {}): string => {
    const out = draft.fresh(opType.toLowerCase());
    draft.emit({ ...node, opType, inputs, outputs: [out], attrs });
    return out;
  };
  const number = (value: number): string => draft.constant(fromNumbers(elem, [], [value]));
  const mean = write("ReduceMean", [x, axes], { keepdims: 1 });
  const squares = write("ReduceMean", [write("Mul", [x, x]), axes], { keepdims: 1 });
  const variance = write("Sub", [squares, write("Mul", [mean, mean])]);
  const deviation = write("Add", [write("Sqrt", [variance]), number(1e-9)]);
  const inputs = [write("Sub", [x, mean]), deviation];
  draft.emit({ ...node, opType: "Div", inputs, attrs: {} });
};
