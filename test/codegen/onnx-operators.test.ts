/** ONNX's single-operator tests: for each call of a kernel that they make there is machine code, and it is right. */

import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readCase } from "../tensor/node-case.ts";
import { judgeAll, missing } from "./every-call.ts";
import { ONNX_GAPS } from "./gaps.ts";

const ROOT = "test/onnx-node-tests";

describe("ONNX's tests", () => {
  test.each(readdirSync(ROOT))("%s", (name) => judgeAll(readCase(`${ROOT}/${name}`)));
});

test("what is listed for them alone has no machine code", () => {
  expect([...missing]).toEqual(expect.arrayContaining([...ONNX_GAPS]));
});
