/** `aimcc targets`: what is printed is whole, and what is wrong with a file is said where it is wrong. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadDevice, loadTarget, parseTarget } from "../../src/target/load.ts";
import { aimcc, place } from "./cli.ts";

const work = place();

const listed = async (): Promise<Record<"targets" | "devices", { readonly name: string }[]>> =>
  JSON.parse((await aimcc("targets", "list", "--json")).stdout);

describe("list and show", () => {
  test("what is bundled is listed", async () => {
    const { stdout } = await aimcc("targets");
    expect(stdout).toMatch(/^ahwa-lora .* pcm-like-25us .*\nhermes-64 /m);
    const { targets, devices } = await listed();
    for (const { name } of targets) expect(loadTarget(name).name).toBe(name);
    for (const { name } of devices) expect(loadDevice(name).name).toBe(name);
  });

  test("a target is shown as a file that stands alone, with every constant and the curves", async () => {
    for (const { name } of (await listed()).targets) {
      const { stdout } = await aimcc("targets", "show", name);
      const { device } = parseTarget(stdout, "shown.yaml");
      expect(parseTarget(stdout, "shown.yaml")).toEqual(loadTarget(name));
      expect(stdout).toContain(device.programming.sigma.source);
      expect(stdout).toMatch(/^# programming noise/m);
    }
  });

  test("no constant of the arithmetic is implicit", async () => {
    const path = join(work, "retry.yaml");
    const yaml = readFileSync("targets/ahwa-lora.yaml", "utf8");
    writeFileSync(path, yaml.replace("whenClipped: saturate", "whenClipped: retry"));
    const { stdout } = await aimcc("targets", "show", path);
    for (const said of [
      "temperature is not modelled",
      "at least 1.17549e-38",
      "at least 0.0001 a weight",
      "x as at least 1e-7",
      "multiples of 1/127",
      "without samples 3",
      "0.05 a^3 - 0.2 a^2 + 0.5 a",
      "1.05 times the largest result of the samples, from 0.0625 to 10",
      "alpha doubled, 10 times at most",
      "(t + 20 s) / 20 s",
      "xi new at every t",
      "a 32767th of the column's largest",
      "x^2 of a 2080th",
      "its mean over 8 rows",
    ]) {
      expect(stdout).toContain(said);
    }
    const counters = (await aimcc("targets", "show", "hermes-64")).stdout;
    expect(counters).toMatch(/0\.04 xi of its own at each counter.*two counters.*B\/4095/s);
    expect(counters).not.toContain("z + 0.04 xi");
    const lines = stdout
      .split("\n")
      .slice(stdout.split("\n").findIndex((l) => /what devices/.test(l)));
    for (const line of lines) expect(line.length).toBeLessThan(130);
  });

  test("a device model is shown with its curves, and checks again", async () => {
    const { stdout } = await aimcc("targets", "show", "pcm-like-25us");
    expect(stdout).toContain(readFileSync("devices/pcm-like-25us.yaml", "utf8").trimEnd());
    expect(stdout).toMatch(/^# drift exponent/m);
    const path = join(work, "again.yaml");
    writeFileSync(path, stdout);
    const { stdout: checked } = await aimcc("targets", "check", path);
    expect(checked).toMatch(/a valid device model\n.*pcm-like-25us/s);
    const json = JSON.parse((await aimcc("targets", "show", "pcm-like-25us", "--json")).stdout);
    expect(json).toEqual(loadDevice("pcm-like-25us"));
  });
});

describe("check says what is wrong, and where", () => {
  const target = readFileSync("targets/hermes-64.yaml", "utf8");
  const device = readFileSync("devices/pcm-like-25us.yaml", "utf8");

  test.each([
    [target, "mvmNs:", "mvmNanoseconds:", /A202.*mvmNanoseconds.*bad\.yaml:\d+:\d+/s],
    [target, /^device: .*/m, "device: pcm-like", /A230.*'pcm-like-25us'.*bad\.yaml/s],
    [target, /^device: .*/m, "device: ./none.yaml", /A230.*none\.yaml.*check the path/s],
    [device, "value: 20,", "value: -20,", /A231.*t0Seconds.*above 0.*bad\.yaml:\d+:\d+/s],
    [device, "value: 250.0e-9", "value: .nan", /A231.*tReadSeconds.*bad\.yaml:\d+:\d+/s],
    [device, "pair: both", "pair: triple", /A231.*pair.*active.*bad\.yaml:\d+:\d+/s],
    [device, "polynomial: [0.26348", "cubic: [0.26348", /A231.*sigma.*bad\.yaml:\d+:\d+/s],
    [device, "low: 0.049", "low: 0.5", /A231.*low.*high.*bad\.yaml:\d+:\d+/s],
    [device, "low: 0.049", "below: 0.4", /A231.*below.*bad\.yaml:\d+:\d+/s],
    [device, "polynomial: [0.26348", "polynomial: [-9", /A231.*negative.*bad\.yaml/s],
    [
      device,
      /relativeTo: column/,
      'zeroBelow: { value: 25, source: "x" }\n  relativeTo: column',
      /A231.*zeroBelow.*gMax/s,
    ],
    [
      device,
      "compensation:",
      'faults:\n  stuckOff: { value: 0.6, source: "x" }\n  stuckOn: { value: 0.6, source: "x" }\ncompensation:',
      /A231.*faults.*together at most 1/s,
    ],
    [device, "polynomial: [0.26348", "polynomial: [1e300", /A231.*sigma.*finite.*bad\.yaml:\d+/s],
    [device, /- polynomial: .*/, "[]", /A231.*sigma.*expected array to have >=1.*bad\.yaml:\d+/s],
    [device, "value: 25,", 'value: "25 uS",', /A231.*gMax.*expected number.*bad\.yaml:\d+/s],
    [device, "pair: both", "temperature: 300\npair: both", /A231.*temperature.*not a known key/s],
    [device, "scale: 0.0088", "scale: -0.0088", /A231.*q.*negative.*bad\.yaml/s],
  ])("%#", async (text, from, to, message) => {
    const bad = join(work, "bad.yaml");
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    writeFileSync(bad, changed);
    const { status, stderr } = await aimcc("targets", "check", bad);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });
});
