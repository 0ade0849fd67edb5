/** ONNX's single-operator tests: what its reference implementation computes, our kernels compute. */

import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { difference, ONNX_RUNNER } from "./agree.ts";
import { readCase, runCase } from "./node-case.ts";

const ROOT = "test/onnx-node-tests";

/** Whole graphs as attributes are resolved when a file is read, so no kernel sees them. */
const WITH_SUBGRAPHS = new Set(["test_if"]);

describe("ONNX conformance", () => {
  const names = readdirSync(ROOT).filter((name) => !WITH_SUBGRAPHS.has(name));
  test("the tests are there", () => expect(names.length).toBeGreaterThanOrEqual(288));
  test.each(names)("%s", (name) => {
    const example = readCase(`${ROOT}/${name}`);
    const found = runCase(example);
    expect(example.outputs.size).toBeGreaterThan(0);
    for (const [output, expected] of example.outputs) {
      const value = found.get(output);
      if (!value) throw new Error(`no output '${output}'`);
      expect(difference(value, expected, ONNX_RUNNER), output).toBe("");
    }
  });
});
