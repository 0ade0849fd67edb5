/**
 * How compiling scales, against `cp` of the same bytes in the same run:
 *
 *   npm run bench:scale [-- FOLDER]
 *
 * Writes models of known shapes into FOLDER (a temporary one if not given; 9 GB are needed for a while), and
 * removes them. Prints a table in Markdown, which docs/benchmarks.md quotes.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { aimcc, type Measured } from "./command.ts";
import type { Contents } from "./models/graph-file.ts";
import { type ModelName, type ModelOptions, modelFile } from "./models/shapes.ts";

interface Case {
  readonly title: string;
  readonly model: ModelName;
  readonly options: ModelOptions;
  readonly policy: string;
  /** Rows and columns of a tile; the target's own if not given. */
  readonly tile?: number;
}

const IMAGES: readonly Case[] = [
  {
    title: "BERT-base, f32",
    model: "bert-base",
    options: { tokens: 128, elem: "f32" },
    policy: "default",
  },
  {
    title: "LLaMA-3-8B cut to 2 layers, f16, head on tiles",
    model: "llama-3-8b",
    options: { tokens: 128, elem: "f16", layers: 2 },
    policy: "all-analog",
  },
];

const SHAPES: readonly Case[] = [
  {
    title: "LLaMA-3-8B, f32",
    model: "llama-3-8b",
    options: { tokens: 128, elem: "f32" },
    policy: "default",
  },
  {
    title: "LLaMA-3-8B, f32, on tiles of 128 x 128",
    model: "llama-3-8b",
    options: { tokens: 128, elem: "f32" },
    policy: "default",
    tile: 128,
  },
  {
    title: "BERT-large, f32",
    model: "bert-large",
    options: { tokens: 128, elem: "f32" },
    policy: "default",
  },
  {
    title: "OLMoE-1B-7B, f16",
    model: "olmoe-1b-7b",
    options: { tokens: 128, elem: "f16" },
    policy: "moe",
  },
  {
    title: "OLMoE-1B-7B as a loop over experts, f16",
    model: "olmoe-1b-7b-loop",
    options: { tokens: 128, elem: "f16" },
    policy: "moe",
  },
];

const [given] = process.argv.slice(2);
const folder = given === undefined ? mkdtempSync(join(tmpdir(), "aimcc-bench-")) : resolve(given);
const path = join(folder, "model.onnx");
const GIB = 2 ** 30;

try {
  row("model", "weights", "cp", "compile", "compile / cp", "images: share of cp's rate", "peak");
  row(..."-------");
  for (const c of IMAGES) withImages(c);
  print("");
  row("model", "weights", "compile --no-tiles", "peak");
  row(..."----");
  for (const c of SHAPES) withoutImages(c);
} finally {
  rmSync(path, { force: true });
  rmSync(`${path}.data`, { force: true });
  rmSync(join(folder, "target.yaml"), { force: true });
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
}

function withImages(c: Case): void {
  const bytes = write(c, "random");
  const copy = timedCopy();
  const whole = compiled(c);
  const bare = compiled(c, "--no-tiles");
  const images = whole.seconds - bare.seconds;
  row(
    c.title,
    gib(bytes),
    seconds(copy),
    seconds(whole.seconds),
    (whole.seconds / copy).toFixed(2),
    (copy / images).toFixed(2),
    gib(whole.peak),
  );
}

function withoutImages(c: Case): void {
  const bytes = write(c, "sparse");
  const { seconds: time, peak } = compiled(c, "--no-tiles");
  row(c.title, gib(bytes), seconds(time), gib(peak));
}

/** Gives the bytes of the weights. */
function write({ model, options }: Case, contents: Contents): number {
  const file = modelFile(model, options);
  file.write(path, contents);
  spawnSync("sync");
  return file.bytes;
}

function timedCopy(): number {
  const copy = join(folder, "copy.data");
  const before = performance.now();
  spawnSync("cp", [`${path}.data`, copy]);
  const time = (performance.now() - before) / 1000;
  rmSync(copy);
  spawnSync("sync");
  return time;
}

function compiled({ policy, tile }: Case, ...more: string[]): Measured {
  const out = join(folder, "artifact");
  const target = tile === undefined ? "ahwa-lora" : smaller(tile);
  const args = ["compile", path, "-t", target, "-o", out, "--policy", policy, ...more];
  const result = aimcc(args);
  rmSync(out, { recursive: true, force: true });
  spawnSync("sync");
  if (result.status !== 0) throw new Error(result.stderr);
  return result;
}

/** The bundled machine with smaller tiles, as a file. */
function smaller(tile: number): string {
  const file = join(folder, "target.yaml");
  const whole = readFileSync(join(import.meta.dirname, "../targets/ahwa-lora.yaml"), "utf8");
  const [rows, cols] = [/(rows:.*?value: *)512/s, /(cols:.*?value: *)512/s];
  writeFileSync(file, whole.replace(rows, `$1${tile}`).replace(cols, `$1${tile}`));
  return file;
}

function row(...cells: readonly string[]): void {
  print(`| ${cells.map((c) => (c === "-" ? "---" : c)).join(" | ")} |`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(2)} GiB`;
}

function seconds(s: number): string {
  return `${s.toFixed(1)} s`;
}
