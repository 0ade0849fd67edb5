/**
 * Size: models that are larger than memory may be, in files that are larger than 4 GiB, and machines with many
 * small tiles. The files are sparse, so that they take no room on the disk.
 */

import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { aimcc } from "../../bench/command.ts";
import { GraphFile } from "../../bench/models/graph-file.ts";
import { modelFile } from "../../bench/models/shapes.ts";
import { blockCount, type MappedWeight } from "../../src/artifact/mapping.ts";
import { isWeightRef } from "../../src/ir/op.ts";
import { onnx } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { openSafetensors } from "../../src/weights/safetensors.ts";
import { chain, compile } from "./chain.ts";

const GIB = 2 ** 30;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "aimcc-scale-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const place = (name: string): string => join(folder, name);

describe("memory", () => {
  test("stays below 1 GiB and twice the largest weight", { timeout: 180_000 }, () => {
    const file = chain(40, 2048); // 640 MiB of weights: ONNX Runtime is not asked, each has 16 MiB.
    expect(file.bytes).toBeGreaterThan(600 * 2 ** 20);
    file.write(place("chain.onnx"), "sparse");
    const { status, stderr, peak } = compile(place("chain.onnx"), place("chain"));
    expect(status, stderr).toBe(0);
    expect(peak).toBeGreaterThan(2 ** 20);
    expect(peak).toBeLessThan(GIB + 2 * 16 * 2 ** 20);
    const tiles = openSafetensors(place("chain/tiles.safetensors"));
    const values = tiles.specs.filter((s) => !s.name.endsWith("/scale"));
    expect(values.map((s) => s.shape)).toEqual(new Array(40).fill([2048 * 2048]));
    rmSync(place("chain"), { recursive: true });
  });

  test("does not grow with weights that the exporter turned around", { timeout: 180_000 }, () => {
    const file = new GraphFile("f32");
    let x = file.input("x", "f32", [1, 4, 2048]);
    for (let i = 0; i < 40; i++) {
      const w = file.weight(`layer.${i}.weight`, [2048, 2048]);
      const turned = file.node("Transpose", `/layer.${i}/Transpose`, [w], { perm: [1, 0] });
      const alike = file.node("Identity", `/layer.${i}/Identity`, [turned]);
      x = file.node("MatMul", `/layer.${i}/MatMul`, [x, alike]);
      x = file.node("Relu", `/layer.${i}/Relu`, [x]);
    }
    file.output(x, "f32", [1, 4, 2048]);
    file.write(place("turned.onnx"), "sparse");
    const { status, stderr, peak } = compile(place("turned.onnx"), place("turned"), "--no-tiles");
    expect(status, stderr).toBe(0);
    expect(peak).toBeLessThan(500 * 2 ** 20);
  });
});

describe("files", () => {
  test("of more than 4 GiB compile without tile images", {
    timeout: 180_000,
  }, () => {
    const file = modelFile("llama-3-8b", { tokens: 16, elem: "f32", layers: 2 });
    expect(file.bytes).toBeGreaterThan(5 * GIB);
    file.write(place("large.onnx"), "sparse");
    const { status, stderr, stdout, peak } = compile(
      place("large.onnx"),
      place("large"),
      "--no-tiles",
    );
    expect(status, stderr).toBe(0);
    expect(stdout).toContain("inspect");
    expect(peak).toBeLessThan(GIB);
    const verify = aimcc(["verify", place("large"), "--model", place("large.onnx")]);
    expect(verify.status).toBe(2);
    expect(verify.stderr).toContain("A412");
  });

  test("weights beyond 4 GiB are the bytes that the model says", () => {
    const file = new GraphFile("f32");
    const x = file.input("x", "f32", [1, 100]);
    file.weight("far", [1, 2 ** 30 + 1000]);
    const last = file.weight("last", [100]);
    file.output(file.node("Add", "/Add", [x, last]), "f32", [1, 100]);
    const path = place("far.onnx");
    file.write(path, "sparse");
    const fd = openSync(`${path}.data`, "r+");
    const place64 = Math.ceil(((2 ** 30 + 1000) * 4) / 4096) * 4096;
    const values = Float32Array.from({ length: 100 }, (_, i) => i / 7);
    writeSync(fd, new Uint8Array(values.buffer), 0, 400, place64);
    closeSync(fd);
    expect(place64).toBeGreaterThan(2 ** 32);
    const { module, store } = readModel(path, { dims: {} });
    const refs = module.ops.map((op) => op.attrs["value"]).filter((v) => isWeightRef(v));
    const ref = refs.find((r) => r.weight === "last");
    if (!ref) return expect.fail("no weight 'last'");
    expect(store.load(ref).data).toEqual(values);
    const part = new Float32Array(3);
    store.read(ref, 50, part);
    expect(part).toEqual(values.slice(50, 53));
    rmSync(`${path}.data`);
  });

  test("thousands of external weights are read", () => {
    const file = new GraphFile("f32");
    let x = file.input("x", "f32", [1, 80]);
    for (let i = 0; i < 5000; i++)
      x = file.node("Add", `/Add_${i}`, [x, file.weight(`w${i}`, [80])]);
    file.output(x, "f32", [1, 80]);
    file.write(place("many.onnx"), "sparse");
    const { module } = readModel(place("many.onnx"), { dims: {} });
    expect(module.ops.length).toBe(10_000);
  });

  test("constants of more than 2 GiB reach ONNX Runtime, also from the lowered model", {
    timeout: 180_000,
  }, () => {
    const rows = 550_000;
    const file = new GraphFile("f32");
    const ids = file.input("ids", "i64", [1, 4]);
    const table = file.weight("table", [rows, 1024]);
    const x = file.node("Gather", "/Gather", [table, ids]);
    const one = Array.from({ length: 1024 }, (_, i) => Math.sin(i));
    const sum = file.node("Add", "/Add", [x, file.constant("f32", [1024], one)]);
    const weight = file.weight("weight", [1024, 64]);
    file.output(file.node("MatMul", "/MatMul", [sum, weight]), "f32", [1, 4, 64]);
    file.write(place("table.onnx"), "sparse");
    const fd = openSync(place("table.onnx.data"), "r+");
    writeSync(
      fd,
      Float32Array.from({ length: 1024 * 64 }, (_, i) => Math.sin(1.3 * i)),
      0,
      1024 * 64 * 4,
      rows * 4096,
    );
    closeSync(fd);
    const analog = ["--policy", "all-analog"];
    const { status, stderr } = compile(place("table.onnx"), place("table"), ...analog);
    expect(status, stderr).toBe(0);
    const { missing } = JSON.parse(readFileSync(place("table/programs.json"), "utf8"));
    expect(missing[0].reason).toMatch(/^its cluster would need \d+ bytes of main memory/);
    const verify = aimcc(["verify", place("table"), "--engine", "ort", "--json"]);
    expect(verify.status, verify.stderr).toBe(0);
    const lowered = place("lowered.onnx");
    const written = aimcc(["export", place("table"), "--mode", "noisy", "-o", lowered]);
    expect(written.status, written.stderr).toBe(0);
    expect(statSync(`${lowered}.data`).size).toBeGreaterThan(rows * 4096);
    for (const f of ["table.onnx.data", "table", "lowered.onnx.data"]) {
      rmSync(place(f), { recursive: true });
    }
  });

  test("an ONNX file of 2 GiB is refused with a way out", () => {
    const path = place("huge.onnx");
    const fd = openSync(path, "w");
    ftruncateSync(fd, 2 ** 31);
    closeSync(fd);
    const { status, stderr } = compile(path, place("huge"));
    expect(status).toBe(2);
    expect(stderr).toContain("A118");
    expect(stderr).toContain("save_as_external_data");
    rmSync(path);
  });

  test("large values inside a model are found where they are, small ones are kept", () => {
    const values = Float32Array.from({ length: 5000 }, (_, i) => i / 3);
    const raw = new Uint8Array(values.buffer);
    const tensor = (name: string, n: number) => ({
      name,
      dataType: 1,
      dims: [n],
      rawData: raw.subarray(0, 4 * n),
    });
    const shape = { dim: [{ dimValue: 1 }] };
    const graph = {
      name: "g",
      node: [
        {
          opType: "Constant",
          output: ["c"],
          attribute: [{ name: "value", type: 4, t: tensor("", 3000) }],
        },
        {
          opType: "Concat",
          input: ["a", "b", "c"],
          output: ["y"],
          attribute: [{ name: "axis", type: 2, i: 0 }],
        },
      ],
      initializer: [tensor("a", 5000), tensor("b", 100)],
      output: [{ name: "y", type: { tensorType: { elemType: 1, shape } } }],
    };
    const path = place("inside.onnx");
    const model = { irVersion: 8, opsetImport: [{ version: 17 }], graph };
    writeFileSync(path, onnx.ModelProto.encode(model).finish());
    const { module, store } = readModel(path, { dims: {} });
    const refs = module.ops.map((op) => op.attrs["value"]).filter((v) => isWeightRef(v));
    expect(refs.map((r) => r.type.shape[0]).sort()).toEqual([100, 3000, 5000]);
    for (const ref of refs) {
      expect(store.load(ref).data).toEqual(values.slice(0, ref.type.shape[0] ?? 0));
    }
  });
});

test("the IR does not grow with the number of tiles", { timeout: 180_000 }, () => {
  chain(6, 2048).write(place("six.onnx"), "sparse");
  const small = readFileSync("targets/ahwa-lora.yaml", "utf8")
    .replace(/(rows:.*?value: *)512/s, "$1128")
    .replace(/(cols:.*?value: *)512/s, "$1128");
  writeFileSync(place("small.yaml"), small);
  const dumps = ["ahwa-lora", place("small.yaml")].map((target) => {
    const out = place("six");
    const args = [
      "compile",
      place("six.onnx"),
      "-t",
      target,
      "-o",
      out,
      "--no-tiles",
      "--tokens",
      "1",
    ];
    const { status, stderr } = aimcc(args);
    expect(status, stderr).toBe(0);
    const mapping = JSON.parse(readFileSync(join(out, "mapping.json"), "utf8")) as {
      weights: MappedWeight[];
    };
    const [last = ""] = readdirSync(join(out, "ir")).filter((f) => f.endsWith("schedule.mlir"));
    const text = readFileSync(join(out, "ir", last), "utf8");
    return { text, tiles: mapping.weights.reduce((n, w) => n + blockCount(w), 0) };
  });
  const [large, fine] = dumps;
  if (!large || !fine) return expect.fail("two dumps");
  expect(large.tiles).toBe(6 * 16);
  expect(fine.tiles).toBe(6 * 256);
  const ops = (text: string): number => text.match(/^ *(?:%.*= )?"/gm)?.length ?? 0;
  expect(ops(fine.text)).toBe(ops(large.text));
  // Only the places of the cuts are more, and they grow with the square root of the number of tiles.
  expect(fine.text.length).toBeLessThan(1.3 * large.text.length);
});
