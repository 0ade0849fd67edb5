/** `aimcc report`: the artifact as one HTML page. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { out } from "../terminal.ts";
import { pageOf } from "../trace.ts";

const AFTER = `
Example:
  aimcc report out/model        writes out/model/report.html, which needs no network and no other file`;

export function reportCommand(): Command {
  return new Command("report")
    .description("write one self-contained HTML page about an artifact")
    .argument("<dir>", "an artifact")
    .option("-o, --output <file>", "where to write the page (default: report.html in the artifact)")
    .addHelpText("after", AFTER)
    .action((dir: string, options: { output?: string }) => {
      const file = options.output ?? join(dir, "report.html");
      const page = pageOf(dir);
      try {
        writeFileSync(file, page);
      } catch (error) {
        const reason = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
        fail("A009", `cannot write the report (${reason})`, inFile(file), "give another -o");
      }
      out(file);
    });
}
