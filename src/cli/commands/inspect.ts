/** `aimcc inspect`: questions about a model, an artifact or a dump, answered from its files alone. */

import { existsSync, readFileSync, statSync } from "node:fs";
import { Command, Option } from "commander";
import { stableJson } from "../../backend/json.ts";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { examineModel } from "../../driver/examine.ts";
import { parseModule } from "../../ir/parse.ts";
import { type Artifact, loadArtifact } from "../../sim/load.ts";
import { loadPolicy } from "../../target/policy.ts";
import { describeCalibration, readCalibration } from "../inspect/calibration.ts";
import { describeModule, moduleFacts } from "../inspect/dump.ts";
import { describeModelFile, modelFacts } from "../inspect/model.ts";
import { describeNode, nodeFacts } from "../inspect/node.ts";
import { describeOps, describeSchedule, opsFacts } from "../inspect/program.ts";
import { describeCluster, describePrograms, imageOf, readPrograms } from "../inspect/programs.ts";
import { describeSummary, summaryFacts } from "../inspect/summary.ts";
import { describeTiles, tilesFacts } from "../inspect/tiles.ts";
import { describeWeight, weightFacts } from "../inspect/weight.ts";
import { addDim, jsonOption, wholeNumber } from "../options.ts";
import { out } from "../terminal.ts";

const AFTER = `
Examples:
  aimcc inspect model.onnx                         what the compiler sees in a model, before it compiles
  aimcc inspect out/model                          what it is, what it needs
  aimcc inspect out/model --weight h.0.attn.c_attn where a weight is: tiles, rows, columns, scales
  aimcc inspect out/model --node /h.0/mlp/c_fc/Gemm    what became of a node of the ONNX file
  aimcc inspect out/model --tiles                  the floor plan
  aimcc inspect out/model --programs               the machine code of the clusters, and what memory it takes
  aimcc inspect out/model --programs 3             one of them: its memory map and its source
  aimcc inspect out/model --calibration            what the full scales of converters cost, layer by layer
  aimcc inspect out/model/ir/03-simplify.mlir      the operations of a dump`;

interface InspectOptions {
  readonly ops?: boolean;
  readonly tiles?: boolean;
  readonly schedule?: boolean;
  readonly programs?: true | number;
  readonly calibration?: boolean;
  readonly node?: string;
  readonly weight?: string;
  readonly dim?: Record<string, number>;
  readonly policy: string;
  readonly json?: boolean;
}

const VIEWS = ["ops", "tiles", "schedule", "programs", "calibration", "node", "weight"] as const;

export function inspectCommand(): Command {
  const view = (flags: string, text: string, name: string) =>
    new Option(flags, text).conflicts(VIEWS.filter((v) => v !== name));
  return new Command("inspect")
    .description("answer questions about a model, an artifact or a dump of the IR")
    .argument("<model.onnx|dir|file.mlir>", "a model, an artifact, or a textual module")
    .addOption(view("--ops", "list the operations of the program", "ops"))
    .addOption(view("--tiles", "draw the floor plan and list the tiles", "tiles"))
    .addOption(view("--schedule", "list what every cluster runs, in order", "schedule"))
    .addOption(
      view(
        "--programs [cluster]",
        "list the programs of clusters, or draw one",
        "programs",
      ).argParser(wholeNumber),
    )
    .addOption(
      view("--calibration", "list what each choice of full scales costs, by layer", "calibration"),
    )
    .addOption(view("--node <n>", "one node: its ONNX name, or a number of the machine", "node"))
    .addOption(
      view("--weight <name>", "one weight: initializer, module path, or its end", "weight"),
    )
    .option("--dim <name=n>", "of a model: size of a free dimension; others are chosen", addDim)
    .option("--policy <name|file>", "of a model: what would go on tiles", "default")
    .addOption(jsonOption())
    .addHelpText("after", AFTER)
    .action((place: string, options: InspectOptions) => inspect(place, options));
}

async function inspect(place: string, options: InspectOptions): Promise<void> {
  if (!existsSync(place)) {
    const hint =
      "give a model, the -o directory of aimcc compile, or a .mlir file of its ir folder";
    fail("A003", "there is no such model or artifact", inFile(place), hint);
  }
  const answer = await answerAbout(place, options);
  out(options.json ? stableJson(answer.facts()) : answer.text());
}

async function answerAbout(place: string, options: InspectOptions): Promise<Answer> {
  if (options.calibration && statSync(place).isDirectory()) {
    const { weights } = readCalibration(place);
    return { text: () => describeCalibration(weights), facts: () => weights };
  }
  if (options.programs !== undefined && statSync(place).isDirectory()) {
    return fromPrograms(place, options.programs);
  }
  if (statSync(place).isDirectory()) return fromArtifact(loadArtifact(place), options);
  return place.endsWith(".mlir") ? fromDump(place) : await fromModel(place, options);
}

function fromPrograms(directory: string, cluster: true | number): Answer {
  const programs = readPrograms(directory);
  if (cluster === true) return { text: () => describePrograms(programs), facts: () => programs };
  return {
    text: () => describeCluster(directory, programs, cluster),
    facts: () => imageOf(directory, programs, cluster),
  };
}

async function fromModel(model: string, options: InspectOptions): Promise<Answer> {
  const asked = VIEWS.find((v) => options[v]);
  if (asked !== undefined) {
    const hint = "compile the model, and ask the artifact";
    fail("A013", `--${asked} is a question about an artifact`, inFile(model), hint);
  }
  const dims = options.dim ?? {};
  const seen = await examineModel({ model, dims, policy: loadPolicy(options.policy) });
  return {
    text: () => describeModelFile(model, seen),
    facts: () => modelFacts(model, seen),
  };
}

interface Answer {
  text(): string;
  facts(): unknown;
}

function fromArtifact(a: Artifact, options: InspectOptions): Answer {
  const { weight, node } = options;
  if (weight !== undefined) {
    return { text: () => describeWeight(a, weight), facts: () => weightFacts(a, weight) };
  }
  if (node !== undefined) {
    return { text: () => describeNode(a, node), facts: () => nodeFacts(a, node) };
  }
  if (options.tiles) return { text: () => describeTiles(a), facts: () => tilesFacts(a) };
  if (options.schedule) return { text: () => describeSchedule(a), facts: () => a.schedule };
  if (options.ops) return { text: () => describeOps(a), facts: () => opsFacts(a) };
  return { text: () => describeSummary(a), facts: () => summaryFacts(a) };
}

function fromDump(file: string): Answer {
  const module = parseModule(readFileSync(file, "utf8"), file);
  return { text: () => describeModule(module), facts: () => moduleFacts(module) };
}
