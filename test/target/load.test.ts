/** Loading targets: what is bundled, what is refused, and how a user is told. */

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Diagnostic, InputError, showPlace } from "../../src/diag/diagnostic.ts";
import { targetJsonSchema } from "../../src/target/json-schema.ts";
import { listTargets, loadTarget, parseTarget, targetsFolder } from "../../src/target/load.ts";

function faults(run: () => unknown): readonly Diagnostic[] {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError) return error.diagnostics;
    throw error;
  }
  return [];
}

const YAML = readFileSync(join(targetsFolder(), "ahwa-lora.yaml"), "utf8");
const lineOf = (text: string, word: string): number =>
  text.slice(0, text.indexOf(word)).split("\n").length;

test("the bundled targets load under their file's name", () => {
  expect(listTargets()).toEqual(["ahwa-lora", "hermes-64"]);
  for (const name of listTargets()) expect(loadTarget(name).name).toBe(name);
});

test("every number of a bundled target stands beside a source or in a curve that has one", () => {
  const visit = (node: unknown, sourced: boolean, path: string): void => {
    if (typeof node === "number") expect(sourced, path).toBe(true);
    if (typeof node !== "object" || node === null) return;
    const here = "source" in node && typeof node.source === "string" && node.source.length > 10;
    for (const [key, child] of Object.entries(node)) {
      const inCurve = ["pieces", "polynomial", "log", "power"].includes(key) || /^\d+$/.test(key);
      visit(child, here || (sourced && inCurve) || path.includes(".pieces"), `${path}.${key}`);
    }
  };
  for (const name of listTargets()) visit(loadTarget(name), false, name);
});

test("a target file is loaded by its path", () => {
  const file = join(mkdtempSync(join(tmpdir(), "aimcc-target-")), "mine.yaml");
  writeFileSync(file, YAML.replace("name: ahwa-lora", "name: mine"));
  expect(loadTarget(file).name).toBe("mine");
});

test("an unknown name lists the known ones and the nearest", () => {
  const [fault] = faults(() => loadTarget("hermes64"));
  expect(fault?.code).toBe("A201");
  expect(fault?.text).toContain("the nearest is 'hermes-64'");
  expect(fault?.hint).toContain("ahwa-lora, hermes-64");
  expect(faults(() => loadTarget("./nowhere.yaml"))[0]?.text).toContain("./nowhere.yaml");
});

test("a misspelt key is named at its line and column", () => {
  const text = YAML.replace("tcdmKiB:", "tcdmKB:");
  const told = faults(() => parseTarget(text, "mine.yaml"));
  const line = lineOf(text, "tcdmKB:");
  expect(told.map((d) => `${showPlace(d.at)} ${d.text}`)).toContain(
    `mine.yaml:${line}:3 'cluster.tcdmKB' is not a known key`,
  );
  const missing = told.find((d) => d.text.includes("'cluster.tcdmKiB'"));
  expect(missing?.text).toContain("expected object");
});

test("a value of the wrong kind says what is expected", () => {
  const text = YAML.replace("value: 25,", "value: many,");
  const [fault, ...more] = faults(() => parseTarget(text, "mine.yaml"));
  expect(more).toEqual([]);
  expect(fault?.code).toBe("A202");
  expect(fault?.text).toContain("'tile.gMaxMicrosiemens.value': expected number");
  const line = lineOf(text, "value: many");
  const column = (text.split("\n")[line - 1] ?? "").indexOf("value: many") + 1;
  expect(fault && showPlace(fault.at)).toBe(`mine.yaml:${line}:${column}`);
});

test("a constant without a source is refused", () => {
  const told = faults(() =>
    parseTarget(YAML.replace(/(rows: \{ value: 512), source: .*\}/, "$1 }"), "m.yaml"),
  );
  expect(told[0]?.text).toContain("tile.rows.source");
});

test("faults inside a curve are told from the nearest kind of piece", () => {
  const text = YAML.replace("exponent: -0.65,", "");
  const [fault] = faults(() => parseTarget(text, "m.yaml"));
  expect(fault?.text).toContain("power.exponent");
});

test("broken YAML names the line", () => {
  const [fault] = faults(() => parseTarget("name: x\n  bad: [1,\n", "m.yaml"));
  expect(fault?.code).toBe("A202");
  expect(fault && showPlace(fault.at)).toMatch(/^m\.yaml:\d+:\d+$/);
});

test("targets/schema.json says what the code does", async () => {
  await expect(targetJsonSchema()).toMatchFileSnapshot("../../targets/schema.json");
});

test("aliases that multiply each other are refused, not followed", () => {
  const lines = Array.from(
    { length: 9 },
    (_, i) =>
      `l${i}: &l${i} [${
        i === 0
          ? "x"
          : Array(9)
              .fill(`*l${i - 1}`)
              .join(", ")
      }]`,
  );
  expect(() => parseTarget(lines.join("\n"), "t.yaml")).toThrow(/A202.*aliases.*\n {2}at t\.yaml/);
});

test("brackets without end are refused", () => {
  expect(() => parseTarget("- ".repeat(50_000), "t.yaml")).toThrow(/A202.*nested too deeply/);
});
