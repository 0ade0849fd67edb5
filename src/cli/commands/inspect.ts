/** `aimcc inspect`: questions about an artifact or a dump, answered from its files alone. */

import { existsSync, readFileSync, statSync } from "node:fs";
import { Command, Option } from "commander";
import { stableJson } from "../../backend/json.ts";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { parseModule } from "../../ir/parse.ts";
import { type Artifact, loadArtifact } from "../../sim/load.ts";
import { describeModule, moduleFacts } from "../inspect/dump.ts";
import { describeNode, nodeFacts } from "../inspect/node.ts";
import { describeOps, describeSchedule, opsFacts } from "../inspect/program.ts";
import { describeSummary, summaryFacts } from "../inspect/summary.ts";
import { describeTiles, tilesFacts } from "../inspect/tiles.ts";
import { describeWeight, weightFacts } from "../inspect/weight.ts";
import { jsonOption } from "../options.ts";
import { out } from "../terminal.ts";

const AFTER = `
Examples:
  aimcc inspect out/model                          what it is, what it needs
  aimcc inspect out/model --weight h.0.attn.c_attn where a weight is: tiles, rows, columns, scales
  aimcc inspect out/model --node /h.0/mlp/c_fc/Gemm    what became of a node of the ONNX file
  aimcc inspect out/model --tiles                  the floor plan
  aimcc inspect out/model/ir/03-simplify.mlir      the operations of a dump`;

interface InspectOptions {
  readonly ops?: boolean;
  readonly tiles?: boolean;
  readonly schedule?: boolean;
  readonly node?: string;
  readonly weight?: string;
  readonly json?: boolean;
}

export function inspectCommand(): Command {
  const views = ["ops", "tiles", "schedule", "node", "weight"];
  const view = (flags: string, text: string, name: string) =>
    new Option(flags, text).conflicts(views.filter((v) => v !== name));
  return new Command("inspect")
    .description("answer questions about an artifact or a dump of the IR")
    .argument("<dir|file.mlir>", "an artifact, or a textual module")
    .addOption(view("--ops", "list the operations of the program", "ops"))
    .addOption(view("--tiles", "draw the floor plan and list the tiles", "tiles"))
    .addOption(view("--schedule", "list what every cluster runs, in order", "schedule"))
    .addOption(view("--node <n>", "one node: its ONNX name, or a number of the machine", "node"))
    .addOption(
      view("--weight <name>", "one weight: initializer, module path, or its end", "weight"),
    )
    .addOption(jsonOption())
    .addHelpText("after", AFTER)
    .action((place: string, options: InspectOptions) => inspect(place, options));
}

function inspect(place: string, options: InspectOptions): void {
  if (!existsSync(place)) {
    const hint = "give the -o directory of aimcc compile, or a .mlir file of its ir folder";
    fail("A003", "there is no such artifact", inFile(place), hint);
  }
  const answer = statSync(place).isDirectory()
    ? fromArtifact(loadArtifact(place), options)
    : fromDump(place);
  out(options.json ? stableJson(answer.facts()) : answer.text());
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
