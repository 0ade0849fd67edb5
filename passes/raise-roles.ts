/**
 * raise-roles: say what each linear is for, and where it is when its own name does not tell.
 *
 * Before: everything else is raised; linears outside of experts have the role "other".
 * After: the role follows from what a linear feeds and what feeds it, then from its module's name; a
 *   linear without a module path gets one from its neighbours.
 * Why structure first: names are the model author's, and dynamo's exporter leaves none.
 */

import type { LinearRole } from "../src/ir/dialects/nn/linear.ts";
import type { Module, Op, Value } from "../src/ir/op.ts";
import { isWeightRef } from "../src/ir/op.ts";
import { producersOf, usersOf, withAttrs } from "../src/ir/rewrite.ts";
import type { Pass } from "./pass.ts";

/** Operations that move or scale rows but are nobody's purpose. */
const SHAPING = new Set(
  [
    "Reshape",
    "Transpose",
    "Cast",
    "Slice",
    "Split",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Identity",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
  ].map((name) => `onnx.${name}`),
);

/** What lies between a linear and the attention that reads it besides. */
const BEFORE_ATTENTION = new Set([
  ...SHAPING,
  "nn.rope",
  "nn.cache_append",
  "nn.rms_norm",
  "nn.layer_norm",
  "onnx.Mul",
  "onnx.Div",
  "onnx.Concat",
]);

interface Around {
  readonly producers: ReadonlyMap<Value, Op>;
  readonly users: ReadonlyMap<Value, readonly Op[]>;
  readonly outputs: ReadonlySet<Value>;
}

/** Scales and biases of linears whose weights are integers: a number or a row beside what is shaped. */
const RESCALES = new Set(["onnx.Mul", "onnx.Add", "onnx.Sub"]);

const isSmall = (v: Value | null | undefined): boolean => v?.type.shape.length === 1 || isNumber(v);

const isNumber = (v: Value | null | undefined): boolean =>
  v?.type.shape.every((d) => d === 1) === true;

const isShaping = (op: Op): boolean =>
  SHAPING.has(op.kind) || (RESCALES.has(op.kind) && op.operands.some(isSmall));

/** The linears that a value comes from, through operations of the given kinds. */
function* linearsBehind(
  v: Value | null | undefined,
  through: ReadonlySet<string>,
  around: Around,
): Iterable<Op> {
  const op = v ? around.producers.get(v) : undefined;
  if (op?.kind === "nn.linear") yield op;
  if (!op || !(through.has(op.kind) || isShaping(op))) return;
  // A quantiser's scale comes from what it quantises, but that is not where the rows come from.
  const rows = op.operands.filter((operand) => !isNumber(operand));
  for (const operand of rows) yield* linearsBehind(operand, through, around);
}

/** The operations other than shaping ones that read a value. */
function* readersOf(v: Value | undefined, around: Around): Iterable<Op> {
  for (const op of (v && around.users.get(v)) ?? []) {
    if (!isShaping(op)) yield op;
    else for (const r of op.results) if (!isNumber(r)) yield* readersOf(r, around);
  }
}

function reachesOutput(v: Value, around: Around): boolean {
  if (around.outputs.has(v)) return true;
  const shaping = (around.users.get(v) ?? []).filter(isShaping);
  return shaping.some((op) => op.results.some((r) => reachesOutput(r, around)));
}

const linearReaders = (op: Op, around: Around): readonly Op[] =>
  [...readersOf(op.results[0], around)].filter((r) => r.kind === "nn.linear");

const widthOf = (v: Value | null | undefined) => v?.type.shape.at(-1);

/** The linears on both sides of an activation, when there are any behind it. */
function feedForward(op: Op, around: Around): readonly Op[] {
  const before = op.operands.flatMap((v) => [...linearsBehind(v, SHAPING, around)]);
  const inner = widthOf(before[0]?.operands[0]);
  // A classifier behind an activation ends the graph and does not come back to the width before.
  const after = linearReaders(op, around).filter(
    ({ results: [y] }) => widthOf(y) === inner || !(y && reachesOutput(y, around)),
  );
  return after.length > 0 ? [...before, ...after] : [];
}

/** Roles that the graph's structure gives; the first to claim a linear keeps it. */
function structural(module: Module, around: Around): ReadonlyMap<Op, LinearRole> {
  const roles = new Map<Op, LinearRole>();
  const claim = (ops: Iterable<Op>, role: LinearRole) => {
    for (const op of ops) if (!roles.has(op)) roles.set(op, role);
  };
  for (const op of module.ops) {
    if (op.kind === "nn.router") claim(linearsBehind(op.operands[0], SHAPING, around), "router");
    if (op.kind !== "nn.attention") continue;
    for (const v of op.operands.slice(0, 3)) {
      claim(linearsBehind(v, BEFORE_ATTENTION, around), "attention-projection");
    }
    claim(linearReaders(op, around), "attention-projection");
  }
  for (const op of module.ops) {
    if (op.kind === "nn.activation" || op.kind === "nn.gated") {
      claim(feedForward(op, around), "feed-forward");
    }
  }
  const last = module.ops.filter((op) => op.kind === "nn.linear");
  claim(
    last.filter((op) => op.results.some((r) => reachesOutput(r, around))),
    "head",
  );
  return roles;
}

/** The usual names of modules, for linears that stand alone. */
const NAMES: readonly (readonly [RegExp, LinearRole])[] = [
  [/(^|\.)(lm_head|classifier|cls|score|qa_outputs|vocab_\w+)(\.|$)/, "head"],
  [
    /(^|\.)(q|k|v|o|query|key|value|[qkvo]_(proj|lin)|out_(proj|lin)|c_attn|qkv\w*)$/,
    "attention-projection",
  ],
  [/(^|\.)(fc\d?|lin\d|c_fc|wi(_\d)?|wo|intermediate\.dense|mlp\.\w+|ffn\.\w+)$/, "feed-forward"],
  [/(^|\.)patch_embed\w*(\.|$)/, "patch"],
];

const byName = (path: string): LinearRole =>
  NAMES.find(([pattern]) => pattern.test(path))?.[1] ?? "other";

const pathOf = (op: Op | undefined): string | undefined => {
  const path = op?.attrs["module"];
  return typeof path === "string" ? path : undefined;
};

/** The module that holds the next named operation before x: a norm's layer, an attention's block. */
function layerBefore(x: Value | null | undefined, around: Around, depth = 12): string | undefined {
  const op = x ? around.producers.get(x) : undefined;
  const path = pathOf(op);
  if (path !== undefined) return path.split(".").slice(0, -1).join(".");
  if (!op || depth === 0) return undefined;
  return layerBefore(op.operands[0], around, depth - 1);
}

function located(op: Op, around: Around): Op {
  const { weight } = op.attrs;
  const layer = layerBefore(op.operands[0], around);
  if (op.kind !== "nn.linear" || pathOf(op) !== undefined || !isWeightRef(weight)) return op;
  const name = weight.weight.replaceAll(/\W+/g, "_");
  return withAttrs(op, { module: layer ? `${layer}.${name}` : name });
}

function settled(op: Op, structure: ReadonlyMap<Op, LinearRole>, around: Around): Op {
  if (op.kind !== "nn.linear") return op;
  const here = located(op, around);
  if (op.attrs["role"] !== "other") return here;
  const role = structure.get(op) ?? byName(pathOf(here) ?? "");
  return withAttrs(here, { role });
}

export const raiseRoles: Pass = {
  name: "raise-roles",
  summary: "say what each linear is for, and where it is",
  needs: ["raised"],
  gives: [],
  run(module) {
    const outputs = new Set(module.outputs.map((p) => p.value));
    const around = { producers: producersOf(module), users: usersOf(module), outputs };
    const structure = structural(module, around);
    return { ...module, ops: module.ops.map((op) => settled(op, structure, around)) };
  },
};
