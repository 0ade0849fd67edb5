/**
 * assign: decide for every linear whether it is analog or digital, and say for every operation why.
 *
 * Before: the nn level; linears have a role and a module path.
 * After: every nn.linear has `place` and `why`; every other operation but constants has `why`.
 * Why rules and not a search: a user must be able to predict and to change each decision with one line.
 */

import { weightAttr } from "../src/ir/attrs.ts";
import { blockScalesOf } from "../src/ir/dialects/nn/linear.ts";
import type { Module, Op } from "../src/ir/op.ts";
import { withAttrs } from "../src/ir/rewrite.ts";
import { glob } from "../src/target/glob.ts";
import { isFloat, sizeOf } from "../src/tensor/tensor.ts";
import type { PolicyRule } from "./options.ts";
import type { Pass } from "./pass.ts";

export const assign: Pass = {
  name: "assign",
  summary: "decide by the policy which linears are analog and which stay digital, and why",
  needs: ["raised"],
  gives: ["assigned"],
  run(module, { options, remark }) {
    const rules = options.policy.rules.map(compileRule);
    for (const { rule } of rules.filter((r) => isUnmatched(r, module))) {
      remark({
        text: `policy ${options.policy.name}: nothing is called '${rule.module}'`,
        nodes: [],
      });
    }
    const constants = new Set(
      module.ops.flatMap((op) => (op.kind === "onnx.Constant" ? op.results : [])),
    );
    const isStack = (op: Op): boolean =>
      op.kind === "onnx.MatMul" && op.operands.some((v) => v && constants.has(v));
    return {
      ...module,
      ops: module.ops.map((op) =>
        isStack(op) ? withAttrs(op, { why: NO_MATRIX }) : decide(op, rules),
      ),
    };
  },
};

const NO_MATRIX = "its constant is no single matrix that a tile could hold";

interface CompiledRule {
  readonly rule: PolicyRule;
  readonly fits: (path: string, kind: string) => boolean;
}

function compileRule(rule: PolicyRule): CompiledRule {
  const path = rule.module === undefined ? () => true : glob(rule.module);
  return { rule, fits: (p, k) => path(p) && (rule.kind === undefined || rule.kind === k) };
}

const isUnmatched = ({ rule }: CompiledRule, module: Module): boolean => {
  if (rule.module === undefined) return false;
  const fits = glob(rule.module);
  return !module.ops.some((op) => fits(pathOf(op)));
};

const pathOf = (op: Op): string => {
  const path = op.attrs["module"];
  return typeof path === "string" ? path : "";
};

const kindOf = (op: Op): string => {
  if (op.kind === "nn.embedding") return "embedding";
  const role = op.attrs["role"];
  return typeof role === "string" ? role : "";
};

function decide(op: Op, rules: readonly CompiledRule[]): Op {
  if (op.kind === "onnx.Constant") return op;
  if (op.kind !== "nn.linear") return withAttrs(op, { why: reasonOf(op, rules) });
  const impossible = obstacle(op);
  if (impossible) return withAttrs(op, { place: "digital", why: impossible });
  const rule = rules.find((r) => r.fits(pathOf(op), kindOf(op)))?.rule;
  if (!rule) return withAttrs(op, { place: "digital", why: "no rule of the policy matches it" });
  return withAttrs(op, { place: rule.place, why: rule.why });
}

/** Integers that a cell's conductance can stand for, as real numbers. */
const BYTES: ReadonlySet<string> = new Set(["i4", "i8", "ui4", "ui8"]);

/** Why a linear cannot be analog whatever the policy says; null when it can. */
function obstacle(op: Op): string | null {
  const weight = weightAttr(op, "weight");
  if (!("weight" in weight)) return `with ${sizeOf(weight.shape)} weights it is not worth a tile`;
  const { elem } = weight.type;
  if (!isFloat(elem) && !BYTES.has(elem) && !blockScalesOf(op))
    return `its weights are ${elem}, wider than a cell`;
  return null;
}

/** Only linears have a choice; what a rule says of others is at most another reason to stay digital. */
function reasonOf(op: Op, rules: readonly CompiledRule[]): string {
  if (op.kind === "nn.embedding") {
    const rule = rules.find((r) => r.fits(pathOf(op), "embedding"))?.rule;
    if (rule?.place === "digital") return rule.why;
  }
  return REASONS[op.kind] ?? "not a matrix product with constant weights";
}

const REASONS: Readonly<Record<string, string>> = {
  "nn.attention": "both factors of its products are activations; a tile holds constants",
  "nn.softmax": "a softmax needs digital precision and range",
  "nn.layer_norm": "a norm needs sums over the whole vector",
  "nn.rms_norm": "a norm needs sums over the whole vector",
  "nn.router": "the choice of experts must be exact",
  "nn.combine": "the weights of its sum are activations",
  "nn.embedding": "an embedding is a look-up, not a matrix product",
  "nn.activation": "element by element, beside the tiles",
  "nn.gated": "element by element, beside the tiles",
  "nn.residual": "element by element, beside the tiles",
  "nn.rope": "element by element, beside the tiles",
  "nn.cache_append": "it only moves data",
  "nn.lora": "a side-branch stays exact, so that it can correct what the tile does",
  "onnx.Conv": "its filters are no matrix that would fill a tile",
  "onnx.MatMul": "both factors are activations; a tile holds constants",
};
