/** `aimcc export`: the lowered model as ONNX, at any level and in any mode. */

import { Command, Option } from "commander";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { LEVELS, type Level } from "../../ir/op.ts";
import { lowerTiles } from "../../lower/analog.ts";
import { ChipInside } from "../../lower/chip-source.ts";
import { writeLowered } from "../../lower/write.ts";
import { exportModuleToFile } from "../../onnx/export.ts";
import { loadArtifact } from "../../sim/load.ts";
import { type Mode, modeOption, seedOption, timeOption } from "../options.ts";
import { programOf } from "../program-of.ts";
import { out } from "../terminal.ts";

const AFTER = `
Examples:
  aimcc export out/model -o lowered.onnx                     the program, with exact arithmetic
  aimcc export out/model --level nn -o network.onnx          the recognised network
  aimcc export out/model --mode noisy --time 1d -o noisy.onnx

quantized and noisy have the tiles as QuantizeLinear, MatMul, Clip and Round nodes. Programming noise and
drift are in the weights of noisy, what is new with every vector comes from RandomNormalLike nodes.`;

interface ExportOptions {
  readonly output: string;
  readonly level: Level;
  readonly mode: Mode;
  readonly seed: number;
  readonly time: number;
  readonly model?: string;
}

export function exportCommand(): Command {
  return new Command("export")
    .description("write the lowered model as ONNX (opset 23)")
    .argument("<dir>", "an artifact")
    .requiredOption("-o, --output <file.onnx>", "the file to write")
    .addOption(new Option("--level <level>", "which level").choices(LEVELS).default("program"))
    .addOption(modeOption("what the tiles do"))
    .addOption(seedOption("seed of the noise"))
    .addOption(timeOption())
    .option("--model <model.onnx>", "the original model, if it is not where it was")
    .addHelpText("after", AFTER)
    .action(exportTo);
}

function exportTo(dir: string, options: ExportOptions): void {
  const { mode, level, output, seed, time } = options;
  const artifact = loadArtifact(dir);
  if (mode !== "ideal" && level !== "aimc" && level !== "program") {
    const hint = "tiles appear with --level aimc";
    fail("A010", `level ${level} has no tiles to be ${mode}`, { kind: "command" }, hint);
  }
  const { module, store } = programOf(artifact, level, options.model);
  try {
    if (mode === "ideal") exportModuleToFile(module, store, output);
    else {
      const chip = new ChipInside(artifact, { mode, seed, timeSeconds: time });
      writeLowered(lowerTiles(module, artifact, mode, chip), store, seed, output);
    }
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    const reason = error.message.replace(/,.*/s, "");
    fail("A009", `cannot write the model (${reason})`, inFile(output), "give another -o");
  }
  out(`${output}: level ${level}, ${mode}`);
}
