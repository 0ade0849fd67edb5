/** `aimcc targets list|show|check`: the machines that can be compiled for. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { stableJson } from "../../backend/json.ts";
import { listTargets, loadTarget, targetsFolder } from "../../target/load.ts";
import type { Target } from "../../target/schema.ts";
import { out, table } from "../terminal.ts";

const AFTER = `
Examples:
  aimcc targets                     list the bundled targets
  aimcc targets show ahwa-lora      print one, with the source of every constant
  aimcc targets check my-chip.yaml  check a target file of your own`;

export function targetsCommand(): Command {
  const json = ["--json", "print JSON (docs/json.md)"] as const;
  const command = new Command("targets")
    .description("list, show or check descriptions of machines")
    .addHelpText("after", AFTER);
  command
    .command("list", { isDefault: true })
    .description("list the bundled targets")
    .option(...json)
    .action((options: { json?: boolean }) => list(options.json === true));
  command
    .command("show")
    .description("print a target")
    .argument("<target>", "a bundled target's name, or the path of a YAML file")
    .option(...json)
    .action((name: string, options: { json?: boolean }) => show(name, options.json === true));
  command
    .command("check")
    .description("check a target file")
    .argument("<target>", "a bundled target's name, or the path of a YAML file")
    .action((name: string) => {
      out(`${name}: a valid target\n${summaryOf(loadTarget(name))}`);
    });
  return command;
}

function list(json: boolean): void {
  const targets = listTargets().map(loadTarget);
  if (json) {
    out(
      stableJson(
        targets.map(({ name, summary, nodes }) => ({ name, nodes: nodes.count, summary })),
      ),
    );
    return;
  }
  const rows = targets.map((t) => [t.name, nodesOf(t), sizeOf(t), t.summary]);
  out(table([["target", "nodes", "tile", "what"], ...rows]));
}

function show(name: string, json: boolean): void {
  const target = loadTarget(name);
  if (json) out(stableJson(target));
  else
    out(
      readFileSync(
        /[\\/]|\.ya?ml$/.test(name) ? name : join(targetsFolder(), `${name}.yaml`),
        "utf8",
      ),
    );
}

const nodesOf = (t: Target): string =>
  t.nodes.count === "as-needed" ? "as needed" : String(t.nodes.count);
const sizeOf = (t: Target): string => `${t.tile.rows.value} x ${t.tile.cols.value}`;

function summaryOf(t: Target): string {
  const { dac, adc, mvmNs } = t.tile;
  return table([
    ["name", t.name],
    ["what", t.summary],
    ["nodes", nodesOf(t)],
    [
      "tile",
      `${sizeOf(t)}, DAC ${dac.bits.value} bit, ADC ${adc.bits.value} bit, MVM ${mvmNs.value} ns`,
    ],
    [
      "cluster",
      `${t.cluster.cores.value} cores ${t.cluster.isa}, ${t.cluster.clockMHz.value} MHz, ` +
        `TCDM ${t.cluster.tcdmKiB.value} KiB`,
    ],
    ["noise", t.noise.name],
  ]);
}
