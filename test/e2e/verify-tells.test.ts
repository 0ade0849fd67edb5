/** What `aimcc verify` says where numbers alone would mislead, on models that are small but odd. */

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writeProtoFile } from "../../src/data/tensor-file.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { node, port, write } from "../onnx/small-model.ts";
import { aimcc, place } from "./cli.ts";

async function compiled(path: string, policy: string, ...more: string[]): Promise<string> {
  const output = join(place(), "artifact");
  const args = ["-t", "ahwa-lora", "-o", output, "--policy", policy, ...more];
  const { status, stderr } = await aimcc("compile", path, ...args);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return output;
}

const product = (): string =>
  write({
    input: [port("x", ["batch", 3])],
    output: [port("y", ["batch", 2])],
    initializer: [toProto("fc.weight", fromNumbers("f32", [3, 2], [1, 2, 3, 4, 5, 6]))],
    node: [node("MatMul", ["x", "fc.weight"], ["y"])],
  });

describe("with no weight on a tile", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await compiled(product(), "all-digital", "--dim", "batch=2");
  });

  test("noise changes nothing", async () => {
    const { status, stderr } = await aimcc("verify", dir, "--mode", "noisy");
    expect(status).toBe(0);
    expect(stderr).toContain("note: no weight of this artifact is on a tile");
  });

  test("there is nothing to explain", async () => {
    const { status, stderr } = await aimcc("verify", dir, "--mode", "noisy", "--explain");
    expect(status).toBe(2);
    expect(stderr).toMatch(/A016.*no weight is on a tile/);
  });
});

describe("with a weight on a tile", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await compiled(product(), "all-analog", "--dim", "batch=2");
  });

  test("seeds and times mean nothing without noise", async () => {
    const note = /note: in mode quantized all chips are alike/;
    const timed = await aimcc("verify", dir, "--mode", "quantized", "--time", "1d");
    expect(timed.stderr).toMatch(note);
    const many = await aimcc("verify", dir, "--mode", "quantized", "--seeds", "2");
    expect(many.stderr).toMatch(note);
    expect((await aimcc("verify", dir, "--mode", "quantized")).stderr).not.toContain("note:");
    const noisy = await aimcc("verify", dir, "--mode", "noisy", "--seeds", "2", "--time", "1d");
    expect(noisy.stderr).not.toContain("note:");
  });

  test("seeds that would be chips that others are already are refused", async () => {
    const large = await aimcc("verify", dir, "--mode", "noisy", "--seed", "4294967296");
    expect(large.stderr).toMatch(/A001.*a whole number up to 4294967295/);
    const args = ["--mode", "noisy", "--seed", "4294967295"];
    const many = await aimcc("verify", dir, ...args, "--seeds", "2");
    expect(many.stderr).toMatch(/A015.*2 seeds from 4294967295/);
    expect((await aimcc("verify", dir, ...args)).status).toBe(0);
  });

  test("where the original is not finite, equal outputs prove little", async () => {
    const file = join(place(), "x.pb");
    const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, 1, 2, 3];
    writeProtoFile(file, "x", fromNumbers("f32", [2, 3], values));
    const { stdout } = await aimcc("verify", dir, "--inputs", `x=${file}`);
    expect(stdout).toContain("2 values of 'y' are NaN or infinite (ONNX Runtime)");
    const json = await aimcc("verify", dir, "--inputs", `x=${file}`, "--json");
    expect(JSON.parse(json.stdout).runs[0].outputs[0].notFinite).toBe(2);
  });

  test("a stream says of which inference its layers are", async () => {
    const file = join(place(), "x.pb");
    writeProtoFile(file, "x", fromNumbers("f32", [4, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]));
    const { stdout } = await aimcc("verify", dir, "--inputs", `x=${file}`);
    expect(stdout).toMatch(/1 layer, in the first inference\n/);
  });
});

test("weights of four bits run on ONNX Runtime too", async () => {
  const [k, n] = [32, 8];
  const codes = Uint8Array.from({ length: (n * k) / 2 }, (_, i) => (i * 37) % 256);
  const path = write({
    input: [port("x", [2, k])],
    output: [port("y", [2, n])],
    initializer: [
      toProto("codes", { elem: "ui8", shape: [n, 1, k / 2], data: codes }),
      toProto(
        "scales",
        fromNumbers(
          "f32",
          [n],
          Array.from({ length: n }, (_, i) => 0.1 + i / 50),
        ),
      ),
    ],
    node: [
      {
        ...node("MatMulNBits", ["x", "codes", "scales"], ["y"], {
          K: k,
          N: n,
          bits: 4,
          block_size: 32,
        }),
        domain: "com.microsoft",
      },
    ],
  });
  const dir = await compiled(path, "all-analog");
  const { status, stderr } = await aimcc("verify", dir, "--mode", "noisy", "--engine", "ort");
  expect(stderr).toBe("");
  expect(status).toBe(0);
});
