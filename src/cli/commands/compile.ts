/** `aimcc compile`: from an ONNX file to an artifact directory. */

import { Command, Option } from "commander";
import type { LoraOption } from "../../../passes/options.ts";
import { PIPELINE } from "../../../passes/pipeline.ts";
import { checkDestination } from "../../backend/directory.ts";
import { fail } from "../../diag/diagnostic.ts";
import { byDistance } from "../../diag/nearest.ts";
import { loadArtifact } from "../../sim/load.ts";
import { loadPolicy } from "../../target/policy.ts";
import { KERNEL_COSTS, type KernelCosts } from "../../target/schema.ts";
import { readAdapter } from "../../weights/adapter.ts";
import { build } from "../build.ts";
import { calibrationOf } from "../calibration.ts";
import { settings } from "../given-inputs.ts";
import { describeSummary } from "../inspect/summary.ts";
import { addDim, positiveNumber, seedOption, wholeNumber } from "../options.ts";
import { out, startProgress } from "../terminal.ts";

const AFTER = `
Examples:
  aimcc compile model.onnx -t ahwa-lora -o out/model --dim batch=1 --dim sequence=128
  aimcc compile model.onnx -t ahwa-lora -o out/model --data test_data_set_0 --lora rank=8
  aimcc compile decoder_model_merged.onnx -t ahwa-lora -o out/decoder --set use_cache_branch=true --dim ...
  aimcc compile model.onnx -t hermes-64 -o out/model --policy moe --dump-ir all
  aimcc compile model.onnx -t ahwa-lora -o out/model --data samples --calibrate dac=percentile:99.995,adc=mse

Exit status: 0 done, 2 the model, the target or the command is at fault.`;

interface CompileOptions {
  readonly target: string;
  readonly output: string;
  readonly dim?: Record<string, number>;
  readonly set?: readonly string[];
  readonly data?: string;
  readonly policy: string;
  readonly lora: string;
  readonly calibrate?: string;
  readonly tokens: number | "auto";
  readonly kernelCosts?: KernelCosts;
  readonly matrixEngine?: boolean;
  readonly seed: number;
  readonly dumpIr?: string;
  readonly verifyEach?: boolean;
  readonly tiles: boolean;
}

export function compileCommand(): Command {
  return new Command("compile")
    .description("compile an ONNX transformer for a machine")
    .argument("<model.onnx>", "the model; external data lies beside it")
    .requiredOption("-t, --target <target>", "a bundled target's name, or a YAML file")
    .requiredOption("-o, --output <dir>", "the artifact directory to write")
    .option("--dim <name=n>", "size of a free dimension; repeat for each", addDim)
    .option(
      "--set <input=value>",
      "make an input a constant: true, 3, 0,1,2 or a .npy file; repeat for each",
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .option(
      "--data <folder>",
      "sample inputs: their shapes bind the other free dimensions, their values calibrate the converters",
    )
    .option(
      "--policy <name|file>",
      "what goes on tiles: default, moe, all-analog, all-digital,\n" + "or a YAML file of rules",
      "default",
    )
    .option(
      "--lora <none|rank=r[,alpha=a]|dir>",
      "side-branches: none, fresh ones of a rank,\n" + "or a trained PEFT adapter",
      "none",
    )
    .option(
      "--calibrate <place=way,...>",
      "full scales of dac, adc, columns: max, percentile:P,\nsigma:N or mse; --calibration of inspect shows what each costs",
    )
    .addOption(
      new Option("--tokens <n>", "parallel tokens a block, or auto to choose per layer")
        .argParser((text) => (text === "auto" ? text : wholeNumber(text)))
        .default("auto"),
    )
    .addOption(
      new Option(
        "--kernel-costs <where>",
        "costs of digital kernels: the target's table, or their machine code\nmeasured on a simulated cluster; if not given, as the target says",
      ).choices(KERNEL_COSTS),
    )
    .option(
      "--matrix-engine",
      "side-branches and digital linears on the clusters' matrix engines, which\nround every multiply-add to FP16; without it the cores compute in FP32",
    )
    .addOption(seedOption("seed of what the compiler draws: sample inputs, fresh side-branches"))
    .option("--dump-ir <all|pass,...>", "also keep the dumps after these passes in ir/")
    .option("--no-tiles", "mapping and schedule only: leave out what is programmed into tiles")
    .option("--verify-each", "compare with ONNX Runtime after every pass (slow)")
    .addHelpText("after", AFTER)
    .action(compile);
}

async function compile(model: string, options: CompileOptions): Promise<void> {
  checkDestination(options.output);
  const progress = startProgress();
  try {
    await build(
      {
        model,
        target: options.target,
        output: options.output,
        dims: options.dim ?? {},
        set: settings(options.set ?? []),
        data: options.data,
        policy: loadPolicy(options.policy),
        lora: loraOf(options.lora),
        tokens: options.tokens,
        seed: options.seed,
        ...(options.kernelCosts && { kernelCosts: options.kernelCosts }),
        ...(options.matrixEngine && { matrixEngine: true }),
        ...(options.calibrate !== undefined && { calibration: calibrationOf(options.calibrate) }),
        dump: dumpOf(options.dumpIr),
        verifyEach: options.verifyEach === true,
        images: options.tiles,
      },
      (doing) => progress.show(doing),
    );
  } finally {
    progress.done();
  }
  out(describeSummary(loadArtifact(options.output)));
  const next = options.tiles ? "verify" : "inspect";
  out(`\nwritten to ${options.output}; next: aimcc ${next} ${options.output}`);
}

/** `none`, `rank=8`, `rank=8,alpha=32`, or the folder of an adapter. alpha is 4 times the rank if not given. */
export function loraOf(text: string): LoraOption {
  if (text === "none") return { kind: "none" };
  const fresh = /^rank=(\d+)(?:,alpha=([\d.]+))?$/.exec(text);
  if (fresh) {
    const rank = wholeNumber(fresh[1] ?? "");
    if (rank === 0)
      fail("A004", "the rank must be at least 1", { kind: "command" }, "--lora rank=8");
    const alpha = fresh[2] === undefined ? 4 * rank : positiveNumber(fresh[2]);
    return { kind: "fresh", rank, alpha };
  }
  if (text.includes("=")) {
    const hint = "none, rank=8, rank=8,alpha=32, or the folder of an adapter";
    fail("A004", `'${text}' says nothing about side-branches`, { kind: "command" }, hint);
  }
  return { kind: "adapter", adapter: readAdapter(text) };
}

/** Names are checked before any work is done. Errors: A005. */
function dumpOf(text: string | undefined): "all" | readonly string[] {
  if (text === undefined) return [];
  if (text === "all") return "all";
  const names = text.split(",").map((n) => n.trim());
  checkPasses(names);
  return names;
}

/** Errors: A005 for a name that no pass has. */
export function checkPasses(names: readonly string[]): void {
  const known = PIPELINE.flatMap((s) => s.passes.map((p) => p.name));
  for (const name of names) {
    if (known.includes(name)) continue;
    const [nearest = ""] = byDistance(name, known);
    const hint = `did you mean ${nearest}? The passes are ${known.join(", ")}`;
    fail("A005", `there is no pass called '${name}'`, { kind: "command" }, hint);
  }
}
