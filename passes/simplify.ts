/**
 * simplify: drop operations that do nothing and join those that undo or continue one another.
 *
 * Before: types are inferred and constants folded.
 * After: no Identity, no Cast, Reshape, Expand, Transpose, Slice or factor of one that changes nothing, no two
 * reshapes or transposes in a row, no operation whose results nobody reads.
 * Why one walk is enough: operands are simple before their users are looked at, and a rule's result is
 * looked at again until no rule applies.
 */

import { inlineConstants } from "../src/ir/constants.ts";
import { isTensorAttr, type Module, type Op, type Value } from "../src/ir/op.ts";
import { OPS } from "../src/ir/registry.ts";
import { freshNames, removeDead } from "../src/ir/rewrite.ts";
import type { Pass } from "./pass.ts";
import { type Around, repeated, shorter } from "./simplify/rules.ts";

export const simplify: Pass = {
  name: "simplify",
  summary: "drop operations that do nothing and join those that undo one another",
  needs: ["typed", "folded"],
  gives: [],
  run: (module: Module): Module => removeDead(simplified(module), OPS),
};

function simplified(module: Module): Module {
  const outputs = new Set(module.outputs.map((p) => p.value));
  const now = new Map<Value, Value>();
  const producers = new Map<Value, Op>();
  const constants = new Map(inlineConstants(module));
  const around: Around = {
    constants,
    producer: (v) => (v ? producers.get(v) : undefined),
    fresh: freshNames(module),
  };
  const emit = (op: Op): Op => {
    for (const v of op.results) producers.set(v, op);
    const value = op.attrs["value"];
    const [result] = op.results;
    if (op.kind === "onnx.Constant" && result && isTensorAttr(value)) constants.set(result, value);
    return op;
  };
  const ops = module.ops.flatMap((before) => {
    const operands = before.operands.map((v) => v && (now.get(v) ?? v));
    const simple = reduced({ ...before, operands }, around);
    const op = simple.at(-1) ?? before;
    const same = repeated(op, around);
    const [y] = op.results;
    if (same && y && !outputs.has(y)) {
      now.set(y, same);
      return [];
    }
    return simple.map(emit);
  });
  return { ...module, ops };
}

/** Applies the joining rules until none fits; the last operation defines the results. */
function reduced(op: Op, around: Around): readonly Op[] {
  let ops: readonly Op[] = [op];
  for (let last: Op | undefined = op; last; ) {
    const next: readonly Op[] | null = shorter(last, around);
    last = next?.at(-1);
    if (next) ops = next;
  }
  return ops;
}
