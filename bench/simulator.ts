/**
 * The simulator against ONNX Runtime in f32 on the same model, one thread each, and what a second thread is worth:
 *
 *   npm run bench:simulator [-- CASE ...]
 *
 * CASE is one of the names below; all of them if none is given. Each runs in a process of its own, so that its peak
 * memory is its own. `device-reads` is no model but the oracle of read noise, which draws it for every device.
 * Prints tables in Markdown, which docs/benchmarks.md quotes.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { programOf } from "../src/cli/program-of.ts";
import type { Engine } from "../src/compare/engine.ts";
import { drawInputs } from "../src/data/sample.ts";
import { OrtEngine } from "../src/lower/ort-engine.ts";
import { openModel } from "../src/reference/run.ts";
import { type Artifact, loadArtifact } from "../src/sim/load.ts";
import type { Mode } from "../src/sim/program-tiles.ts";
import { type Chip, Simulator } from "../src/sim/simulate.ts";
import { emptyTiles, programmed } from "../src/sim/tile-memory.ts";
import { DeviceReads } from "../test/sim/device-reads.ts";
import { gaussians, uniform } from "../test/sim/one-tile.ts";
import { aimcc } from "./command.ts";
import { GraphFile } from "./models/graph-file.ts";
import { linear } from "./models/parts.ts";
import { modelFile } from "./models/shapes.ts";

const TOKENS = 128;
const HOUR = 3600;

interface Case {
  /** Writes the model, unless it is a file of the project. */
  readonly model: string | ((path: string) => void);
  readonly policy: string;
  readonly dims?: readonly string[];
}

/** One product x[128, rows] W[rows, cols]. */
const product =
  (rows: number, cols: number) =>
  (path: string): void => {
    const file = new GraphFile("f32");
    const x = file.input("x", "f32", [1, TOKENS, rows]);
    file.output(linear(file, "/dense", x, [rows, cols], false), "f32", [1, TOKENS, cols]);
    file.write(path, "random");
  };

const sample = (name: string, policy: string): Case => ({
  model: join("samples", name, "model.onnx"),
  policy,
  dims: ["--dim", "batch=1", "--dim", `sequence=${TOKENS}`],
});

const CASES: Readonly<Record<string, Case>> = {
  "768x768": { model: product(768, 768), policy: "all-analog" },
  "768x3072": { model: product(768, 3072), policy: "all-analog" },
  "gpt2-bytes": sample("gpt2-bytes", "default"),
  "olmoe-bytes": sample("olmoe-bytes", "moe"),
  "bert-base": {
    model: (path) => modelFile("bert-base", { tokens: TOKENS, elem: "f32" }).write(path, "random"),
    policy: "default",
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { inside: { type: "boolean", default: false } },
});
const DRAWN = "device-reads";
const asked = positionals.length > 0 ? positionals : [...Object.keys(CASES), DRAWN];
const names = asked.filter((name) => name !== DRAWN);
if (values.inside) await measure(names[0] ?? "");
else {
  if (names.length > 0) {
    row(
      ...["model", "weights on tiles", "ONNX Runtime", "engine", "ideal", "quantized", "noisy"],
      ...["noisy, two threads", "program", "another time", "peak", "6 W + 512 MiB"],
    );
    row(..."------------");
    for (const name of names) inProcess(name);
  }
  if (asked.includes(DRAWN)) drawn();
}

/** Read noise drawn for every device of one product and every vector, on one thread. */
function drawn(): void {
  row("drawn for every device", "draws", "time", "processor time", "each draw");
  row(..."-----");
  for (const [rows, cols] of [
    [768, 768],
    [768, 3072],
  ] as const) {
    const weights = gaussians(rows * cols, 1).map((g) => Math.tanh(g / 4));
    const reads = new DeviceReads({ weights, rows, cols, sigma: 0.0175 });
    const x = uniform(TOKENS * rows, 2);
    const once = () => {
      for (let i = 0; i < TOKENS; i++) reads.sums(x.subarray(i * rows, (i + 1) * rows), i, 1);
    };
    once();
    const [began, used] = [performance.now(), process.cpuUsage()];
    once();
    const wall = performance.now() - began;
    const { user, system } = process.cpuUsage(used);
    const busy = (user + system) / 1000;
    const draws = rows * cols * TOKENS;
    const each = `${((busy * 1e6) / draws).toFixed(2)} ns`;
    row(`${rows} x ${cols}`, `${(draws / 1e6).toFixed(1)} M`, ms(wall), ms(busy), each);
  }
}

function ms(n: number): string {
  return `${n.toFixed(0)} ms`;
}

function inProcess(name: string): void {
  const node = ["--import", "tsx", import.meta.filename, "--inside", name];
  const { status, stdout, stderr } = spawnSync(process.execPath, node, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  process.stdout.write(stdout);
}

async function measure(name: string): Promise<void> {
  const c = CASES[name];
  if (!c) throw new Error(`the cases are ${Object.keys(CASES).join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "aimcc-bench-"));
  try {
    const own = join(folder, "model.onnx");
    if (typeof c.model !== "string") c.model(own);
    const model = typeof c.model === "string" ? c.model : own;
    const dir = join(folder, "artifact");
    const compile = ["compile", model, "-t", "ahwa-lora", "-o", dir, "--policy", c.policy];
    const compiled = aimcc([...compile, ...(c.dims ?? [])]);
    if (compiled.status !== 0) throw new Error(compiled.stderr);
    await compare(name, loadArtifact(dir), model);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(name: string, artifact: Artifact, model: string): Promise<void> {
  const ports = artifact.manifest.model.inputs;
  const inputs = [drawInputs(ports, 0)];
  const weights = artifact.mapping.weights.reduce((n, w) => n + w.rows * w.cols, 0);
  const simulator = new Simulator(artifact, { inputs, threads: 1 });
  const wasm = await engineTimes(simulator);
  await simulator.close();
  const programming = programTimes(artifact);
  // Before ONNX Runtime has taken any.
  const peak = process.resourceUsage().maxRSS / 1024;
  const session = await openModel(model, { threads: 1 });
  const original = await best(() => session.run(new Map(inputs[0])));
  await session.close();
  const program = programOf(artifact, "program", model);
  const lowered = new OrtEngine(artifact, program, { inputs, threads: 1 });
  const ort = await engineTimes(lowered);
  await lowered.close();
  const [, , one = 1] = wasm;
  const count = Math.max(4, Math.min(32, 2 * Math.ceil(200 / one)));
  const stream = Array.from({ length: count }, (_, i) => drawInputs(ports, i));
  const gains = [
    await gain((threads) => new Simulator(artifact, { inputs: stream, threads })),
    await gain((threads) => new OrtEngine(artifact, program, { inputs: stream, threads })),
  ].map((g) => `${g.toFixed(2)}x`);
  const by = (ms: number) => `${ms.toFixed(1)} ms (${(ms / original).toFixed(1)}x)`;
  const total = artifact.manifest.model.parameters;
  const facts = [name, `${(weights / 1e6).toFixed(2)} M`, `${original.toFixed(1)} ms`];
  const goal = (6 * total) / 2 ** 20 + 512;
  const memory = [`${peak.toFixed(0)} MiB`, `${goal.toFixed(0)} MiB`];
  const rest = [...programming.map(ms), ...memory];
  row(...facts, "wasm", ...wasm.map(by), gains[0] ?? "", ...rest);
  row(...facts.map(() => ""), "ort", ...ort.map(by), gains[1] ?? "", "", "", "", "");
}

/** Milliseconds of one inference: ideal, quantized, noisy; the chip is programmed before. */
async function engineTimes(engine: Engine): Promise<readonly number[]> {
  const times: number[] = [];
  for (const mode of ["ideal", "quantized", "noisy"] as const) {
    times.push(await best(() => engine.run(chipOf(mode), () => undefined)));
  }
  return times;
}

function chipOf(mode: Mode): Chip {
  return { mode, seed: 1, timeSeconds: HOUR, whole: true };
}

/** How many times as fast a noisy stream is with two threads as with one. */
async function gain(open: (threads: number) => Engine): Promise<number> {
  const times: number[] = [];
  for (const threads of [1, 2]) {
    const engine = open(threads);
    times.push(await best(() => engine.run(chipOf("noisy"), () => undefined)));
    await engine.close();
  }
  const [one = 0, two = 1] = times;
  return one / two;
}

/** Milliseconds to program all tiles, right after which they are read, and to look at them an hour later. */
function programTimes(artifact: Artifact): readonly number[] {
  const memory = emptyTiles(artifact, 1);
  return [0, HOUR].map((timeSeconds) => {
    const how = { mode: "noisy", seed: 2, timeSeconds } as const;
    return Math.min(
      ...Array.from({ length: 2 }, () => {
        const began = performance.now();
        programmed(memory, artifact, how);
        return performance.now() - began;
      }),
    );
  });
}

/**
 * The shortest of up to a hundred runs, of as many as fit into some seconds. Before that, one run and as many more as fit into
 * two seconds do not count: until then V8 still compiles what it has found to be used often.
 */
async function best(run: () => Promise<unknown>): Promise<number> {
  const warm = performance.now() + 2000;
  do await run();
  while (performance.now() < warm);
  let shortest = Infinity;
  const until = performance.now() + 4000;
  for (let k = 0; k < 100 && (k === 0 || performance.now() < until); k++) {
    const began = performance.now();
    await run();
    shortest = Math.min(shortest, performance.now() - began);
  }
  return shortest;
}

function row(...cells: readonly string[]): void {
  process.stdout.write(`| ${cells.map((c) => (c === "-" ? "---" : c)).join(" | ")} |\n`);
}
