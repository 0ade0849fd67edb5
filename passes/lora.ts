/**
 * lora: put a low-rank side-branch beside linears, computed digitally and merged nowhere.
 *
 * Before: every linear has `place`.
 * After: with a fresh branch, every analog linear is followed by nn.lora with a random A and a zero B,
 * which changes nothing yet; with an adapter, every linear that one of its modules names is followed by that
 * branch. The branch defines the value that the linear defined.
 * Why beside and not merged: the branch is what corrects a tile after it was programmed (Li et al., arXiv
 * 2411.17367).
 */

import type { Diagnostic } from "../src/diag/diagnostic.ts";
import { inFile } from "../src/diag/diagnostic.ts";
import { byDistance } from "../src/diag/nearest.ts";
import { weightAttr } from "../src/ir/attrs.ts";
import { blockScalesOf, linearSize } from "../src/ir/dialects/nn/linear.ts";
import type { Module, Op, WeightRef } from "../src/ir/op.ts";
import { freshNames } from "../src/ir/rewrite.ts";
import { fromNumbers, toNumbers } from "../src/tensor/convert.ts";
import { uniforms } from "../src/tensor/philox.ts";
import { type Elem, isFloat, showType, type Tensor } from "../src/tensor/tensor.ts";
import { matchModules, pathOf } from "./lora/match.ts";
import type { Adapter } from "./options.ts";
import { matrixKey, weightName } from "./partition/matrix.ts";
import type { Pass, PassContext } from "./pass.ts";

export const lora: Pass = {
  name: "lora",
  summary: "put low-rank side-branches beside linears: fresh ones, or those of an adapter",
  needs: ["assigned"],
  gives: [],
  run(module, context) {
    const option = context.options.lora;
    switch (option.kind) {
      case "none":
        return module;
      case "fresh":
        return attach(module, freshBranches(module, option.rank, option.alpha, context));
      case "adapter":
        return attach(module, adapterBranches(module, option.adapter, context));
    }
  },
};

interface Branch {
  readonly a: WeightRef;
  readonly b: WeightRef;
  readonly scale: number;
}

function attach(module: Module, branches: ReadonlyMap<Op, Branch>): Module {
  const fresh = freshNames(module);
  const ops = module.ops.flatMap((op): readonly Op[] => {
    const branch = branches.get(op);
    const [x = null] = op.operands;
    const [result] = op.results;
    if (!branch || !x || !result) return [op];
    const base = { id: fresh(`${result.id}.base`), type: result.type };
    const path = pathOf(op);
    const attrs = {
      ...branch,
      of: weightName(op),
      why: "a low-rank branch beside the tile stays exact and can be trained and swapped",
      ...(path !== "" && { module: path }),
    };
    const side = {
      kind: "nn.lora",
      operands: [x, base],
      results: [result],
      attrs,
      origin: op.origin,
    };
    return [{ ...op, results: [base] }, side];
  });
  return { ...module, ops };
}

/** Linears that give real numbers: beside one of integers a branch would be scaled with its result. */
const linearsOf = (module: Module): readonly Op[] =>
  module.ops.filter(
    (op) => op.kind === "nn.linear" && (isFloat(weightElem(op)) || blockScalesOf(op)),
  );

function weightElem(op: Op): Elem {
  const weight = weightAttr(op, "weight");
  return "weight" in weight ? weight.type.elem : weight.elem;
}

/** Purpose of the random numbers here, apart from every purpose of the simulator's. */
const FRESH_A = 64;

/**
 * A is uniform in ±1/sqrt(in) (Kaiming with a = sqrt 5, as PEFT starts it), B is zero. Linears that share
 * a weight share the branch.
 */
function freshBranches(
  module: Module,
  rank: number,
  alpha: number,
  { options, weights }: PassContext,
): ReadonlyMap<Op, Branch> {
  const byWeight = new Map<string, Branch>();
  const branches = new Map<Op, Branch>();
  for (const op of linearsOf(module).filter((l) => l.attrs["place"] === "analog")) {
    const size = linearSize(op);
    if (!size) continue;
    const key = matrixKey(op);
    const branch = byWeight.get(key) ?? fresh(op, size, byWeight.size);
    byWeight.set(key, branch);
    branches.set(op, branch);
  }
  return branches;

  function fresh(op: Op, [inputs, outputs]: readonly [number, number], ordinal: number): Branch {
    const elem = op.results[0]?.type.elem ?? "f32";
    const bound = 1 / Math.sqrt(inputs);
    const numbers = uniforms(rank * inputs, options.seed, [FRESH_A, ordinal]);
    const values = numbers.map((u) => (2 * u - 1) * bound);
    const path = `base_model.model.${pathOf(op) || weightName(op)}`;
    const zero = new Float64Array(outputs * rank);
    return {
      a: weights.add(`${path}.lora_A.weight`, fromNumbers(elem, [rank, inputs], values)),
      b: weights.add(`${path}.lora_B.weight`, fromNumbers(elem, [outputs, rank], zero)),
      scale: alpha / rank,
    };
  }
}

/** Reports A207 for a module of the wrong shape and A208 for one that no linear is called like. */
function adapterBranches(
  module: Module,
  adapter: Adapter,
  context: PassContext,
): ReadonlyMap<Op, Branch> {
  const linears = linearsOf(module);
  const names = [...adapter.modules.keys()];
  const branches = new Map<Op, Branch>();
  for (const [name, ops] of matchModules(names, linears)) {
    const pair = adapter.modules.get(name);
    if (!pair) continue;
    if (ops.length === 0) context.report(unmatched(name, adapter, linears));
    const faults = ops.flatMap((op) => misfit(name, pair, op, adapter) ?? []);
    for (const fault of faults) context.report(fault);
    const [first] = ops;
    if (!first || faults.length > 0) continue;
    const branch = branchOf(name, pair, first);
    for (const op of ops) branches.set(op, branch);
  }
  return branches;

  function branchOf(name: string, { a, b }: { a: Tensor; b: Tensor }, op: Op): Branch {
    const path = `base_model.model.${name}`;
    const elem = op.results[0]?.type.elem ?? "f32";
    const as = (t: Tensor) => (t.elem === elem ? t : fromNumbers(elem, t.shape, toNumbers(t)));
    return {
      a: context.weights.add(`${path}.lora_A.weight`, as(a)),
      b: context.weights.add(`${path}.lora_B.weight`, as(b)),
      scale: adapter.alpha / adapter.rank,
    };
  }
}

function misfit(
  name: string,
  { a, b }: { readonly a: Tensor; readonly b: Tensor },
  op: Op,
  { folder, rank }: Adapter,
): Diagnostic | null {
  const [inputs = 0, outputs = 0] = linearSize(op) ?? [];
  const expected = [`${rank}x${inputs}`, `${outputs}x${rank}`];
  const found = [a, b].map((t) => t.shape.join("x"));
  if (found.join() === expected.join()) return null;
  return {
    code: "A207",
    text:
      `adapter module '${name}' does not fit linear '${pathOf(op)}': expected A ${expected[0]} and ` +
      `B ${expected[1]}, found A ${showType({ elem: a.elem, shape: a.shape })} and B ${showType({ elem: b.elem, shape: b.shape })}`,
    at: inFile(folder),
    hint: "use the adapter that was trained for this model",
  };
}

function unmatched(name: string, { folder }: Adapter, linears: readonly Op[]): Diagnostic {
  const paths = [...new Set(linears.map(pathOf))].filter((p) => p !== "");
  const nearest = byDistance(name, paths)
    .slice(0, 3)
    .map((p) => `'${p}'`);
  return {
    code: "A208",
    text: `adapter module '${name}' fits no linear of the model`,
    at: inFile(folder),
    hint:
      nearest.length === 0
        ? "the model has no linear with a module path"
        : `the nearest linears are ${nearest.join(", ")}`,
  };
}
