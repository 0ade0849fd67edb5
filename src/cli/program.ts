/** The commands, and what they have in common: their help and how a mistyped one is answered. */

import { Command } from "commander";
import { compileCommand } from "./commands/compile.ts";
import { explainCommand } from "./commands/explain.ts";
import { exportCommand } from "./commands/export.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { optCommand } from "./commands/opt.ts";
import { reportCommand } from "./commands/report.ts";
import { runCommand } from "./commands/run.ts";
import { targetsCommand } from "./commands/targets.ts";
import { verifyCommand } from "./commands/verify.ts";
import { say } from "./terminal.ts";
import { version } from "./version.ts";

const AFTER = `
Examples:
  aimcc compile model.onnx -t ahwa-lora -o out/model --dim batch=1 --dim sequence=128
  aimcc verify out/model                    compare with ONNX Runtime on the original file
  aimcc verify out/model --mode noisy --seeds 5 --time 1d
  aimcc inspect out/model --weight h.0.attn.c_attn

Exit status: 0 done, 1 verified and found wrong, 2 the input or the command is at fault, 70 internal error.
Every error has a code: aimcc explain A120 says more about it.
Each command has its own help: aimcc compile --help`;

const COMMANDS = [
  compileCommand,
  runCommand,
  verifyCommand,
  inspectCommand,
  reportCommand,
  optCommand,
  exportCommand,
  targetsCommand,
  explainCommand,
];

export function createProgram(): Command {
  const program = new Command("aimcc")
    .description(
      "Compiles an ONNX transformer for analog in-memory computing tiles and RISC-V clusters, simulates the result, and says how far it is from the original model and what it costs.",
    )
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .showSuggestionAfterError(true)
    .addHelpText("after", AFTER);
  for (const create of COMMANDS) program.addCommand(create());
  for (const command of [program, ...descendants(program)]) inform(command);
  return program;
}

const descendants = (command: Command): Command[] =>
  command.commands.flatMap((c) => [c, ...descendants(c)]);

/** Mistakes are told as our other messages are: code, place, hint; and they throw instead of exiting. */
function inform(command: Command): void {
  command.exitOverride();
  command.configureOutput({
    writeErr: (text) => say(text),
    outputError: (text) => {
      const [line = "", ...more] = text
        .replace(/^error: /, "")
        .trimEnd()
        .split("\n");
      const suggestion = more.map((m) => m.replace(/^\((.*)\)$/, "$1")).join(" ");
      const help = `${nameOf(command)} --help lists what there is`;
      const hint = suggestion === "" ? help : `${suggestion} ${help}`;
      say(`error[A001]: ${line}\n  at the command line\n  hint: ${hint}`);
    },
  });
}

const nameOf = (command: Command): string =>
  command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();
