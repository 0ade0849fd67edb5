/** `aimcc verify`: the simulator against ONNX Runtime on the original file. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { stableJson } from "../../backend/json.ts";
import type { EngineMaker } from "../../compare/engine.ts";
import { MachineCode } from "../../compare/machine-code.ts";
import { originalModel, trainedBranches, withBranches } from "../../compare/reference.ts";
import { openResults } from "../../compare/results-file.ts";
import {
  type Verification,
  type VerifyRequest,
  verifyArtifact,
} from "../../compare/verification.ts";
import { fail } from "../../diag/diagnostic.ts";
import { OrtEngine } from "../../lower/ort-engine.ts";
import { type Artifact, loadArtifact, requireImages } from "../../sim/load.ts";
import { FEWEST } from "../../statistics/interval.ts";
import { givenInputs } from "../given-inputs.ts";
import { givenMetric } from "../given-metric.ts";
import { interruptible } from "../interrupt.ts";
import {
  checkIsa,
  dataOption,
  inputsOption,
  isaOption,
  jsonOption,
  LARGEST_SEED,
  type Mode,
  modeOption,
  positiveNumber,
  seedOption,
  shareNumber,
  streamOption,
  timesOption,
  wholeNumber,
} from "../options.ts";
import { programOf } from "../program-of.ts";
import { out, say, startProgress } from "../terminal.ts";
import { verificationFacts } from "../verification-json.ts";
import { describeVerification } from "../verification-text.ts";

const ENGINES = ["wasm", "ort"] as const;
type EngineName = (typeof ENGINES)[number];

/** Seeds that --until may take when --seeds does not say. */
const MOST_SEEDS = 100;

const AFTER = `
Examples:
  aimcc verify out/model                                   inputs drawn by seed
  aimcc verify out/model --data test_data_set_0            recorded inputs and outputs
  aimcc verify out/model --mode noisy --seeds 5 --time 1d  after a day of drift, five chips
  aimcc verify out/model --mode noisy --seeds 3 --explain  which layers, which sources of noise
  aimcc verify out/model --mode noisy --engine ort         the same chip on ONNX Runtime
  aimcc verify out/model --isa                             its machine code, step by step against the kernels
  aimcc verify out/gpt2 --mode noisy --time 1s,1h,1d,1y --seeds 20 --until 0.5% --resume gpt2.jsonl \\
    --inputs input_ids=val_input_ids.pb --metric bits-per-byte --labels val_targets.pb

--explain switches every layer and every source of noise on alone, and off alone, at the last of the times: the
loss that each makes, sorted. It takes 2 runs of each seed for each of them.
Metrics: bits-per-byte, perplexity, accuracy, f1, exact-match, mse. --labels takes the numbers of a .pb, .npy or
.npz file, or a .json file (docs/guide/verify.md).
Data whose leading axis is a multiple of the batch that was compiled runs as a stream of inferences.
ideal agrees when no output is off by more than 1e-3 of its largest value and every token's argmax is the
same. quantized and noisy are reported; with --tolerance they are judged too.
Ctrl-C ends with the seeds that are finished; with --resume the same command goes on from there.

Exit status: 0 agrees or reported, 1 differs, 2 the input or the command is at fault.`;

export interface VerifyOptions {
  readonly data?: string;
  readonly inputs?: string[];
  readonly mode: Mode;
  readonly seed: number;
  readonly seeds?: number;
  readonly time: readonly number[];
  readonly until?: number;
  readonly engine?: EngineName;
  readonly stream?: boolean;
  readonly isa?: boolean;
  readonly resume?: string;
  readonly explain?: boolean;
  readonly tolerance?: number;
  readonly model?: string;
  readonly metric?: string;
  readonly labels?: string;
  readonly json?: boolean;
}

export function verifyCommand(): Command {
  return new Command("verify")
    .description("simulate an artifact and compare it with ONNX Runtime on the original model")
    .argument("<dir>", "an artifact")
    .addOption(dataOption("a folder with input_0.pb, ... and perhaps output_0.pb, ..."))
    .addOption(inputsOption())
    .addOption(modeOption("what the tiles do"))
    .addOption(seedOption("seed of drawn inputs, and the first seed of noise"))
    .option(
      "--seeds <n>",
      "how many chips to simulate, each with its own noise (1, or 100 with --until)",
      wholeNumber,
    )
    .addOption(timesOption())
    .option(
      "--until <share>",
      "end when the 95 % interval of the metric, or else of the error, is this narrow: 0.5%",
      shareNumber,
    )
    .addOption(
      new Option("--engine <name>", "what simulates: wasm, or the lowered model on ONNX Runtime")
        .choices(ENGINES)
        .default("wasm"),
    )
    .addOption(streamOption())
    .addOption(isaOption())
    .option("--resume <file>", "note results in this file as they come, and go on with those there")
    .option("--explain", "say which layers and which sources of noise the loss comes from")
    .option(
      "--tolerance <x>",
      "largest error, relative to the output's largest value",
      positiveNumber,
    )
    .option("--model <model.onnx>", "the original model, if it is not where it was")
    .option("--metric <name>", "task quality: bits-per-byte, accuracy, f1, ...; needs --labels")
    .option("--labels <file>", "the right answers, for --metric")
    .addOption(jsonOption())
    .addHelpText("after", AFTER)
    .action(verify);
}

async function verify(dir: string, options: VerifyOptions): Promise<void> {
  checkIsa(options);
  const artifact = loadArtifact(dir);
  const progress = startProgress();
  let result: Verification;
  try {
    result = await interruptible((signal) =>
      verifyWith(artifact, options, (doing) => progress.show(doing), signal),
    );
  } finally {
    progress.done();
  }
  out(
    options.json ? stableJson(verificationFacts(result)) : describeVerification(result, artifact),
  );
  if (result.verdict === "differs") process.exitCode = 1;
}

export async function verifyWith(
  artifact: Artifact,
  options: VerifyOptions,
  tell: (doing: string) => void,
  signal?: AbortSignal,
): Promise<Verification> {
  const metric = givenMetric(options);
  const count = seedCount(options);
  checkExplain(artifact, options);
  requireImages(artifact);
  for (const text of idleOptions(artifact, options)) say(`note: ${text}`);
  const { model } = artifact.manifest;
  const original = originalModel(artifact.manifest, options.model);
  const trained = trainedBranches(artifact.mapping);
  const reference =
    trained.length > 0 ? withBranches(original, trained, artifact.constants) : original;
  const outputNames = model.outputs.map((o) => o.name);
  const given = givenInputs(options, model.inputs, outputNames);
  const request: VerifyRequest = {
    artifact,
    model: reference,
    inferences: given.inferences,
    recorded: trained.length > 0 ? new Map() : given.recorded,
    mode: options.mode,
    seeds: Array.from({ length: count }, (_, i) => options.seed + i),
    times: options.time,
    tolerance: options.tolerance,
    metric,
    until: options.until,
    engine: engineOf(artifact, options),
    machineCode: options.isa ? new MachineCode() : undefined,
    explain: options.explain,
    stream: options.stream,
    tell,
    signal,
  };
  if (options.resume === undefined) return verifyArtifact(request);
  const results = openResults(options.resume, request, labelled(options));
  return verifyArtifact({ ...request, results });
}

/** Options that change nothing, which the numbers alone would not show. */
function idleOptions({ mapping }: Artifact, { mode, seeds = 1, time }: VerifyOptions): string[] {
  if (mode !== "noisy" && (seeds > 1 || time.some((t) => t > 0))) {
    return [
      `in mode ${mode} all chips are alike and none ages: --seeds and --time are for --mode noisy`,
    ];
  }
  if (mode === "ideal" || mapping.weights.length > 0) return [];
  return [`no weight of this artifact is on a tile, so mode ${mode} computes what ideal does`];
}

/** Errors: A016 when there is nothing to explain, or the engine cannot. */
function checkExplain({ mapping }: Artifact, { explain, mode, engine }: VerifyOptions): void {
  const at = { kind: "command" } as const;
  if (!explain) return;
  if (mapping.weights.length === 0) {
    const hint =
      "`aimcc inspect DIR` says where weights are and why; compile with another --policy";
    fail("A016", "no weight is on a tile, so there is no loss to explain", at, hint);
  }
  if (mode === "ideal") {
    fail("A016", "ideal has no noise to explain", at, "add --mode noisy, or --mode quantized");
  }
  if (engine === "ort") {
    const text = "--explain makes single layers exact, which ort cannot";
    fail("A016", text, at, "leave out --engine ort");
  }
}

/** The simulator unless told otherwise. Errors: A016 for what the other engine cannot do. */
function engineOf(source: Artifact, options: VerifyOptions): EngineMaker | undefined {
  const { engine, model, stream } = options;
  if (engine !== "ort") return undefined;
  if (stream) {
    const text = "--stream programs tiles one by one, which ort cannot";
    fail("A016", text, { kind: "command" }, "leave out --engine ort");
  }
  const program = programOf(source, "program", model);
  return async (artifact, of) => new OrtEngine(artifact, program, of);
}

/** Errors: A015 when there are none, more than differ, or too few for --until. */
function seedCount({ seed, seeds, until }: VerifyOptions): number {
  if (seeds === 0) {
    fail("A015", "there are 0 seeds, so nothing would run", { kind: "command" }, "give 1 or more");
  }
  const count = seeds ?? (until === undefined ? 1 : MOST_SEEDS);
  if (seed + count - 1 > LARGEST_SEED) {
    const text = `${count} seeds from ${seed} on go beyond ${LARGEST_SEED}, where they begin again`;
    fail("A015", text, { kind: "command" }, "give fewer --seeds or a smaller --seed");
  }
  if (until === undefined || count >= FEWEST) return count;
  const text = `--until needs at least ${FEWEST} seeds, and there are ${count}`;
  return fail("A015", text, { kind: "command" }, "give more --seeds, or leave them out");
}

/** What decides results besides the request: engines differ in their last digits. */
function labelled({ metric, labels, isa, engine = "wasm" }: VerifyOptions): string {
  const name = isa ? "isa" : engine;
  if (metric === undefined || labels === undefined) return name;
  return `${name} ${metric} ${createHash("sha256").update(readFileSync(labels)).digest("hex")}`;
}
