/** The interpreter that is committed is the one that its sources give. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generate } from "../../scripts/build-iss.ts";
import { opcodesSource } from "../../src/iss/opcodes.ts";

test("src/iss/opcodes.as.ts is made from the instruction table", () => {
  expect(readFileSync("src/iss/opcodes.as.ts", "utf8")).toBe(opcodesSource());
});

test("src/iss/hart.gen.ts is made from hart.as.ts: npm run build:iss", async () => {
  expect(readFileSync("src/iss/hart.gen.ts", "utf8")).toBe(await generate());
});
