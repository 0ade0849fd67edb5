/** Infinite values and NaN: refused on tiles and in what converters read, told where they stay digital. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writeProtoFile } from "../../src/data/tensor-file.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { node, port, write } from "../onnx/small-model.ts";
import { aimcc, place } from "./cli.ts";

const [NAN, INFINITY] = [Number.NaN, Number.POSITIVE_INFINITY];

/** (table[ids] + bias + mask) W. */
function model(table: readonly number[], w: readonly number[]): string {
  const constant = (name: string, shape: readonly number[], values: readonly number[]) =>
    toProto(name, fromNumbers("f32", shape, values));
  return write({
    input: [port("ids", [2], "i64")],
    output: [port("y", [2, 2])],
    initializer: [
      constant("wte.weight", [3, 2], table),
      constant("bias", [2], [0, 1]),
      constant("mask", [2, 2], [0, -INFINITY, 0, 0]),
      constant("fc.weight", [2, 2], w),
    ],
    node: [
      node("Gather", ["wte.weight", "ids"], ["e"]),
      node("Add", ["e", "bias"], ["b"]),
      node("Add", ["b", "mask"], ["m"]),
      node("MatMul", ["m", "fc.weight"], ["y"]),
    ],
  });
}

test("in a table that stays digital they are counted, masks are not", async () => {
  const output = join(place(), "artifact");
  const path = model([NAN, 1, 2, NAN, INFINITY, 3], [1, 2, 3, 4]);
  const { status, stdout } = await aimcc("compile", path, "-t", "ahwa-lora", "-o", output);
  expect(status).toBe(0);
  expect(stdout).toMatch(/odd values +constant 'wte.weight' has 2 NaN and 1 infinite values\n/);
  expect(stdout).not.toContain("'mask'");
  const { remarks } = JSON.parse(readFileSync(join(output, "manifest.json"), "utf8"));
  const text = "constant 'wte.weight' has 2 NaN and 1 infinite values";
  expect(remarks).toContainEqual({ pass: "values", text, nodes: ["gather_of_e"] });
});

test("on tiles they are refused, with name and counts", async () => {
  const output = join(place(), "artifact");
  const path = model([1, 2, 3, 4, 5, 6], [1, NAN, -INFINITY, INFINITY]);
  const args = ["-t", "ahwa-lora", "-o", output, "--policy", "all-analog"];
  const { status, stderr } = await aimcc("compile", path, ...args);
  expect(status).toBe(2);
  expect(stderr).toMatch(/A209.*'fc.weight' has 1 NaN and 2 infinite values/);
});

describe("in inputs", () => {
  const dir = place();
  const output = join(dir, "artifact");
  const x = `x=${join(dir, "x.pb")}`;

  beforeAll(async () => {
    const path = write({
      input: [port("x", [2, 3])],
      output: [port("y", [2, 2])],
      initializer: [toProto("fc.weight", fromNumbers("f32", [3, 2], [1, 2, 3, 4, 5, 6]))],
      node: [node("MatMul", ["x", "fc.weight"], ["y"])],
    });
    mkdirSync(join(dir, "samples"));
    const values = fromNumbers("f32", [2, 3], [1, 2, 3, 4, NAN, -INFINITY]);
    for (const file of ["x.pb", "samples/input_0.pb"]) writeProtoFile(join(dir, file), "x", values);
    const args = ["-t", "ahwa-lora", "-o", output, "--data", join(dir, "samples")];
    const { status, stdout } = await aimcc("compile", path, ...args, "--policy", "all-analog");
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /odd values +input 'x' holds 1 NaN of 6 values, the first at \[1, 1\]\n/,
    );
  });

  test.each([
    ["verify", "noisy"],
    ["verify", "quantized"],
    ["run", "noisy"],
  ])("%s --mode %s refuses them, with name and count", async (command, mode) => {
    const { status, stderr } = await aimcc(command, output, "--mode", mode, "--inputs", x);
    expect(status).toBe(2);
    expect(stderr).toMatch(/A429.*'x' holds 1 NaN of 6 values, the first at \[1, 1\]/);
  });

  test("ideal takes them as ONNX Runtime does, and says so", async () => {
    const { status, stderr } = await aimcc("verify", output, "--inputs", x);
    expect(status).toBe(0);
    expect(stderr).toMatch(/note: input 'x' holds 1 NaN/);
  });
});

test("a weight of zeros and an original that is 0 throughout are told in words, not as NaN", async () => {
  const output = join(place(), "artifact");
  const path = write({
    input: [port("x", [2, 3])],
    output: [port("y", [2, 2])],
    initializer: [toProto("fc.weight", fromNumbers("f32", [3, 2], [0, 0, 0, 0, 0, 0]))],
    node: [node("MatMul", ["x", "fc.weight"], ["y"])],
  });
  await aimcc("compile", path, "-t", "ahwa-lora", "-o", output, "--policy", "all-analog");
  const noisy = ["--mode", "noisy", "--seeds", "2", "--time", "1s"];
  const { status, stdout } = await aimcc("verify", output, ...noisy, "--explain");
  expect(status).toBe(0);
  expect(stdout).toContain("the original's 'y' is 0 throughout");
  expect(stdout).toContain("the loss is no number");
  expect(stdout).not.toContain("NaN");
  expect((await aimcc("verify", output)).stdout).toContain("agrees");
});

/** x[2, 3] W[3, 2] on tiles of a target, after samples of ones. */
async function onTiles(w: readonly number[], target = "ahwa-lora"): Promise<string> {
  const output = join(place(), "artifact");
  const path = write({
    input: [port("x", [2, 3])],
    output: [port("y", [2, 2])],
    initializer: [toProto("fc.weight", fromNumbers("f32", [3, 2], w))],
    node: [node("MatMul", ["x", "fc.weight"], ["y"])],
  });
  const samples = place();
  writeProtoFile(join(samples, "input_0.pb"), "x", fromNumbers("f32", [2, 3], Array(6).fill(1)));
  const args = ["-t", target, "-o", output, "--policy", "all-analog", "--data", samples];
  expect((await aimcc("compile", path, ...args)).stderr).toBe("");
  return output;
}

test("weights near the end of single precision are refused where a converter's result may be infinite", async () => {
  const output = await onTiles([3.3e38, 1, -3.3e38, 2, 3.3e38, 3]);
  for (const mode of ["quantized", "noisy"]) {
    const { status, stderr } = await aimcc("verify", output, "--mode", mode);
    expect(status).toBe(2);
    expect(stderr).toMatch(/A415.*'fc.weight' reaches 3.30e\+38.*\n.*matmul_of_y/);
  }
  expect((await aimcc("run", output, "--mode", "ideal")).status).toBe(0);
});

test("a column of zeros beside noise that is relative to the layer gives numbers", async () => {
  const bundled = readFileSync("targets/ahwa-lora.yaml", "utf8");
  const target = join(place(), "target.yaml");
  writeFileSync(target, bundled.replace(/^device: .*$/m, "device: additive-layer"));
  const output = await onTiles([1, 0, 2, 0, 3, 0], target);
  const noisy = ["--mode", "noisy", "--seeds", "3", "--json"];
  const { runs } = JSON.parse((await aimcc("verify", output, ...noisy)).stdout);
  for (const { outputs } of runs) {
    expect(outputs[0].maxError).toBeGreaterThan(0);
    expect(outputs[0].relative).toBeLessThan(1);
  }
});
