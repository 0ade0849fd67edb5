/** An attribute whose number is of another kind than its operator asks for: ONNX Runtime refuses it, and so do we. */

import { InferenceSession } from "onnxruntime-node";
import { expect, test } from "vitest";
import { InputError } from "../../src/diag/diagnostic.ts";
import { readModel } from "../../src/onnx/read.ts";
import { node, port, write } from "./small-model.ts";

const ends = { input: [port("x", [2, 4])], output: [port("y", [2, 4])] };

function refusal(path: string): string {
  try {
    readModel(path, { dims: {} });
  } catch (e) {
    if (e instanceof InputError) return e.message;
    throw e;
  }
  return "accepted";
}

test.each([
  ["a float where an integer is asked for", "Softmax", { "axis:f": -1 }, "int"],
  ["an integer where a float is asked for", "LeakyRelu", { alpha: 1 }, "float"],
  ["floats where integers are asked for", "Transpose", { "perm:f": [0, 1] }, "ints"],
])("%s", async (_, op, attrs, asked) => {
  const path = write({ ...ends, node: [node(op, ["x"], ["y"], attrs)] });
  await expect(InferenceSession.create(path)).rejects.toThrow("Mismatched attribute type");
  expect(refusal(path)).toMatch(new RegExp(`A119.*${op} attribute '\\w+' is not of kind ${asked}`));
});

test("a number that is none is refused, and infinity outside of the masks of fused operators", () => {
  const nan = write({
    ...ends,
    node: [node("LeakyRelu", ["x"], ["y"], { "alpha:f": Number.NaN })],
  });
  expect(refusal(nan)).toMatch(/A119.*LeakyRelu attribute 'alpha' is NaN/);
  const endless = { "alpha:f": Number.POSITIVE_INFINITY };
  const infinite = write({ ...ends, node: [node("LeakyRelu", ["x"], ["y"], endless)] });
  expect(refusal(infinite)).toMatch(/A119.*LeakyRelu attribute 'alpha' is Infinity/);
});
