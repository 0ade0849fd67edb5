/** The program dialect: steps carry the operation they run, and say so when they do not. */

import { describe, expect, test } from "vitest";
import { wrapOp, wrappedOp } from "../../src/ir/dialects/program.ts";
import type { Attrs, Module, Op } from "../../src/ir/op.ts";
import { withAttrs } from "../../src/ir/rewrite.ts";
import { verify } from "../../src/ir/verify.ts";
import { CASES } from "./cases.ts";
import { Builder, compile } from "./modules.ts";

const scheduling: Attrs = {
  step: "s0",
  domain: [1, 1, 1],
  reads: [],
  writes: [],
  waits: [],
  credits: [],
  rings: [],
};

test("unwrapping undoes wrapping", () => {
  for (const make of Object.values(CASES)) {
    for (const op of make().ops) expect(wrappedOp(wrapOp(op, scheduling))).toEqual(op);
  }
});

describe("the verifier refuses", () => {
  const b = new Builder(1);
  const x = b.input("x", [1, 4, 2]);
  const { module } = compile(b.module(b.one("onnx.Relu", [b.mvm(x, 3)], [1, 4, 3])));
  const isCall = (op: Op): boolean => op.kind === "program.call";
  const isLaunch = (op: Op): boolean => op.kind === "program.launch";
  const faultsWith = (which: (op: Op) => boolean, attrs: Attrs): string => {
    const ops = module.ops.map((op) => (which(op) ? withAttrs(op, attrs) : op));
    const changed: Module = { ...module, ops };
    return [...verify(changed)].map((f) => f.text).join("\n");
  };

  test.each<[string, (op: Op) => boolean, Attrs, RegExp]>([
    ["an operation that does not exist", isCall, { fn: "onnx.Nothing" }, /which is no operation/],
    [
      "a domain of nothing",
      isCall,
      { domain: [1, 0, 1] },
      /domain must be \[batch, tokens, block\]/,
    ],
    ["a domain of two", isLaunch, { domain: [1, 1] }, /domain must be/],
    ["too few reads", isCall, { reads: [] }, /'reads' needs 1 entries/],
    ["a ring too many", isLaunch, { rings: [{}, {}] }, /'rings' needs 1 entries/],
    [
      "what the operation inside refuses",
      isLaunch,
      { col_splits: [0, 9] },
      /must rise from 0 to 3/,
    ],
  ])("%s", (_, which, attrs, text) => {
    expect(faultsWith(which, attrs)).toMatch(text);
  });
});
