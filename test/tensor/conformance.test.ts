/**
 * ONNX's single-operator tests: what its reference implementation computes, our evaluator computes, and
 * so does the simulated machine for which the operator was compiled.
 */

import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { difference, ONNX_RUNNER } from "./agree.ts";
import { foldCase, type NodeCase, readCase, simulateCase } from "./node-case.ts";

const ROOT = "test/onnx-node-tests";

/** Tests that the machine runs only with some inputs fixed; without that each is refused with a code. */
const BOUND: Readonly<Record<string, { readonly inputs: readonly string[]; refusal: RegExp }>> = {
  // Both branches hold their own constants, and which one counts must be known when compiling.
  test_if: { inputs: ["cond"], refusal: /^error\[A1\d\d\]: .*\bIf\b/ },
};

/** Folding keeps quantised weights quantised, so this stays to be evaluated. */
const LEFT: readonly string[] = ["onnx.Constant", "onnx.DequantizeLinear"];

function agree(found: ReadonlyMap<string, Tensor>, { outputs }: NodeCase): void {
  expect(outputs.size).toBeGreaterThan(0);
  for (const [output, expected] of outputs) {
    const value = found.get(output);
    if (!value) throw new Error(`no output '${output}'`);
    expect(difference(value, expected, ONNX_RUNNER), output).toBe("");
  }
}

const names = readdirSync(ROOT);

test("the tests are there", () => {
  expect(names.length).toBe(289);
  expect(names).toEqual(expect.arrayContaining(Object.keys(BOUND)));
});

describe("folded from constants", () => {
  test.each(names)("%s", async (name) => {
    const example = readCase(`${ROOT}/${name}`);
    const { outputs, left } = await foldCase(example);
    agree(outputs, example);
    expect(LEFT).toEqual(expect.arrayContaining([...left]));
  });
});

describe("compiled and simulated", () => {
  test.each(names)("%s", async (name) => {
    const example = readCase(`${ROOT}/${name}`);
    agree(await simulateCase(example, BOUND[name]?.inputs), example);
  });
});

describe("refused unless some inputs are fixed", () => {
  test.each(Object.entries(BOUND))("%s", async (name, { refusal }) => {
    const example = readCase(`${ROOT}/${name}`);
    const told = await simulateCase(example).catch((e: Error) => e.message);
    expect(told).toMatch(refusal);
  });
});
