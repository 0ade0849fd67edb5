#!/usr/bin/env node
/**
 * The command line. It translates: arguments in, files, text and exit statuses out.
 *
 * Exit status: 0 done; 1 verified and found wrong; 2 the input or the command is at fault; 70 our own fault.
 */

import { explain } from "./explain.ts";
import { createProgram } from "./program.ts";
import { endQuietlyWithoutReader } from "./terminal.ts";

endQuietlyWithoutReader();
try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  process.exitCode = explain(error);
}
