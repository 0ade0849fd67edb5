/** Rules for files from before opset 7, when broadcasting had to be asked for. */

import { fromNumbers } from "../../tensor/convert.ts";
import { codeOf } from "../elem.ts";
import type { GraphNode } from "../graph.ts";
import { upgradeBatchNorm } from "./functions.ts";
import { type Draft, type Rule, without } from "./rule.ts";

const BROADCASTING = [
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Pow",
  "And",
  "Or",
  "Xor",
  "Equal",
  "Greater",
  "Less",
];

/**
 * `axis` says at which axis of A the axes of B start; today they always end at the last one, so B
 * gets the missing axes of size 1 behind.
 */
function upgradeBroadcast(node: GraphNode, draft: Draft): void {
  const attrs = without(node.attrs, "broadcast", "axis", "consumed_inputs");
  const [a = "", b = ""] = node.inputs;
  const [rankA, rankB] = [draft.facts.rank(a), draft.facts.rank(b)];
  const axis = node.attrs["axis"] as number | undefined;
  const asked = node.attrs["broadcast"] === 1 && axis !== undefined;
  if (!asked || rankA === undefined || rankB === undefined) {
    draft.emit({ ...node, attrs });
    return;
  }
  const start = axis < 0 ? axis + rankA : axis;
  const behind = Math.max(0, rankA - start - rankB);
  if (behind === 0) {
    draft.emit({ ...node, attrs });
    return;
  }
  const axes = Array.from({ length: behind }, (_, i) => rankB + i);
  const wide = draft.fresh("wide");
  const inputs = [b, draft.constant(fromNumbers("i64", [axes.length], axes))];
  draft.emit({ ...node, opType: "Unsqueeze", inputs, outputs: [wide], attrs: {} });
  draft.emit({ ...node, inputs: [a, wide], attrs });
}

/** One slope for each channel stood at the axis of the channels; today slopes align at the last axis. */
function upgradePRelu(node: GraphNode, draft: Draft): void {
  const [x = "", slope = ""] = node.inputs;
  const behind = (draft.facts.rank(x) ?? 0) - 2;
  if (draft.facts.rank(slope) !== 1 || behind < 1) {
    draft.emit(node);
    return;
  }
  const axes = Array.from({ length: behind }, (_, i) => i + 1);
  const wide = draft.fresh("wide");
  const inputs = [slope, draft.constant(fromNumbers("i64", [behind], axes))];
  draft.emit({ ...node, opType: "Unsqueeze", inputs, outputs: [wide], attrs: {} });
  draft.emit({ ...node, inputs: [x, wide] });
}

function upgradeReshape(node: GraphNode, draft: Draft): void {
  const shape = node.attrs["shape"] as readonly number[] | undefined;
  const attrs = without(node.attrs, "shape", "consumed_inputs");
  if (!shape) {
    draft.emit({ ...node, attrs });
    return;
  }
  const [x = ""] = node.inputs;
  const inputs = [x, draft.constant(fromNumbers("i64", [shape.length], shape))];
  draft.emit({ ...node, inputs, attrs });
}

/** Spellings of Cast's target before opset 6, in the order of TensorProto.DataType. */
const CAST_TARGETS: Readonly<Record<string, number>> = {
  FLOAT: codeOf("f32"),
  UINT8: codeOf("ui8"),
  INT8: codeOf("i8"),
  UINT16: codeOf("ui16"),
  INT16: codeOf("i16"),
  INT32: codeOf("i32"),
  INT64: codeOf("i64"),
  BOOL: codeOf("i1"),
  FLOAT16: codeOf("f16"),
  DOUBLE: codeOf("f64"),
  UINT32: codeOf("ui32"),
  UINT64: codeOf("ui64"),
};

function upgradeCast(node: GraphNode, draft: Draft): void {
  const to = node.attrs["to"] ?? "";
  const code = typeof to === "string" ? (CAST_TARGETS[to.toUpperCase()] ?? 0) : to;
  draft.emit({ ...node, attrs: { ...node.attrs, to: code } });
}

const drop =
  (...names: readonly string[]): Rule["rewrite"] =>
  (node, draft) =>
    draft.emit({ ...node, attrs: without(node.attrs, ...names) });

export const LEGACY_RULES: readonly Rule[] = [
  {
    below: 4,
    ops: ["Concat"],
    rewrite: (node, draft) => draft.emit({ ...node, attrs: { axis: 1, ...node.attrs } }),
  },
  { below: 5, ops: ["Reshape"], rewrite: upgradeReshape },
  { below: 6, ops: ["Cast"], rewrite: upgradeCast },
  {
    below: 6,
    ops: ["Abs", "Ceil", "Clip", "Elu", "Exp", "Floor", "HardSigmoid", "LeakyRelu", "Log"],
    rewrite: drop("consumed_inputs"),
  },
  {
    below: 6,
    ops: [
      "Max",
      "Mean",
      "Min",
      "Neg",
      "Reciprocal",
      "Relu",
      "Selu",
      "Sigmoid",
      "Sqrt",
      "Sum",
      "Tanh",
    ],
    rewrite: drop("consumed_inputs"),
  },
  { below: 7, ops: BROADCASTING, rewrite: upgradeBroadcast },
  { below: 7, ops: ["PRelu"], rewrite: upgradePRelu },
  { below: 7, ops: ["Gemm"], rewrite: drop("broadcast") },
  { below: 9, ops: ["BatchNormalization"], rewrite: upgradeBatchNorm },
];
