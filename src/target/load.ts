/** Reads targets: the bundled ones by name, others by the path of their YAML file. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail } from "../diag/diagnostic.ts";
import { byDistance } from "../diag/nearest.ts";
import { Target } from "./schema.ts";
import { parseYaml } from "./yaml-file.ts";

/** The folder of bundled targets: beside package.json, in the checkout and in the installed package. */
export function targetsFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const above = dirname(folder);
    if (above === folder) throw new Error("no package.json above the target loader");
    folder = above;
  }
  return join(folder, "targets");
}

/** Names of the bundled targets, sorted. */
export const listTargets = (): string[] =>
  readdirSync(targetsFolder())
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => basename(file, ".yaml"))
    .sort();

const isPath = (text: string): boolean => /[\\/]|\.ya?ml$/.test(text);

/**
 * A bundled target's name, or the path of a target file (it has a slash or ends in .yaml or .yml).
 * Throws A201 when there is no such target and A202 when the file is not a valid one.
 */
export function loadTarget(nameOrPath: string): Target {
  const path = isPath(nameOrPath) ? nameOrPath : join(targetsFolder(), `${nameOrPath}.yaml`);
  if (!existsSync(path)) unknown(nameOrPath);
  return parseTarget(readFileSync(path, "utf8"), isPath(nameOrPath) ? path : `${nameOrPath}.yaml`);
}

/** A target from YAML text; `file` names it in messages. */
export const parseTarget = (text: string, file: string): Target =>
  parseYaml(text, file, Target, {
    code: "A202",
    hint: "targets/schema.json describes a target; `aimcc targets show ahwa-lora` prints a complete one",
  });

function unknown(name: string): never {
  if (isPath(name)) {
    fail("A201", `there is no target file ${name}`, { kind: "command" }, "check the path");
  }
  const names = listTargets();
  const hint = `bundled targets: ${names.join(", ")}; or give the path of a YAML file`;
  const [nearest = ""] = byDistance(name, names);
  const text = `there is no target called '${name}'; the nearest is '${nearest}'`;
  fail("A201", text, { kind: "command" }, hint);
}
