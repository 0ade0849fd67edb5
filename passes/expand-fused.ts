/**
 * expand-fused: write fused operations out, so that the raising passes see what they are made of.
 *
 * Before: types are inferred, constants folded. Operations may be whole modules of a network: ONNX
 *   Runtime's (com.microsoft) attention with its projections, norms with their residual sums, mixtures
 *   of experts, block-quantised products; and ONNX's own attention and rotary embedding.
 * After: none of these is left but mixtures of experts, which raise-moe knows, and forms that ONNX's
 *   plain operators cannot say exactly; a remark names each of those with the reason, or an error where no
 *   kernel could run it. Weights stay whole and quantised: packed projections are one product.
 * Why write out what somebody fused: exporters fuse the same module in many ways, and the weights
 *   inside of a fused operation would never reach a tile.
 */

import { ShapeError } from "../src/ir/dialects/onnx/shape.ts";
import type { Module, Op, Value } from "../src/ir/op.ts";
import { OPS } from "../src/ir/registry.ts";
import { freshNames, removeDead } from "../src/ir/rewrite.ts";
import { kernelOf } from "../src/tensor/kernels/index.ts";
import { showType } from "../src/tensor/tensor.ts";
import { ATTENTION } from "./expand/attention.ts";
import { type Module as Around, Builder, constantsOf, Inexpressible } from "./expand/builder.ts";
import type { Expansion } from "./expand/expansion.ts";
import { GROUP_QUERY } from "./expand/group-query.ts";
import { MOE } from "./expand/moe.ts";
import { NORM } from "./expand/norm.ts";
import { ONNX_ATTENTION } from "./expand/onnx-attention.ts";
import { POINTWISE } from "./expand/pointwise.ts";
import { QUANTISED } from "./expand/quantised.ts";
import { REQUANTISED } from "./expand/requantised.ts";
import { ROTARY } from "./expand/rotary.ts";
import { Told } from "./expand/told.ts";
import type { Pass, PassContext } from "./pass.ts";

/** By the kind that is written out. */
export const EXPANSIONS: Readonly<Record<string, Expansion>> = {
  ...POINTWISE,
  ...NORM,
  ...ATTENTION,
  ...ROTARY,
  ...ONNX_ATTENTION,
  ...GROUP_QUERY,
  ...QUANTISED,
  ...REQUANTISED,
  ...MOE,
};

export const expandFused: Pass = {
  name: "expand-fused",
  summary: "write fused operations out as the plain ones they are made of",
  needs: ["typed", "folded"],
  gives: ["folded"],
  run(module: Module, context): Module {
    const { weights } = context;
    const around: Around = {
      read: new Set([
        ...module.ops.flatMap((op) => op.operands),
        ...module.outputs.map((p) => p.value),
      ]),
      weights,
      constants: constantsOf(module.ops, weights),
      derived: new Map(),
      fresh: freshNames(module),
    };
    const told = new Told(module);
    const ops = module.ops.flatMap((op) => expanded(op, module, around, context, told));
    for (const remark of told.remarks()) context.remark(remark);
    return removeDead({ ...module, ops }, OPS);
  },
};

function expanded(
  op: Op,
  module: Module,
  around: Around,
  context: PassContext,
  told: Told,
): readonly Op[] {
  const expansion = EXPANSIONS[op.kind];
  const [first, ...more] = op.operands;
  if (!expansion || !first) return [op];
  const b = new Builder(around, op);
  try {
    const values = expansion(b, op, [first, ...more]);
    told.of(op, b.assumptions);
    return values ? delivered(op, b, values, around) : [op];
  } catch (e) {
    if (e instanceof ShapeError) contradict(op, e.message, module, context);
    else if (e instanceof Inexpressible) explain(op, e.message, module, context);
    else throw e;
    return [op];
  }
}

/** The parts of a fused operation can be typed where the operation itself looked right. */
function contradict(op: Op, why: string, module: Module, { report }: PassContext): void {
  report({
    code: "A150",
    text: `${op.kind.slice("onnx.".length)}: ${why}`,
    at: { kind: "node", model: module.name, nodes: op.origin },
    hint: "the model contradicts itself, or a dimension given with --dim does not suit it",
  });
}

/** What stays fused runs on a cluster where there is a kernel for it; else the model cannot be compiled. */
function explain(op: Op, why: string, module: Module, { report, remark }: PassContext): void {
  const name = op.kind.slice("onnx.".length);
  if (kernelOf(op.kind)) {
    remark({ text: `${name} stays one digital operation: ${why}`, nodes: op.origin });
    return;
  }
  report({
    code: "A151",
    text: `this form of ${name} is not supported: ${why}`,
    at: { kind: "node", model: module.name, nodes: op.origin },
    hint: "export the model without fusing this operator, or in the form that runs on the CPU",
  });
}

/** The written operations, with the results of the fused one in place of the values they became. */
function delivered(
  op: Op,
  b: Builder,
  values: readonly (Value | null | undefined)[],
  { read }: Around,
): readonly Op[] {
  const now = new Map<Value, Value>();
  const made = new Set(b.ops.flatMap((o) => o.results));
  const copies: Op[] = [];
  for (const [i, result] of op.results.entries()) {
    const value = values[i];
    // A result that nobody reads may have no name to define.
    if (!read.has(result)) continue;
    if (!value) throw new Inexpressible("one of its results is only for training");
    if (showType(value.type) !== showType(result.type)) {
      const types = `${showType(value.type)}, not ${showType(result.type)}`;
      throw new Error(`the expansion of ${op.kind} (${op.origin.join(", ")}) gives ${types}`);
    }
    if (made.has(value) && !now.has(value)) now.set(value, result);
    else {
      const operands = [now.get(value) ?? value];
      copies.push({
        kind: "onnx.Identity",
        operands,
        results: [result],
        attrs: {},
        origin: op.origin,
      });
    }
  }
  const renamed = b.ops.map((o) => ({
    ...o,
    operands: o.operands.map((v) => v && (now.get(v) ?? v)),
    results: o.results.map((v) => now.get(v) ?? v),
  }));
  return [...renamed, ...copies];
}
