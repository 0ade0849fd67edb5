/** `aimcc run`: simulate an artifact and write, or summarise, its outputs; or run a RISC-V program. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { joinInferences } from "../../data/sample.ts";
import { writeProtoFile } from "../../data/tensor-file.ts";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { energy, time } from "../../report/units.ts";
import type { Values } from "../../sim/execute.ts";
import { IsaSimulator } from "../../sim/isa/simulator.ts";
import { type Artifact, loadArtifact } from "../../sim/load.ts";
import { type Simulation, simulate } from "../../sim/simulate.ts";
import { toF32 } from "../../tensor/convert.ts";
import { showType, type Tensor } from "../../tensor/tensor.ts";
import { givenInputs } from "../given-inputs.ts";
import {
  checkIsa,
  dataOption,
  inputsOption,
  isaOption,
  type Mode,
  modeOption,
  seedOption,
  streamOption,
  timeOption,
  wholeNumber,
} from "../options.ts";
import { isProgram, runProgram } from "../run-program.ts";
import { out, startProgress, table } from "../terminal.ts";
import { writeTraceFile } from "../trace.ts";

const AFTER = `
Examples:
  aimcc run out/model --data test_data_set_0 --out results    writes results/output_0.pb, ...
  aimcc run out/model --inputs input_ids=ids.npy --mode noisy --seed 7
  aimcc run out/model --isa                     its programs, instruction by instruction
  aimcc run hello.elf -- --its own arguments    runs it on the instruction-set simulator

Without --data and --inputs, inputs are drawn by seed within their valid range.`;

/** Inferences that a trace shows: more repeat themselves. */
const TRACED = 4;

interface RunOptions {
  readonly data?: string;
  readonly inputs?: string[];
  readonly mode: Mode;
  readonly seed: number;
  readonly time: number;
  readonly stream?: boolean;
  readonly out?: string;
  readonly isa?: boolean;
  readonly trace?: string;
  readonly instructions: number;
  readonly memory: number;
}

export function runCommand(): Command {
  return new Command("run")
    .description("simulate an artifact, or run a RISC-V program")
    .argument(
      "<dir>",
      "an artifact; or an ELF file for RV32 in user mode, whose exit status is ours",
    )
    .argument("[args...]", "the arguments of an ELF file")
    .addOption(dataOption("a folder with input_0.pb, ..."))
    .addOption(inputsOption())
    .addOption(modeOption("what the tiles do"))
    .addOption(seedOption("seed of noise, and of drawn inputs"))
    .addOption(timeOption())
    .addOption(streamOption())
    .addOption(isaOption())
    .option("--trace <file>", "write what ran when, for Perfetto or chrome://tracing")
    .option("--out <folder>", "write output_0.pb, ... in the order of the graph's outputs")
    .option(
      "--instructions <n>",
      "stop an ELF file after so many instructions",
      wholeNumber,
      100_000_000_000,
    )
    .option("--memory <MiB>", "an ELF file's heap and stack", wholeNumber, 64)
    .addHelpText("after", AFTER)
    .action((dir: string, args: readonly string[], options: RunOptions) =>
      isProgram(dir) ? runProgram(dir, args, options) : run(dir, args, options),
    );
}

async function run(dir: string, args: readonly string[], options: RunOptions): Promise<void> {
  if (args.length > 0) {
    const text = `too many arguments: ${args.join(" ")}`;
    fail("A001", text, { kind: "command" }, "only an ELF file takes arguments of its own");
  }
  checkIsa(options);
  const artifact = loadArtifact(dir);
  const { inputs, outputs } = artifact.manifest.model;
  const names = outputs.map((o) => o.name);
  const given = givenInputs(options, inputs, names);
  const progress = startProgress();
  const total = given.inferences.length;
  const tell = (done: number) => progress.show(`simulating ${options.mode}: ${done} of ${total}`);
  const { outputs: results, timing } = await simulated(
    artifact,
    given.inferences,
    options,
    tell,
  ).finally(() => progress.done());
  const joined = names.map((n) => joinInferences(results.flatMap((r) => r.get(n) ?? [])));
  if (options.out !== undefined) write(options.out, names, joined);
  if (options.trace !== undefined) writeTraceFile(options.trace, timing);
  const rows = joined.map((t, i) => [names[i] ?? "", showType(t), ...summary(t)]);
  out(
    [
      `${options.mode}${options.isa ? ", in machine code" : ""}, ${given.from}`,
      table([["output", "type", "smallest", "largest", "mean"], ...rows]),
      "",
      `first result after ${time(timing.latencyNs)}, ${total > 1 ? `then one every ${time(timing.intervalNs)}, ` : ""}` +
        `${energy(timing.energyNj / total)} an inference`,
      ...(options.out === undefined ? [] : [`outputs written to ${options.out}`]),
      ...(options.trace === undefined ? [] : [`trace written to ${options.trace}`]),
    ].join("\n"),
  );
}

/** The machine with its kernels, or with the machine code of its clusters. */
function simulated(
  artifact: Artifact,
  inputs: readonly Values[],
  options: RunOptions,
  progress: (done: number) => void,
): Promise<Simulation> {
  const { mode, seed, time: timeSeconds, stream = false } = options;
  const traced = options.trace === undefined ? 0 : TRACED;
  const chip = { mode, seed, timeSeconds };
  if (!options.isa) return simulate(artifact, { inputs, ...chip, stream, traced, progress });
  return new IsaSimulator(artifact, { inputs, judged: false, traced }).run(chip, progress);
}

function write(folder: string, names: readonly string[], values: readonly Tensor[]): void {
  try {
    mkdirSync(folder, { recursive: true });
    values.forEach((t, i) => {
      writeProtoFile(join(folder, `output_${i}.pb`), names[i] ?? "", t);
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
    fail("A009", `cannot write the outputs (${reason})`, inFile(folder), "give another --out");
  }
}

function summary(t: Tensor): string[] {
  const values = toF32(t);
  let [low, high, sum] = [Infinity, -Infinity, 0];
  for (const v of values) {
    low = Math.min(low, v);
    high = Math.max(high, v);
    sum += v;
  }
  return [low, high, sum / values.length].map((n) => n.toPrecision(5));
}
