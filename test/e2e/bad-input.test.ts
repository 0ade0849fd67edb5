import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { onnx } from "../../src/onnx/proto.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { writeSafetensors } from "../../src/weights/safetensors.ts";
import { aimcc, place } from "./cli.ts";
import { core } from "./corpus.ts";

let work = "";
beforeEach(async () => {
  work = place();
});

const model = core("distilbert_dynamic_t113hf433").model;
const external = "test/corpus/bigdec_tiny_moe_external";
const DIMS = ["--dim", "batch=1", "--dim", "sequence=4"];

/** A file of the test's own making. */
function file(name: string, content: string | Uint8Array): string {
  const path = join(work, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

function truncated(): string {
  const path = join(work, "cut.onnx");
  cpSync(model, path);
  truncateSync(path, 200_000);
  return path;
}

function withoutData(): string {
  cpSync(join(external, "model.onnx"), join(work, "model.onnx"));
  return join(work, "model.onnx");
}

/** The same model, its weights said to be outside of its folder. */
function outside(): string {
  const proto = onnx.ModelProto.decode(readFileSync(join(external, "model.onnx")));
  for (const init of proto.graph?.initializer ?? []) {
    for (const entry of init.externalData ?? []) {
      if (entry.key === "location") entry.value = "../model.onnx.data";
    }
  }
  cpSync(join(external, "model.onnx.data"), join(work, "model.onnx.data"));
  return file("inner/model.onnx", onnx.ModelProto.encode(proto).finish());
}

function smallTarget(): string {
  const text = readFileSync("targets/ahwa-lora.yaml", "utf8");
  return file(
    "small.yaml",
    text.replace("count: as-needed", "count: 3").replace(/^name: .*/m, "name: small"),
  );
}

function misfitAdapter(): string {
  const folder = join(work, "adapter");
  mkdirSync(folder);
  const config = { peft_type: "LORA", r: 4, lora_alpha: 8, target_modules: ["q_lin"] };
  writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(config));
  const path = "base_model.model.distilbert.transformer.layer.0.attention.q_lin";
  const zeros = (...shape: number[]) =>
    fromNumbers("f32", shape, new Array(shape.reduce((a, b) => a * b)).fill(0));
  const tensors = new Map([
    [`${path}.lora_A.weight`, zeros(4, 31)],
    [`${path}.lora_B.weight`, zeros(64, 4)],
  ]);
  const specs = [...tensors].map(([name, { elem, shape }]) => ({ name, elem, shape }));
  writeSafetensors(
    join(folder, "adapter_model.safetensors"),
    specs,
    ({ name }) => tensors.get(name) as ReturnType<typeof zeros>,
  );
  return folder;
}

const compileTo = (output: string, ...args: readonly string[]) =>
  aimcc("compile", ...args, "-o", output, ...(args.includes("-t") ? [] : ["-t", "ahwa-lora"]));

test.each<[string, () => readonly string[], RegExp]>([
  ["a truncated file", () => [truncated(), ...DIMS], /A10\d.*cut\.onnx/s],
  [
    "a file that is not ONNX",
    () => [file("notes.onnx", "shopping list\n"), ...DIMS],
    /A131.*text file.*notes\.onnx/s,
  ],
  ["no file", () => [join(work, "none.onnx")], /A101.*none\.onnx/s],
  [
    "an unbound dimension",
    () => [model, "--dim", "batch=1"],
    /A120.*'sequence'.*--dim sequence=N/s,
  ],
  ["a dimension that is not there", () => [model, ...DIMS, "--dim", "seq=3"], /A121.*'seq'/s],
  ["missing external data", () => [withoutData(), ...DIMS], /model\.onnx\.data/],
  ["external data outside the folder", () => [outside(), ...DIMS], /\.\.\/model\.onnx\.data/],
  [
    "an unknown target",
    () => [model, ...DIMS, "-t", "ahwa-lorra"],
    /A201.*'ahwa-lorra'.*ahwa-lora/s,
  ],
  ["an unknown pass", () => [model, ...DIMS, "--dump-ir", "asign"], /A005.*'asign'.*assign/s],
  ["an unknown policy", () => [model, ...DIMS, "--policy", "defualt"], /A204.*'default'/s],
  ["an unknown option", () => [model, ...DIMS, "--polcy", "moe"], /A001.*--polcy.*--policy/s],
  ["a dimension that is no number", () => [model, "--dim", "batch=one"], /A001.*NAME=N/s],
  ["side-branches that make no sense", () => [model, ...DIMS, "--lora", "rank=many"], /A004/],
  ["a target that is too small", () => [model, ...DIMS, "-t", smallTarget()], /A203.*3/s],
  [
    "an adapter of the wrong shape",
    () => [model, ...DIMS, "--lora", misfitAdapter()],
    /A207.*q_lin/s,
  ],
  ["data that is not there", () => [model, "--data", join(work, "nothing")], /A423/],
  ["a folder above the data", () => [model, "--data", join(model, "..")], /A423.*test_data_set_0/s],
  [
    "an operator that is not supported",
    () => ["test/corpus/fragments/deeploy_k_Integer_RMSNorm/model.onnx"],
    /iRMSNorm/,
  ],
])("%s: one message, status 2, nothing written", async (_, args, message) => {
  const output = join(work, "made", "artifact");
  const { status, stdout, stderr } = await compileTo(output, ...args());
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n\s+at .*\.ts:\d+/); // No stack traces.
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(existsSync(join(work, "made"))).toBe(false);
});

test("a directory with somebody's files is not touched", async () => {
  file("mine/thesis.txt", "years of work");
  const { status, stderr } = await compileTo(join(work, "mine"), model, ...DIMS);
  expect(stderr).toMatch(/A450/);
  expect(status).toBe(2);
  expect(readdirSync(join(work, "mine"))).toEqual(["thesis.txt"]);
});

test.each([
  [["frobnicate"], /A001.*frobnicate/s],
  [["complie"], /A001.*compile/s],
  [["compile"], /A001.*--target/s],
  [["verify", "nowhere"], /A401.*manifest\.json/s],
  [["inspect", "nowhere"], /A003/],
  [["run", "nowhere"], /A401/],
  [["verify", "nowhere", "--mode", "perfect"], /A001.*ideal/s],
  [["targets", "show", "hermes-65"], /A201.*hermes-64/s],
  [["targets", "show", "test/corpus"], /A201.*test\/corpus/s],
  [["opt", "README.md", "--passes", "simplfy"], /A005.*simplify/s],
])("aimcc %s says what is wrong", async (args, message) => {
  const { status, stdout, stderr } = await aimcc(...args);
  expect(stderr).toMatch(message);
  expect(status).toBe(2);
  expect(stdout).toBe("");
});
