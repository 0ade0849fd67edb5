/** `aimcc opt`: runs passes on a textual dump, and prints the module they leave. */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { PIPELINE } from "../../../passes/pipeline.ts";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { runPasses } from "../../driver/run-passes.ts";
import type { Module } from "../../ir/op.ts";
import { parseModule } from "../../ir/parse.ts";
import { printModule } from "../../ir/print.ts";
import { verify } from "../../ir/verify.ts";
import { readModel, readPorts } from "../../onnx/read.ts";
import { loadTarget } from "../../target/load.ts";
import { loadPolicy } from "../../target/policy.ts";
import { dumpStore } from "../dump-store.ts";
import { wholeNumber } from "../options.ts";
import { out, say } from "../terminal.ts";
import { checkPasses, loraOf } from "./compile.ts";

const AFTER = `
Examples:
  aimcc opt out/model/ir/04-raise-linear.mlir --passes raise-norm,raise-softmax
  aimcc opt out/model/ir/00-read.mlir --passes infer-shapes,fold-constants --model model.onnx

The weights that a pass loads come from --model and from constants.safetensors beside the dump. Calibration
sees no samples here. The module goes to standard output, remarks go to standard error.`;

interface OptOptions {
  readonly passes: string;
  readonly model?: string;
  readonly target: string;
  readonly policy: string;
  readonly lora: string;
  readonly seed: number;
}

export function optCommand(): Command {
  return new Command("opt")
    .description("run passes on a textual dump of the IR")
    .argument("<file.mlir>", "a module of any level")
    .requiredOption("--passes <a,b,...>", "the passes, in order")
    .option("--model <model.onnx>", "the file that holds the weights which the dump names")
    .option("-t, --target <target>", "a bundled target's name, or a YAML file", "ahwa-lora")
    .option("--policy <name|file>", "what goes on tiles", "default")
    .option("--lora <none|rank=r[,alpha=a]|dir>", "side-branches", "none")
    .option("--seed <n>", "seed of fresh side-branches", wholeNumber, 0)
    .addHelpText("after", AFTER)
    .action(opt);
}

async function opt(file: string, options: OptOptions): Promise<void> {
  if (!existsSync(file)) fail("A003", "there is no such file", inFile(file), "check the path");
  const names = options.passes.split(",").map((n) => n.trim());
  checkPasses(names);
  const module = checked(parseModule(readFileSync(file, "utf8"), file), file);
  const all = PIPELINE.flatMap((stage) => stage.passes);
  const passes = names.flatMap((name) => all.filter((p) => p.name === name));
  const dims = dimsIn(module, options.model);
  const model = options.model === undefined ? undefined : readModel(options.model, { dims });
  const surroundings = {
    target: loadTarget(options.target),
    options: {
      policy: loadPolicy(options.policy),
      lora: loraOf(options.lora),
      seed: options.seed,
      tokens: "auto" as const,
    },
    weights: dumpStore(model?.store, join(dirname(file), "constants.safetensors"), file),
    // A dump comes without sample inputs.
    observe: async () => new Map(),
  };
  const stages = [{ name: module.level, passes }];
  const result = await runPasses(module, stages, surroundings, ({ pass, remarks }) => {
    for (const { text } of remarks) say(`${pass.name}: ${text}`);
  });
  out(printModule(result));
}

/** A dump that a user has edited may be wrong; that is not our fault. Errors: A006. */
function checked(module: Module, file: string): Module {
  const [fault] = verify(module);
  if (fault) fail("A006", fault.text, inFile(file), "correct the module, or dump it again");
  return module;
}

/** Sizes of the model's free dimensions as the dump's inputs have them. */
function dimsIn(module: Module, model: string | undefined): Record<string, number> {
  if (model === undefined) return {};
  const shapes = new Map(module.inputs.map((p) => [p.name, p.value.type.shape]));
  const bound = readPorts(model).inputs.flatMap(({ name, dims }) =>
    dims.flatMap((dim, axis): [string, number][] => {
      const size = shapes.get(name)?.[axis];
      return dim !== null && typeof size === "number" ? [[dim, size]] : [];
    }),
  );
  return Object.fromEntries(bound);
}
