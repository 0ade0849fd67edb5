/** `aimcc targets list|show|check`: the machines that can be compiled for, and the devices in their tiles. */

import { Command } from "commander";
import { DEFAULT_RANGE, HEAD_ROOM, SMALLEST_BOUND } from "../../../passes/calibrate/measure.ts";
import { stableJson } from "../../backend/json.ts";
import { drawDevice } from "../../report/device-curves.ts";
import { deviceInWords, productInWords } from "../../report/model-text.ts";
import type { Device } from "../../target/device.ts";
import {
  type Described,
  listDevices,
  listTargets,
  loadDescribed,
  loadDevice,
  loadTarget,
} from "../../target/load.ts";
import type { Target } from "../../target/schema.ts";
import { LEAST_SCALE } from "../../tensor/column-scales.ts";
import { out, table } from "../terminal.ts";
import { checkIsa } from "../usable-isa.ts";

const AFTER = `
Examples:
  aimcc targets                     list the bundled targets and device models
  aimcc targets show ahwa-lora      print one with its device model, the source of every constant, and the curves drawn
  aimcc targets show afm-pcm        the same of a device model
  aimcc targets check my-chip.yaml  check a target file or a device file of your own`;

const CALIBRATING = {
  defaultRange: DEFAULT_RANGE,
  headRoom: HEAD_ROOM,
  leastBound: SMALLEST_BOUND,
  leastScale: LEAST_SCALE,
};

const NAME = "the name of a bundled target or device model, or the path of a YAML file";

export function targetsCommand(): Command {
  const json = ["--json", "print JSON (docs/json.md)"] as const;
  const command = new Command("targets")
    .description("list, show or check descriptions of machines and devices")
    .addHelpText("after", AFTER);
  command
    .command("list", { isDefault: true })
    .description("list the bundled targets and device models")
    .option(...json)
    .action((options: { json?: boolean }) => list(options.json === true));
  command
    .command("show")
    .description("print a target or a device model")
    .argument("<name>", NAME)
    .option(...json)
    .action((name: string, options: { json?: boolean }) => show(name, options.json === true));
  command
    .command("check")
    .description("check a target file or a device file")
    .argument("<name>", NAME)
    .action((name: string) => {
      const { target, device } = loadDescribed(name);
      if (target) checkIsa(target, name);
      if (target) out(`${name}: a valid target\n${summaryOf(target)}`);
      else out(`${name}: a valid device model\n${deviceSummary(device)}`);
    });
  return command;
}

function list(json: boolean): void {
  const targets = listTargets().map(loadTarget);
  const devices = listDevices().map((name) => loadDevice(name));
  if (json) {
    out(
      stableJson({
        devices: devices.map(({ name, summary }) => ({ name, summary })),
        targets: targets.map(({ name, summary, nodes }) => ({ name, nodes: nodes.count, summary })),
      }),
    );
    return;
  }
  const rows = targets.map((t) => [t.name, nodesOf(t), sizeOf(t), t.device.name, t.summary]);
  out(table([["target", "nodes", "tile", "device", "what"], ...rows]));
  out(`\n${table([["device", "what"], ...devices.map((d) => [d.name, d.summary])])}`);
}

function show(name: string, json: boolean): void {
  const described = loadDescribed(name);
  if (json) {
    out(stableJson(described.target ?? described.device));
    return;
  }
  const { device, target } = described;
  const words = [
    ...deviceInWords(device, CALIBRATING),
    ...(target ? ["", ...productInWords(target, CALIBRATING)] : []),
  ];
  const comments = [...words, "", ...drawDevice(device)].map((line) => `# ${line}`.trimEnd());
  out(`${wholeText(described)}\n${comments.join("\n")}`.trimEnd());
}

/** The file's text, with the device model written out where it is only named: it is a file of that kind again. */
function wholeText({ text, deviceText }: Described): string {
  if (deviceText === undefined) return text;
  const body = deviceText.split("\n").filter((line) => !line.startsWith("# yaml-language-server"));
  const inlined = body.map((line) => (line === "" ? "" : `  ${line}`)).join("\n");
  return text.replace(/^device:.*$/m, () => `device:\n${inlined.trimEnd()}`);
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
    ["device", `${t.device.name}: ${t.device.summary}`],
  ]);
}

function deviceSummary(d: Device): string {
  const effects = [
    ["drift", d.drift],
    ["1/f noise", d.flicker],
    ["write and verify", d.programming.verify],
    ["stuck devices", d.faults],
    ["drift compensation", d.compensation],
  ] as const;
  const modelled = effects.flatMap(([name, effect]) => (effect ? [name] : []));
  return table([
    ["name", d.name],
    ["what", d.summary],
    ["g_max", `${d.gMax.value} ${d.unit}`],
    ["pair", `${d.pair}, ${d.devicesPerPolarity.value} a polarity`],
    ["modelled", ["programming noise", ...modelled].join(", ")],
  ]);
}
