/** Every code has its page, and every page its code. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { aimcc } from "./e2e/cli.ts";

const sources = ["src", "passes"].flatMap((root) =>
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(join(root, file), "utf8")),
);

/** Codes as string literals, and as the names of members of a table. */
const used = new Set(
  sources.flatMap((text) =>
    [...text.matchAll(/["'`[](A\d{3})["'`\]]|^\s+(A\d{3}):/gm)].map((m) => m[1] ?? m[2] ?? ""),
  ),
);

const pages = readdirSync("docs/errors").map((file) => file.replace(/\.md$/, ""));

test("every code that a message can have is explained, and nothing else is", () => {
  expect(pages.toSorted()).toEqual([...used].toSorted());
});

describe.each(pages)("%s", (code) => {
  const page = readFileSync(`docs/errors/${code}.md`, "utf8");
  test("says what it is, how to fix it, and shows it", () => {
    expect(page).toMatch(new RegExp(`^# ${code}: \\S`));
    expect(page).toMatch(/^## How to fix/m);
    expect(page).toMatch(
      new RegExp(`^(?:error|warning)\\[${code}\\]: .+\\n(?:  .+\\n)*  at .+\\n  hint: .+`, "m"),
    );
  });
});

test("the package brings the pages along", () => {
  const { files } = JSON.parse(readFileSync("package.json", "utf8")) as { files: string[] };
  expect(files.some((f) => "docs/errors".startsWith(f))).toBe(true);
});

test("aimcc explain prints a page, however the code is written", async () => {
  const page = readFileSync("docs/errors/A120.md", "utf8");
  for (const code of ["A120", "a120", "error[A120]"]) {
    expect(await aimcc("explain", code)).toMatchObject({ status: 0, stdout: page });
  }
  expect((await aimcc("explain")).stdout).toMatch(/^A101 {2}\S/m);
});

test("aimcc explain of no code names the nearest", async () => {
  const { status, stderr } = await aimcc("explain", "A1O1");
  expect(status).toBe(2);
  expect(stderr).toMatch(/A012.*'A1O1'.*A101/s);
});
