import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GENERATORS } from "../../src/codegen/kernels/index.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";

test("docs/kernels.md names the kernels that have no machine code", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/kernels.md"), "utf8");
  const [, list = ""] = page.split("What has no machine code at all:");
  const rows = list.split("\n").filter((line) => line.startsWith("| "));
  const named = rows.slice(2).flatMap((row) => row.split("|")[1]?.trim().split(", ") ?? []);
  const missing = [...KERNELS.keys()].filter((name) => !GENERATORS.has(name));
  expect(named.toSorted()).toEqual(missing.toSorted());
});
