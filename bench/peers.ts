/**
 * The standard product on AIHWKIT and on this simulator: the same weights, inputs and constants, on one thread.
 *
 *   PYTHON=path npm run bench:peers [-- --record FILE]
 *
 * AIHWKIT (github.com/IBM/aihwkit) has to be installed for the Python that PYTHON names, by default `python3`. Prints
 * tables in Markdown, which docs/benchmarks.md quotes; --record writes AIHWKIT's answer, which a test reads.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Crossbars } from "../src/sim/crossbar.ts";
import { emptyTiles, heldTiles, programmed } from "../src/sim/tile-memory.ts";
import { loadTarget } from "../src/target/load.ts";
import { gaussians, machineOf, uniform } from "../test/sim/one-tile.ts";
import { type Answer, inputs, momentsOf, ours, REQUEST, weights } from "../test/sim/peer.ts";

const SHAPES = [
  [768, 768],
  [768, 3072],
] as const;
const TOKENS = 128;
const HOUR = 3600;

/** Milliseconds. */
interface Times {
  readonly product: number;
  readonly program: number;
  readonly drift: number;
}

const { values } = parseArgs({ options: { record: { type: "string" } } });
const { times, ...theirs } = aihwkit();
if (values.record !== undefined) writeFileSync(values.record, `${JSON.stringify(theirs)}\n`);
const own = ours(REQUEST.chips);
compareProducts();
compareDevices();
compareTimes();

function aihwkit(): Answer & { readonly times: readonly Times[] } {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-peers-"));
  writeFileSync(join(folder, "request.json"), JSON.stringify({ ...REQUEST, timed: SHAPES }));
  writeFileSync(join(folder, "weights.f32"), weights());
  writeFileSync(join(folder, "inputs.f32"), inputs());
  const script = join(import.meta.dirname, "peers", "on_aihwkit.py");
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const python = process.env["PYTHON"] ?? "python3";
  const answer = spawnSync(python, [script, folder], { encoding: "utf8", maxBuffer: 2 ** 28, env });
  rmSync(folder, { recursive: true, force: true });
  if (answer.status === 0) return JSON.parse(answer.stdout);
  process.stderr.write(`${answer.error?.message ?? answer.stderr}\n`);
  process.stderr.write("PYTHON has to name a Python that has AIHWKIT\n");
  process.exit(1);
}

/** What the converters and each source of noise do to products. */
function compareProducts(): void {
  const apart = (a: readonly number[], b: readonly number[]) =>
    a.reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] as number))), 0);
  const step = 10 / 127;
  const steps = own.converted.filter(
    (v, i) => Math.abs(v - (theirs.converted[i] as number)) > step / 2,
  );
  print(`\nConverters: ${steps.length} of ${own.converted.length} results on another step`);
  print(
    `IR drop: results differ by at most ${apart(own.dropped, theirs.dropped).toExponential(1)}`,
  );
  for (const noise of ["read", "output"] as const) {
    const ratios = own[noise].map((v, i) => v / (theirs[noise][i] as number));
    const { mean, deviation } = momentsOf(ratios);
    print(
      `${noise} noise: deviations are ${mean.toFixed(4)} ± ${deviation.toFixed(4)} times AIHWKIT's`,
    );
  }
}

function compareDevices(): void {
  print(
    "\n| time | error here | AIHWKIT | factor here | AIHWKIT |\n| --- | --- | --- | --- | --- |",
  );
  for (const time of REQUEST.times) {
    const cells = [own.errors, theirs.errors, own.factors, theirs.factors].map((of) => {
      const { mean, deviation } = momentsOf(of[time] ?? []);
      return `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`;
    });
    print(`| ${time} s | ${cells.join(" | ")} |`);
  }
  print("\n| time | sizes | mean here | AIHWKIT | deviation here | AIHWKIT |");
  print("| --- | --- | --- | --- | --- | --- |");
  for (const time of REQUEST.times) {
    for (const [i, a] of (own.held[time] ?? []).entries()) {
      const b = theirs.held[time]?.[i] ?? a;
      const sizes = `${REQUEST.edges[i]} to ${REQUEST.edges[i + 1]}`;
      const cells = [a.mean, b.mean, a.deviation, b.deviation].map((v) => v.toFixed(5));
      print(`| ${time} s | ${sizes} | ${cells.join(" | ")} |`);
    }
  }
}

function compareTimes(): void {
  print("\n| shape | product here | AIHWKIT | program here | AIHWKIT | drift here | AIHWKIT |");
  print("| --- | --- | --- | --- | --- | --- | --- |");
  for (const [i, [rows, cols]] of SHAPES.entries()) {
    const a = timesHere(rows, cols);
    const b = times[i] ?? a;
    const cells = (["product", "program", "drift"] as const).flatMap((what) => [a[what], b[what]]);
    print(`| ${rows} x ${cols} | ${cells.map((ms) => `${ms.toFixed(1)} ms`).join(" | ")} |`);
  }
}

/** On one tile as large as the matrix, as AIHWKIT has it. */
function timesHere(rows: number, cols: number): Times {
  const own = gaussians(rows * cols, 1).map((g) => Math.tanh(g / 4));
  const machine = machineOf(loadTarget("ahwa-lora"), { weights: own, rows, cols });
  const empty = emptyTiles(machine, 1);
  const at = (timeSeconds: number) =>
    programmed(empty, machine, { mode: "noisy", seed: 1, timeSeconds });
  const program = shortest(() => at(0));
  const drift = shortest(() => at(HOUR));
  const crossbars = new Crossbars(machine, 1, heldTiles(machine, at(HOUR)), 0);
  const x = uniform(TOKENS * rows, 2);
  const numbers = Array.from({ length: TOKENS }, (_, i) => i);
  const [weight] = machine.mapping.weights;
  if (!weight) throw new Error("no weight");
  const product = shortest(() => crossbars.run(weight, { x, rows: numbers, inference: 0 }));
  return { product, program, drift };
}

function shortest(run: () => unknown): number {
  let least = Infinity;
  for (let k = 0; k < 20; k++) {
    const began = performance.now();
    run();
    least = Math.min(least, performance.now() - began);
  }
  return least;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
