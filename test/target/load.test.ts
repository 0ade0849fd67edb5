/** Loading targets: what is bundled, what is refused, and how a user is told. */

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { type Diagnostic, InputError, showPlace } from "../../src/diag/diagnostic.ts";
import { deviceJsonSchema, targetJsonSchema } from "../../src/target/json-schema.ts";
import {
  listDevices,
  listTargets,
  loadDescribed,
  loadDevice,
  loadTarget,
  parseTarget,
  targetsFolder,
} from "../../src/target/load.ts";

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
  expect(listTargets()).toEqual(["ahwa-lora", "hermes-64", "spatz-lora"]);
  for (const name of listTargets()) expect(loadTarget(name).name).toBe(name);
});

test("the bundled devices load under their file's name", () => {
  expect(listDevices()).toEqual([
    "additive-column",
    "additive-layer",
    "afm-pcm",
    "hermes-one-device",
    "hermes-two-device",
    "ideal",
    "multiplicative",
    "pcm-like-25us",
  ]);
  for (const name of listDevices()) expect(loadDevice(name).name).toBe(name);
});

test("every number of a bundled target or device stands beside a source or in a curve that has one", () => {
  const visit = (node: unknown, sourced: boolean, path: string): void => {
    if (typeof node === "number") expect(sourced, path).toBe(true);
    if (typeof node !== "object" || node === null) return;
    const here = "source" in node && typeof node.source === "string" && node.source.length > 10;
    for (const [key, child] of Object.entries(node)) {
      const inCurve =
        ["pieces", "polynomial", "logarithmic", "power"].includes(key) || /^\d+$/.test(key);
      visit(child, here || (sourced && inCurve) || path.includes(".pieces"), `${path}.${key}`);
    }
  };
  for (const name of listTargets()) visit(loadTarget(name), false, name);
  for (const name of listDevices()) visit(loadDevice(name), false, name);
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
  expect(fault?.hint).toContain("ahwa-lora, hermes-64, spatz-lora");
  expect(faults(() => loadTarget("./nowhere.yaml"))[0]?.text).toContain("./nowhere.yaml");
});

test("where either will do, an unknown name is near to a target or a device", () => {
  const [fault] = faults(() => loadDescribed("pcm-like"));
  expect(fault?.code).toBe("A201");
  expect(fault?.text).toBe(
    "there is no target or device called 'pcm-like'; the nearest is 'pcm-like-25us'",
  );
});

test("a misspelt key is named at its line and column", () => {
  const text = YAML.replace("tcdmKiB:", "tcdmKB:");
  const told = faults(() => parseTarget(text, "mine.yaml"));
  const line = lineOf(text, "tcdmKB:");
  expect(told.map((d) => `${showPlace(d.at)} ${d.text}`)).toContain(
    `mine.yaml:${line}:3 'cluster.tcdmKB' is not a known key`,
  );
  const missing = told.find((d) => d.text.includes("'cluster.tcdmKiB'"));
  expect(missing?.text).toBe("'cluster.tcdmKiB' is missing");
});

test("a value of the wrong kind says what is expected", () => {
  const text = YAML.replace("value: 256\n", "value: many\n");
  const [fault, ...more] = faults(() => parseTarget(text, "mine.yaml"));
  expect(more).toEqual([]);
  expect(fault?.code).toBe("A202");
  expect(fault?.text).toContain("'tile.mvmNs.value': expected number");
  const line = lineOf(text, "value: many");
  const column = (text.split("\n")[line - 1] ?? "").indexOf("value: many") + 1;
  expect(fault && showPlace(fault.at)).toBe(`mine.yaml:${line}:${column}`);
});

test.each([
  ["dac", 1, "'tile.dac.bits.value': Too small"],
  ["adc", 1, "'tile.adc.bits': a symmetric converter needs 2 bits"],
  ["adc", 2000, "'tile.adc.bits.value': Too big"],
])("%s of %s bits is refused", (converter, bits, message) => {
  const of = new RegExp(`(  ${converter}:.*?bits: \\{ value: )8`, "s");
  const text = YAML.replace(of, `$1${bits}`);
  expect(faults(() => parseTarget(text, "m.yaml")).map((f) => f.text)[0]).toContain(message);
});

test.each([
  [
    "a unit of nothing",
    /(gMax:\s*\{\s*value: )25/,
    "$11e-40",
    "'gMax.value': expected a number above 0",
  ],
  ["a huge deviation", "[0.26348", "[1e20", "more than 100 times gMax"],
  ["a negative exponent", /logarithmic: \[0.0244.*\n.*\n.*/, "polynomial: [-1]", "mean drift"],
  ["two documents", /^pair:/m, "---\npair:", "a second document begins here"],
])("%s is refused", (_, from, to, message) => {
  const { device } = ownDevice(CELL.replace(from, to));
  const told = faults(() => loadDevice(device)).map((f) => f.text);
  expect(told.join("; ")).toContain(message);
});

test("a device model that is given as a target is told as one", () => {
  const { device } = ownDevice(CELL);
  const [fault] = faults(() => loadTarget(device));
  expect(fault?.text).toBe("this is a device model, not a target");
  expect(fault?.hint).toContain(`device: ${device}`);
});

test("more parallel devices than noise has addresses for are refused", () => {
  const { device } = ownDevice(CELL.replace(/(devicesPerPolarity:\s*\{\s*value: )1/, "$1257"));
  expect(faults(() => loadDevice(device))[0]?.text).toContain(
    "'devicesPerPolarity.value': Too big",
  );
});

test("a constant without a source is refused", () => {
  const told = faults(() =>
    parseTarget(YAML.replace(/(rows: \{ value: 512), source: .*\}/, "$1 }"), "m.yaml"),
  );
  expect(told[0]?.text).toContain("tile.rows.source");
});

/** A target file of the user's with a device file beside it. */
function ownDevice(text: string): { readonly target: string; readonly device: string } {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-target-"));
  const [target, device] = [join(folder, "mine.yaml"), join(folder, "cell.yaml")];
  writeFileSync(target, YAML.replace("device: pcm-like-25us", "device: ./cell.yaml"));
  writeFileSync(device, text);
  return { target, device };
}

const CELL = readFileSync(join(targetsFolder(), "../devices/pcm-like-25us.yaml"), "utf8");

test("a device file is looked up beside the target that names it", () => {
  const { target } = ownDevice(CELL.replace("name: pcm-like-25us", "name: my-cell"));
  expect(loadTarget(target).device.name).toBe("my-cell");
});

test("a device that does not exist is told with the file that names it", () => {
  const text = YAML.replace("device: pcm-like-25us", "device: pcm-like-25");
  const [fault] = faults(() => parseTarget(text, "mine.yaml"));
  expect(fault?.code).toBe("A230");
  expect(fault?.text).toContain("the nearest is 'pcm-like-25us'");
  expect(fault && showPlace(fault.at)).toBe("mine.yaml");
});

test.each([
  ["exponent: -0.65", "exponent: much", "power.exponent"],
  ["- polynomial: [0.26348, 1.965, -1.1731]", "- polynomial: []", "polynomial"],
  ["- polynomial: [0.26348", "- below: 0.5\n        polynomial: [0.26348", "needs a 'below'"],
  ["pair: both", "pair: twins", "pair"],
])("a device file with %s as %s is refused", (right, wrong, told) => {
  const { target, device } = ownDevice(CELL.replace(right, wrong));
  const [fault] = faults(() => loadTarget(target));
  expect(fault?.code).toBe("A231");
  expect(fault?.text).toContain(told);
  expect(fault && showPlace(fault.at)).toContain(device);
});

/** What users get wrong first, and what they are told: the whole of it. */
test.each<[string, string | RegExp, string, string]>([
  [
    "a constant without its source",
    /gMax:\n.*\n.*\n.*\n {2}\}/,
    "gMax: 25",
    `'gMax': a constant has a source: { value: 25, source: "where it is from" }`,
  ],
  [
    "a misspelt kind of curve",
    "- polynomial: [0.26348",
    "- polynom: [0.26348",
    "'programming.sigma.pieces.0': it has none of polynomial, logarithmic, power: one is needed",
  ],
  [
    "two kinds of curve",
    "- polynomial: [0.26348",
    "- logarithmic: [1]\n        polynomial: [0.26348",
    "'programming.sigma.pieces.0': it has polynomial and logarithmic: only one is possible",
  ],
  [
    "a coefficient that is no number",
    "- polynomial: [0.26348",
    "- polynomial: [.nan",
    "'programming.sigma.pieces.0.polynomial.0': expected number, received NaN",
  ],
  ["a misspelt clamp", "high: 0.2", "hihg: 0.2", "'flicker.q.pieces.0.hihg' is not a known key"],
  [
    "a deviation below 0",
    "[0.26348, 1.965,",
    "[0.26348, -1.965,",
    "'programming.sigma.pieces': a standard deviation must be finite and not negative for x from 0 to 1: " +
      "it is -0.0004747 at x = 0.125",
  ],
  [
    "percent for a share",
    "compensation:",
    "faults: { stuckOff: { value: 2, source: x }, stuckOn: { value: 0, source: x } }\ncompensation:",
    "'faults.stuckOff.value': expected a share, from 0 to 1",
  ],
  [
    "two schedules",
    "readOut: one-hot",
    "readOut: one-hot\n  schedule: { everySeconds: { value: 9, source: x }, atSeconds: [9], source: x }",
    "'compensation.schedule': it has everySeconds and atSeconds: only one is possible",
  ],
])("%s is told in plain words", (_, from, to, told) => {
  const { device } = ownDevice(CELL.replace(from, to));
  expect(faults(() => loadDevice(device))[0]?.text).toBe(told);
});

test("what docs/guide/add-a-device.md shows of a file is valid", () => {
  const guide = readFileSync(join(targetsFolder(), "../docs/guide/add-a-device.md"), "utf8");
  const shown = parse(/```yaml\n(.*?)```/s.exec(guide)?.[1] ?? "");
  const cell = parse(CELL);
  const whole = { ...cell, ...shown, programming: { ...cell.programming, ...shown.programming } };
  const device = loadDevice(ownDevice(stringify(whole)).device);
  expect(device.faults?.stuckOff.value).toBe(0.006);
  expect(device.programming.verify?.iterations.value).toBe(55);
});

test("a device file with a misspelt 'programming' is still taken for one", () => {
  const { device } = ownDevice(CELL.replace("programming:", "programing:"));
  const told = faults(() => loadDescribed(device));
  expect(told.map((f) => f.code)).toEqual(["A231", "A231"]);
  expect(told.map((f) => f.text)).toEqual([
    "'programming' is missing",
    "'programing' is not a known key",
  ]);
});

test("an empty file is said to be empty", () => {
  const [fault] = faults(() => parseTarget("# nothing\n", "m.yaml"));
  expect(fault?.text).toBe("there is nothing in this file");
});

test("broken YAML names the line", () => {
  const [fault] = faults(() => parseTarget("name: x\n  bad: [1,\n", "m.yaml"));
  expect(fault?.code).toBe("A202");
  expect(fault && showPlace(fault.at)).toMatch(/^m\.yaml:\d+:\d+$/);
});

test("the schemas of targets and devices say what the code does", async () => {
  await expect(targetJsonSchema()).toMatchFileSnapshot("../../targets/schema.json");
  await expect(deviceJsonSchema()).toMatchFileSnapshot("../../devices/schema.json");
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
