/** What a failed run says, and the exit status that it gives. */

import { CommanderError } from "commander";
import { InputError } from "../diag/diagnostic.ts";
import { say } from "./terminal.ts";

export function explain(error: unknown): number {
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
