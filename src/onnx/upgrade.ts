/**
 * Brings the nodes of files with opset 1 to 27 to the meaning that they have at opset 23. Each rule
 * names the operators it is for and the opset that changed them; the changes are those of the ONNX
 * operator changelog.
 */

import type { Attr } from "../ir/op.ts";
import { fromNumbers } from "../tensor/convert.ts";
import type { Elem } from "../tensor/tensor.ts";
import type { GraphNode, TensorFacts } from "./graph.ts";
import { upgradeGroupNorm, writeOutMvn } from "./upgrade/functions.ts";
import { LEGACY_RULES } from "./upgrade/legacy.ts";
import { type Draft, type Rule, without } from "./upgrade/rule.ts";
import { upgradeSoftmax } from "./upgrade/softmax.ts";

const REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"];

/** An attribute that became an input; "same" is the element type of the first input. */
type Moved = readonly [name: string, elem: Elem | "same", form?: "scalar"];

/** Attributes that became inputs, from position `first` on. */
const toInputs =
  (first: number, ...moved: readonly Moved[]): Rule["rewrite"] =>
  (node, draft) => {
    const names = moved.map(([name]) => name);
    const inputs = moved.map((m) => movedInput(m, node, draft));
    const kept = [...node.inputs.slice(0, first), ...new Array<string>(first).fill("")];
    const merged = inputs.map((name, i) => name || (node.inputs[first + i] ?? ""));
    const rest = node.inputs.slice(first + moved.length);
    const all = [...kept.slice(0, first), ...merged, ...rest];
    draft.emit({ ...node, inputs: all, attrs: without(node.attrs, ...names) });
  };

function movedInput([name, elem, form]: Moved, node: GraphNode, draft: Draft): string {
  const value = node.attrs[name];
  if (value === undefined) return "";
  const list = (Array.isArray(value) ? value : [value]) as readonly number[];
  const type = elem === "same" ? (draft.facts.elem(node.inputs[0] ?? "") ?? "f32") : elem;
  return draft.constant(fromNumbers(type, form === "scalar" ? [] : [list.length], list));
}

const upgradePad: Rule["rewrite"] = (node, draft) => {
  const { paddings, ...attrs } = node.attrs;
  const pads = attrs["pads"] ?? paddings ?? [];
  const rewrite = toInputs(1, ["pads", "i64"], ["value", "same", "scalar"]);
  return rewrite({ ...node, attrs: { ...attrs, pads } }, draft);
};

/** Before opset 18 the number of equal parts was the number of outputs. */
const countParts: Rule["rewrite"] = (node, draft) => {
  const equal = (node.inputs[1] ?? "") === "";
  const attrs = equal ? { ...node.attrs, num_outputs: node.outputs.length } : node.attrs;
  draft.emit({ ...node, attrs });
};

/** Inference keeps everything. A mask that is read says so: all true. */
const upgradeDropout: Rule["rewrite"] = (node, draft) => {
  const [x = "", ratio = "", training = ""] = node.inputs;
  const [y = "", mask = ""] = node.outputs;
  const keepsAll = draft.facts.value(ratio)?.data[0] === 0;
  if (training !== "" && draft.facts.value(training)?.data[0] !== 0 && !keepsAll) {
    draft.emit(node);
    return;
  }
  draft.emit({ ...node, opType: "Identity", inputs: [x], outputs: [y], attrs: {} });
  if (mask === "") return;
  const shape = draft.fresh("shape");
  draft.emit({ ...node, opType: "Shape", inputs: [x], outputs: [shape], attrs: {} });
  const value = fromNumbers("i1", [1], [1]);
  const fill = { opType: "ConstantOfShape", inputs: [shape], outputs: [mask], attrs: { value } };
  draft.emit({ ...node, ...fill });
};

/** Upsample was a Resize of the plainest kind: its scales an attribute, then an operand. */
const upgradeUpsample: Rule["rewrite"] = (node, draft) => {
  const listed = node.attrs["scales"] as readonly number[] | undefined;
  const scales = listed
    ? draft.constant(fromNumbers("f32", [listed.length], listed))
    : (node.inputs[1] ?? "");
  const attrs = { ...without(node.attrs, "scales"), ...PLAIN_RESIZE };
  draft.emit({ ...node, opType: "Resize", inputs: [node.inputs[0] ?? "", "", scales], attrs });
};

/** Resize of opset 10 knew no coordinates; neither did Upsample. */
const PLAIN_RESIZE = { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };

const upgradeResize: Rule["rewrite"] = (node, draft) => {
  const [x = "", scales = ""] = node.inputs;
  draft.emit({ ...node, inputs: [x, "", scales], attrs: { ...node.attrs, ...PLAIN_RESIZE } });
};

const rename =
  (opType: string): Rule["rewrite"] =>
  (node, draft) =>
    draft.emit({ ...node, opType });

/** In order of the opset that made the change, so that a node passes through all that apply. */
const RULES: readonly Rule[] = [
  ...LEGACY_RULES,
  { below: 10, ops: ["TopK"], rewrite: toInputs(1, ["k", "i64"]) },
  {
    below: 10,
    ops: ["Slice"],
    rewrite: toInputs(1, ["starts", "i64"], ["ends", "i64"], ["axes", "i64"]),
  },
  {
    below: 11,
    ops: ["Clip"],
    rewrite: toInputs(1, ["min", "same", "scalar"], ["max", "same", "scalar"]),
  },
  { below: 11, ops: ["Pad"], rewrite: upgradePad },
  { below: 11, ops: ["Resize"], rewrite: upgradeResize },
  { below: 11, ops: ["Scatter"], rewrite: rename("ScatterElements") },
  { below: 13, ops: ["Squeeze", "Unsqueeze", "ReduceSum"], rewrite: toInputs(1, ["axes", "i64"]) },
  { below: 13, ops: ["Split"], rewrite: toInputs(1, ["split", "i64"]) },
  { below: 13, ops: ["Softmax", "LogSoftmax", "Hardmax"], rewrite: upgradeSoftmax },
  { below: 18, ops: ["Split"], rewrite: countParts },
  { below: 18, ops: REDUCTIONS.map((r) => `Reduce${r}`), rewrite: toInputs(1, ["axes", "i64"]) },
  { below: 21, ops: ["GroupNormalization"], rewrite: upgradeGroupNorm },
  { below: Number.POSITIVE_INFINITY, ops: ["Dropout"], rewrite: upgradeDropout },
  { below: Number.POSITIVE_INFINITY, ops: ["Upsample"], rewrite: upgradeUpsample },
  { below: Number.POSITIVE_INFINITY, ops: ["MeanVarianceNormalization"], rewrite: writeOutMvn },
];

/** The nodes that mean at opset 23 what this node means at `opset`. */
export function upgrade(
  node: GraphNode,
  opset: number,
  facts: TensorFacts,
  fresh: (base: string) => string,
): readonly GraphNode[] {
  if (node.domain !== "") return [node];
  let nodes: readonly GraphNode[] = [node];
  for (const rule of RULES) {
    if (opset >= rule.below || !nodes.some((n) => rule.ops.includes(n.opType))) continue;
    nodes = nodes.flatMap((n) =>
      rule.ops.includes(n.opType) ? apply(rule, n, facts, fresh) : [n],
    );
  }
  return nodes;
}

/** Attributes that the rules look into are numbers, and whole ones but for these. */
const FRACTIONS = new Set([
  "scales",
  "min",
  "max",
  "value",
  "ratio",
  "epsilon",
  "alpha",
  "beta",
  "momentum",
]);
const NOT_LOOKED_INTO = new Set(["to", "mode", "coordinate_transformation_mode", "nearest_mode"]);

function isReadable(name: string, value: Attr): boolean {
  if (NOT_LOOKED_INTO.has(name)) return true;
  const list = Array.isArray(value) ? value : [value];
  return list.every((v) => typeof v === "number" && (FRACTIONS.has(name) || Number.isInteger(v)));
}

function apply(
  rule: Rule,
  node: GraphNode,
  facts: TensorFacts,
  fresh: (base: string) => string,
): readonly GraphNode[] {
  const [wrong] = Object.entries(node.attrs).filter(([name, value]) => !isReadable(name, value));
  if (wrong) {
    facts.malformed(`${node.opType} attribute '${wrong[0]}' is of the wrong kind`, [node.name]);
    return [node];
  }
  const emitted: GraphNode[] = [];
  const name = (what: string): string => fresh(`${node.outputs[0] ?? node.name}.${what}`);
  const draft: Draft = {
    facts,
    fresh: name,
    emit: (n) => {
      emitted.push(n);
    },
    constant: (value) => {
      const out = name("operand");
      const made = { opType: "Constant", inputs: [], outputs: [out], attrs: { value } };
      emitted.push({ ...node, ...made });
      return out;
    },
  };
  rule.rewrite(node, draft);
  return emitted;
}
