#!/usr/bin/env node
/**
 * The command line. It translates: arguments in, files, text and exit statuses out.
 *
 * Exit status: 0 done; 1 verified and found wrong; 2 the input or the command is at fault; 70 our own fault.
 */

import { CommanderError } from "commander";
import { InputError } from "../diag/diagnostic.ts";
import { createProgram } from "./program.ts";
import { endQuietlyWithoutReader, say } from "./terminal.ts";

endQuietlyWithoutReader();
try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  process.exitCode = explain(error);
}

/** Says what went wrong and gives the exit status. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof InputError) {
    say(error.message);
    return 2;
  }
  const text = error instanceof Error ? error.message : String(error);
  say(`internal error: ${text} (please report this; AIMCC_DEBUG=1 shows where)`);
  if (process.env["AIMCC_DEBUG"] === "1" && error instanceof Error) say(error.stack ?? "");
  return 70;
}
