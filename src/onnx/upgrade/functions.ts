/** Operators that ONNX defines by others, and forms that it has given up, written out. */

import type { Attrs } from "../../ir/op.ts";
import { fromNumbers } from "../../tensor/convert.ts";
import type { GraphNode } from "../graph.ts";
import { type Draft, type Rule, without } from "./rule.ts";

type Write = (opType: string, inputs: readonly string[], attrs?: Attrs) => string;

/** Emits nodes that stand for this one, and gives the names of their results. */
const writer =
  (node: GraphNode, draft: Draft): Write =>
  (opType, inputs, attrs = {}) => {
    const out = draft.fresh(opType.toLowerCase());
    draft.emit({ ...node, opType, inputs, outputs: [out], attrs });
    return out;
  };

const list = (draft: Draft, ...values: readonly number[]): string =>
  draft.constant(fromNumbers("i64", [values.length], values));

/**
 * Before opset 9 a batch norm whose attribute `spatial` is 0 had statistics for every element of an
 * instance, not for every channel: what is one after flattening.
 */
export const upgradeBatchNorm: Rule["rewrite"] = (node, draft) => {
  const attrs = without(node.attrs, "is_test", "spatial", "consumed_inputs");
  if (node.attrs["spatial"] !== 0) {
    draft.emit({ ...node, attrs });
    return;
  }
  const [x = "", ...statistics] = node.inputs;
  const write = writer(node, draft);
  const flat = write("Flatten", [x], { axis: 1 });
  const flatStatistics = statistics.map((s) => write("Reshape", [s, list(draft, -1)]));
  const y = write("BatchNormalization", [flat, ...flatStatistics], attrs);
  draft.emit({ ...node, opType: "Reshape", inputs: [y, write("Shape", [x])], attrs: {} });
};

/** Before opset 21 scale and bias were given for each group: the group is an instance norm's channel. */
export const upgradeGroupNorm: Rule["rewrite"] = (node, draft) => {
  const { num_groups: groups, epsilon } = node.attrs;
  if (typeof groups !== "number") {
    draft.emit(node); // Inference says what is wrong with it.
    return;
  }
  const [x = "", scale = "", bias = ""] = node.inputs;
  const write = writer(node, draft);
  const grouped = write("Reshape", [x, list(draft, 0, groups, -1)]);
  const attrs = epsilon === undefined ? {} : { epsilon };
  const y = write("InstanceNormalization", [grouped, scale, bias], attrs);
  draft.emit({ ...node, opType: "Reshape", inputs: [y, write("Shape", [x])], attrs: {} });
};

/** (x - mean) / (sqrt(mean of squares - squared mean) + 1e-9), over axes that are 0, 2 and 3 unless told. */
export const writeOutMvn: Rule["rewrite"] = (node, draft) => {
  const [x = ""] = node.inputs;
  const elem = draft.facts.elem(x) ?? "f32";
  const named = (node.attrs["axes"] as readonly number[] | undefined) ?? [0, 2, 3];
  const axes = list(draft, ...named);
  const write = writer(node, draft);
  const number = (value: number): string => draft.constant(fromNumbers(elem, [], [value]));
  const mean = write("ReduceMean", [x, axes], { keepdims: 1 });
  const squares = write("ReduceMean", [write("Mul", [x, x]), axes], { keepdims: 1 });
  const variance = write("Sub", [squares, write("Mul", [mean, mean])]);
  const deviation = write("Add", [write("Sqrt", [variance]), number(1e-9)]);
  const inputs = [write("Sub", [x, mean]), deviation];
  draft.emit({ ...node, opType: "Div", inputs, attrs: {} });
};
