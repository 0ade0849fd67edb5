/** `aimcc explain`: the long form of an error code. */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Command } from "commander";
import { fail } from "../../diag/diagnostic.ts";
import { byDistance } from "../../diag/nearest.ts";
import { targetsFolder } from "../../target/load.ts";
import { out, table } from "../terminal.ts";

const AFTER = `
Examples:
  aimcc explain A120      what the error means and how to get rid of it
  aimcc explain           all codes`;

export function explainCommand(): Command {
  return new Command("explain")
    .description("say what an error code means and what to do about it")
    .argument("[code]", "the code in brackets of a message, for example A120")
    .addHelpText("after", AFTER)
    .action((code: string | undefined) => {
      out(code === undefined ? allCodes() : pageOf(code));
    });
}

const folder = (): string => join(targetsFolder(), "..", "docs", "errors");

const codes = (): string[] =>
  readdirSync(folder())
    .filter((file) => file.endsWith(".md"))
    .map((file) => basename(file, ".md"))
    .sort();

const read = (code: string): string => readFileSync(join(folder(), `${code}.md`), "utf8");

/** Errors: A012 for a code that there is not. */
function pageOf(text: string): string {
  const code = text.toUpperCase().replace(/^(?:ERROR|WARNING)?\[?(A\d+)\]?$/, "$1");
  const known = codes();
  if (known.includes(code)) return read(code);
  const [nearest = ""] = byDistance(code, known);
  const hint = `the nearest is ${nearest}; aimcc explain lists all codes`;
  return fail("A012", `there is no code '${text}'`, { kind: "command" }, hint);
}

function allCodes(): string {
  return table(codes().map((code) => [code, /^# \w+: (.*)$/m.exec(read(code))?.[1] ?? ""]));
}
