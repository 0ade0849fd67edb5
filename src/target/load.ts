/** Reads targets and device models: the bundled ones by name, others by the path of their YAML file. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, inFile, type Place } from "../diag/diagnostic.ts";
import { byDistance } from "../diag/nearest.ts";
import { Device } from "./device.ts";
import { type Target, TargetFile } from "./schema.ts";
import { parseYaml } from "./yaml-file.ts";

/** A folder of bundled data: beside package.json, in the checkout and in the installed package. */
function bundled(name: "targets" | "devices"): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const above = dirname(folder);
    if (above === folder) throw new Error("no package.json above the target loader");
    folder = above;
  }
  return join(folder, name);
}

export const targetsFolder = (): string => bundled("targets");

const namesIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => basename(file, ".yaml"))
    .sort();

/** Names of the bundled targets, sorted. */
export const listTargets = (): string[] => namesIn(targetsFolder());

/** Names of the bundled device models, sorted. */
export const listDevices = (): string[] => namesIn(bundled("devices"));

const COMMAND: Place = { kind: "command" };

const isPath = (text: string): boolean => /[\\/]|\.ya?ml$/.test(text);

const TARGET_KIND = {
  code: "A202",
  hint: "targets/schema.json describes a target; `aimcc targets show ahwa-lora` prints a complete one",
};

const DEVICE_KIND = {
  code: "A231",
  hint: "devices/schema.json describes a device model; `aimcc targets show pcm-like-25us` prints a complete one",
};

/**
 * A bundled target's name, or the path of a target file (it has a slash or ends in .yaml or .yml).
 * Throws A201 when there is no such target, A202 when the file is not a valid one, and A230 and A231 for its device.
 */
export function loadTarget(nameOrPath: string): Target {
  const { text, shown } = readNamed("target", nameOrPath);
  if (DEVICE_KEYS.test(text)) {
    const hint = `name it in a target file: device: ${isAbsolute(shown) ? shown : `./${shown}`}`;
    fail("A202", "this is a device model, not a target", inFile(shown), hint);
  }
  return parseTarget(text, shown);
}

/** A target from YAML text; `file` names it in messages, and device files are looked up beside it. */
export function parseTarget(text: string, file: string): Target {
  const { device, ...machine } = parseYaml(text, file, TargetFile, TARGET_KIND);
  if (typeof device !== "string") return { ...machine, device };
  return { ...machine, device: loadDevice(device, dirname(file), inFile(file)) };
}

/**
 * A bundled device model's name, or the path of a device file; relative paths start at `folder`. `place` is where
 * the name was found. Throws A230 when there is no such device and A231 when the file is not a valid one.
 */
export function loadDevice(nameOrPath: string, folder = ".", place: Place = COMMAND): Device {
  const { text, shown } = readNamed("device", nameOrPath, folder, place);
  return parseYaml(text, shown, Device, DEVICE_KIND);
}

/** A description with the text that it was read from. */
export interface Described {
  readonly text: string;
  /** Absent for a device model. */
  readonly target?: Target;
  readonly device: Device;
  /** The text of the device model where the target only names it. */
  readonly deviceText?: string;
}

/** Keys that only a device model has at its top: several, because one of them may be misspelt. */
const DEVICE_KEYS = /^(programming|gMax|devicesPerPolarity|pair):/m;

/** A target or a device model, by name or path. */
export function loadDescribed(nameOrPath: string): Described {
  const names = [...listTargets(), ...listDevices()];
  if (!isPath(nameOrPath) && !names.includes(nameOrPath))
    unknown("target or device", nameOrPath, names, COMMAND);
  const isDevice = !isPath(nameOrPath) && listDevices().includes(nameOrPath);
  const { text, shown } = readNamed(isDevice ? "device" : "target", nameOrPath);
  if (isDevice || DEVICE_KEYS.test(text)) {
    return { text, device: parseYaml(text, shown, Device, DEVICE_KIND) };
  }
  const target = parseTarget(text, shown);
  const { device } = parseYaml(text, shown, TargetFile, TARGET_KIND);
  if (typeof device !== "string") return { text, target, device };
  const { text: deviceText } = readNamed("device", device, dirname(shown), inFile(shown));
  return { text, target, device: target.device, deviceText };
}

/** The text of a bundled file by its name, or of another by its path, and what messages call it. */
function readNamed(
  kind: "target" | "device",
  nameOrPath: string,
  folder = ".",
  place: Place = COMMAND,
): { readonly text: string; readonly shown: string } {
  const own = isAbsolute(nameOrPath) ? nameOrPath : join(folder, nameOrPath);
  const path = isPath(nameOrPath) ? own : join(bundled(`${kind}s`), `${nameOrPath}.yaml`);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    unknown(kind, nameOrPath, kind === "target" ? listTargets() : listDevices(), place);
  }
  return {
    text: readFileSync(path, "utf8"),
    shown: isPath(nameOrPath) ? own : `${nameOrPath}.yaml`,
  };
}

function unknown(
  kind: "target" | "device" | "target or device",
  name: string,
  names: readonly string[],
  place: Place,
): never {
  const code = kind === "device" ? "A230" : "A201";
  if (isPath(name)) fail(code, `there is no ${kind} file ${name}`, place, "check the path");
  const hint = `bundled: ${names.join(", ")}; or give the path of a YAML file`;
  const [nearest = ""] = byDistance(name, names);
  fail(code, `there is no ${kind} called '${name}'; the nearest is '${nearest}'`, place, hint);
}
