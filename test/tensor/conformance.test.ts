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

test("the tests are there", () => expect(names.length).toBe(289));

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
    agree(await simulateCase(example), example);
  });
});
