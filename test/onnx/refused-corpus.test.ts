/** Models of the corpus that cannot be compiled say so with a code, the place, and what to do. */

import { expect, test } from "vitest";
import { InputError } from "../../src/diag/diagnostic.ts";
import { readModel } from "../../src/onnx/read.ts";
import { UNSUPPORTED } from "../corpus.ts";

test.each(UNSUPPORTED)("$name is refused", ({ model }) => {
  let refused: unknown;
  try {
    readModel(model, { dims: {} });
  } catch (error) {
    refused = error;
  }
  expect(refused).toBeInstanceOf(InputError);
  const [first] = (refused as InputError).diagnostics;
  expect(first?.code).toMatch(/^A1\d\d$/);
  expect(first?.hint).not.toBe("");
});
