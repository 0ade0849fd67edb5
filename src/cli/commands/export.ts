/** `aimcc export`: the lowered model as ONNX, at any level and in any mode. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command, Option } from "commander";
import { originalModel } from "../../compare/reference.ts";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { LEVELS, type Level, type Module } from "../../ir/op.ts";
import { parseModule } from "../../ir/parse.ts";
import { lowerTiles } from "../../lower/analog.ts";
import { lowerToOnnx } from "../../lower/write.ts";
import { exportModuleToFile } from "../../onnx/export.ts";
import { readModel } from "../../onnx/read.ts";
import { type Artifact, loadArtifact } from "../../sim/load.ts";
import { dumpStore } from "../dump-store.ts";
import { type Mode, modeOption, seedOption, timeOption } from "../options.ts";
import { out } from "../terminal.ts";

const AFTER = `
Examples:
  aimcc export out/model -o lowered.onnx                     the program, with exact arithmetic
  aimcc export out/model --level nn -o network.onnx          the recognised network
  aimcc export out/model --mode noisy --time 1d -o noisy.onnx

quantized and noisy have the converters of every tile as Clip, Round and MatMul nodes. Programming noise and
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
  const { mode, level, output } = options;
  const artifact = loadArtifact(dir);
  if (mode !== "ideal" && level !== "aimc" && level !== "program") {
    const hint = "tiles appear with --level aimc";
    fail("A010", `level ${level} has no tiles to be ${mode}`, { kind: "command" }, hint);
  }
  const model = originalModel(artifact.manifest, options.model);
  const { dims, inputs } = artifact.manifest.model;
  const set = Object.fromEntries(inputs.flatMap((p) => (p.fixed ? [[p.name, p.fixed]] : [])));
  const { store: weights } = readModel(model, { dims, set });
  const module = moduleOf(dir, level);
  const store = dumpStore(weights, join(dir, "ir", "constants.safetensors"), dir);
  try {
    if (mode === "ideal") exportModuleToFile(module, store, output);
    else writeFileSync(output, lowered(module, artifact, store, { ...options, mode }));
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    const reason = error.message.replace(/,.*/s, "");
    fail("A009", `cannot write the model (${reason})`, inFile(output), "give another -o");
  }
  out(`${output}: level ${level}, ${mode}`);
}

function lowered(
  module: Module,
  artifact: Artifact,
  store: ReturnType<typeof dumpStore>,
  options: { readonly mode: Exclude<Mode, "ideal">; readonly seed: number; readonly time: number },
): Uint8Array {
  const { mode, seed, time } = options;
  return lowerToOnnx(lowerTiles(module, artifact, { mode, seed, timeSeconds: time }), store, seed);
}

/** The last dump of a level. Errors: A007 when the artifact has none. */
function moduleOf(dir: string, level: Level): Module {
  const folder = join(dir, "ir");
  const files = readdirSync(folder).filter((f) => f.endsWith(".mlir"));
  for (const file of files.sort().reverse()) {
    const text = readFileSync(join(folder, file), "utf8");
    if (!text.includes(`aimc.level = "${level}"`)) continue;
    return parseModule(text, join(folder, file));
  }
  const hint = "compile the model again";
  return fail("A007", `the artifact has no dump of level ${level}`, inFile(folder), hint);
}
