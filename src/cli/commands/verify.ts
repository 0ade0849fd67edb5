/** `aimcc verify`: the simulator against ONNX Runtime on the original file. */

import { Command } from "commander";
import { stableJson } from "../../backend/json.ts";
import { originalModel, trainedBranches, withBranches } from "../../compare/reference.ts";
import { type Verification, verifyArtifact } from "../../compare/verification.ts";
import { fail } from "../../diag/diagnostic.ts";
import { type Artifact, loadArtifact, requireImages } from "../../sim/load.ts";
import { givenInputs, tensorCalled } from "../given-inputs.ts";
import {
  dataOption,
  inputsOption,
  jsonOption,
  type Mode,
  modeOption,
  positiveNumber,
  seedOption,
  timeOption,
  wholeNumber,
} from "../options.ts";
import { out, startProgress } from "../terminal.ts";
import { describeVerification, verificationFacts } from "../verification-text.ts";

const AFTER = `
Examples:
  aimcc verify out/model                                   inputs drawn by seed
  aimcc verify out/model --data test_data_set_0            recorded inputs and outputs
  aimcc verify out/model --mode noisy --seeds 5 --time 1d  after a day of drift, five chips
  aimcc verify out/gpt2 --mode quantized --inputs input_ids=val_input_ids.pb \\
    --metric bits-per-byte --labels val_targets.pb

Data whose leading axis is a multiple of the batch that was compiled runs as a stream of inferences.
ideal agrees when no output is off by more than 1e-3 of its largest value and every token's argmax is the
same. quantized and noisy are reported; with --tolerance they are judged too.

Exit status: 0 agrees or reported, 1 differs, 2 the input or the command is at fault.`;

export interface VerifyOptions {
  readonly data?: string;
  readonly inputs?: string[];
  readonly mode: Mode;
  readonly seed: number;
  readonly seeds: number;
  readonly time: number;
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
    .option("--seeds <n>", "how many chips to simulate, each with its own noise", wholeNumber, 1)
    .addOption(timeOption())
    .option(
      "--tolerance <x>",
      "largest error, relative to the output's largest value",
      positiveNumber,
    )
    .option("--model <model.onnx>", "the original model, if it is not where it was")
    .option("--metric <name>", "bits-per-byte: how well the tokens of --labels are predicted")
    .option("--labels <file>", "the right next tokens, for --metric")
    .addOption(jsonOption())
    .addHelpText("after", AFTER)
    .action(verify);
}

async function verify(dir: string, options: VerifyOptions): Promise<void> {
  const artifact = loadArtifact(dir);
  const progress = startProgress();
  let result: Verification;
  try {
    result = await verifyWith(artifact, options, (doing) => progress.show(doing));
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
): Promise<Verification> {
  checkMetric(options);
  requireImages(artifact);
  const { model } = artifact.manifest;
  const original = originalModel(artifact.manifest, options.model);
  const trained = trainedBranches(artifact.mapping);
  const reference =
    trained.length > 0 ? withBranches(original, trained, artifact.constants) : original;
  const outputNames = model.outputs.map((o) => o.name);
  const given = givenInputs(options, model.inputs, outputNames);
  return verifyArtifact({
    artifact,
    model: reference,
    inferences: given.inferences,
    recorded: trained.length > 0 ? new Map() : given.recorded,
    mode: options.mode,
    seeds: Array.from({ length: Math.max(1, options.seeds) }, (_, i) => options.seed + i),
    timeSeconds: options.time,
    tolerance: options.tolerance,
    labels: options.labels === undefined ? undefined : tensorCalled("labels", options.labels),
    tell,
  });
}

/** Errors: A008 when a metric is not known, or lacks its labels. */
function checkMetric({ metric, labels }: VerifyOptions): void {
  const at = { kind: "command" } as const;
  if (metric === undefined && labels === undefined) return;
  if (metric !== "bits-per-byte") {
    const text =
      metric === undefined ? "--labels needs a --metric" : `there is no metric '${metric}'`;
    fail("A008", text, at, "the metric is bits-per-byte");
  }
  if (labels === undefined) {
    fail("A008", "--metric bits-per-byte needs labels", at, "give the next tokens: --labels FILE");
  }
}
