/**
 * One data set of a model, judged in every way there is: each pass by ONNX Runtime and by the facts that it
 * claims, each dump by our parser and by mlir-opt, the program by its simulation.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { FACTS } from "../../passes/facts.ts";
import { PIPELINE } from "../../passes/pipeline.ts";
import { build } from "../../src/cli/build.ts";
import { verifyWith } from "../../src/cli/commands/verify.ts";
import type { Verification } from "../../src/compare/verification.ts";
import type { Step } from "../../src/driver/run-passes.ts";
import type { Module } from "../../src/ir/op.ts";
import { parseModule } from "../../src/ir/parse.ts";
import { printModule } from "../../src/ir/print.ts";
import { type Artifact, loadArtifact } from "../../src/sim/load.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { findMlirOpt } from "../judges.ts";

const TARGET = "ahwa-lora";
const target = loadTarget(TARGET);
const mlirOpt = findMlirOpt();

export interface Judged {
  readonly artifact: Artifact;
  readonly verification: Verification;
  /** As the file was read. */
  readonly source: Module;
  /** Modules of the network recognised, and a place assigned to each. */
  readonly network: Module;
  /** Where the artifact lies until the test ends. */
  readonly dir: string;
}

/** Compiles, simulates and judges; `look` may look into the artifact before it is taken away. */
export async function judge(
  model: string,
  data: string | undefined,
  look: (judged: Judged) => void | Promise<void>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "aimcc-coverage-"));
  try {
    await look(await judgedIn(join(root, "artifact"), model, data));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function judgedIn(dir: string, model: string, data: string | undefined): Promise<Judged> {
  const steps: Step[] = [];
  await build(
    {
      model,
      target: TARGET,
      output: dir,
      dims: {},
      data,
      policy: loadPolicy("default"),
      lora: { kind: "fresh", rank: 8, alpha: 32 },
      tokens: "auto",
      seed: 0,
      dump: "all",
      verifyEach: true,
    },
    () => undefined,
    (step) => {
      steps.push(step);
      for (const fact of step.pass.gives) {
        expect(FACTS[fact](step.after, target), `${step.pass.name} gives ${fact}`).toBe(true);
      }
    },
  );
  const names = PIPELINE.flatMap((stage) => stage.passes.map((p) => p.name));
  expect(steps.map((s) => s.pass.name)).toEqual(names);
  judgeDumps(join(dir, "ir"));
  const artifact = loadArtifact(dir);
  const options = { mode: "ideal", seed: 0, seeds: 1, time: [0], ...(data && { data }) } as const;
  const verification = await verifyWith(artifact, options, () => undefined);
  const source = steps[0]?.before;
  const network = steps.findLast((s) => s.stage === "nn")?.after;
  if (!source || !network) throw new Error("the pipeline has no stage 'nn'");
  return { artifact, verification, source, network, dir };
}

/** Every dump reads back as it was printed, and mlir-opt, where there is one, accepts them all. */
function judgeDumps(ir: string): void {
  const files = readdirSync(ir).filter((f) => f.endsWith(".mlir"));
  expect(files.length).toBeGreaterThanOrEqual(18);
  const texts = files.map((f) => [f, readFileSync(join(ir, f), "utf8")] as const);
  for (const [file, text] of texts) expect(printModule(parseModule(text, file)), file).toBe(text);
  if (mlirOpt === null) return;
  const all = join(ir, "all.mlir");
  writeFileSync(all, texts.map(([, text]) => text).join("\n// -----\n"));
  const args = ["--allow-unregistered-dialect", "--split-input-file", "-o", "/dev/null", all];
  const { status, stderr } = spawnSync(mlirOpt, args, { encoding: "utf8" });
  expect(stderr.slice(0, 500)).toBe("");
  expect(status).toBe(0);
}
