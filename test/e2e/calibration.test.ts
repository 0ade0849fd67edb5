/** `compile --calibrate` and `inspect --calibration`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CalibratedWeight } from "../../src/artifact/calibration.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { aimcc, place } from "./cli.ts";
import { core } from "./corpus.ts";

const { model, data } = core("gpt2_lm_t113hf433");
const [recorded = ""] = data;
const work = place();
const compile = (name: string, ...more: string[]) =>
  aimcc("compile", model, "-t", "ahwa-lora", "-o", join(work, name), "--data", recorded, ...more);

test("what was chosen is compiled, and what each choice costs is listed", async () => {
  const ways = "dac=percentile:99,columns=sigma:2.5";
  expect(await compile("chosen", "--calibrate", ways)).toMatchObject({ status: 0, stderr: "" });
  const dir = join(work, "chosen");
  const { manifest, mapping } = loadArtifact(dir);
  expect(manifest.options["calibrate"]).toBe("dac=percentile:99,adc=max,columns=sigma:2.5");
  const json = JSON.parse((await aimcc("inspect", dir, "--calibration", "--json")).stdout);
  const weights = CalibratedWeight.array().parse(json);
  expect(weights.map((w) => w.weight).sort()).toEqual(mapping.weights.map((w) => w.name).sort());
  for (const { dac, adc, columns } of weights) {
    expect(dac.chosen.method).toBe("percentile:99");
    expect(dac.chosen.clipped).toBeGreaterThan(0);
    expect(adc.chosen.method).toBe("max");
    expect(columns.chosen.high).toBeLessThan(columns.others[0]?.high ?? 0);
  }
  const { stdout } = await aimcc("inspect", dir, "--calibration");
  expect(stdout).toMatch(/weight +of +way +full scale +clipped +SNR dB\n.*\* percentile:99 /);
  const { status } = await aimcc("run", dir, "--data", recorded, "--mode", "noisy");
  expect(status).toBe(0);
});

test.each([
  ["dac=sigma:-1", "'dac=sigma:-1' is no way to choose"],
  ["dac=percentile:101", "is no way to choose"],
  ["adc", "is no way to choose"],
  ["dacs=max", "'dacs=max' names no converter"],
  ["dac=max,dac=mse", "'dac=mse' is there twice"],
])("--calibrate %s", async (ways, message) => {
  const { status, stderr } = await compile("none", "--calibrate", ways);
  expect(status).toBe(2);
  expect(stderr).toContain("A004");
  expect(stderr).toContain(message);
});

test("a converter whose own limit clips nearly everything", async () => {
  const target = join(work, "blind.yaml");
  const { stdout } = await aimcc("targets", "show", "hermes-64");
  const bound = /(scheme: two-counter.*?bound:\s*\{\s*value: )\d+/s;
  const changed = stdout.replace(bound, "$10.0001");
  expect(changed).not.toBe(stdout);
  writeFileSync(target, changed);
  const args = ["-t", target, "-o", join(work, "blind"), "--data", recorded];
  const { status, stdout: said } = await aimcc("compile", model, ...args);
  expect(status).toBe(0);
  expect(said).toMatch(
    /sums of weight '.*' are clipped: they exceed 0\.000100.*ADC \(tile\.adc\.bound/,
  );
});

test.each(["-1", "-1d"])("the time %s is refused", async (time) => {
  const { status, stderr } = await aimcc(
    "run",
    join(work, "chosen"),
    "--mode",
    "noisy",
    "--time",
    time,
  );
  expect(status).toBe(2);
  expect(stderr).toMatch(/--time.*Expected a time such as/);
});

test("a full scale that clips nearly everything", async () => {
  const { status, stderr } = await compile("none", "--calibrate", "dac=sigma:0.001");
  expect(status).toBe(2);
  expect(stderr).toMatch(/A232.*inputs of weight '.*' are clipped.*DAC/);
});
