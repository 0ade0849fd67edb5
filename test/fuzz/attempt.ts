/**
 * Tries one case as a user would, through the command line's own functions, and says what broke: a promise
 * that the tool makes for any input.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { explain } from "../../src/cli/explain.ts";
import { createProgram } from "../../src/cli/program.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { isDecided } from "./judge.ts";
import { type Case, type Command, SURFACES } from "./surfaces.ts";

/** Memory that one command may take beyond what the process had: the project's own bound. */
const MEMORY = 2 ** 30;

/** What a case may leave in its folder. */
const EXPECTED = new Set(["given", "artifact", "report.html", "exported.onnx", "tmp"]);

/** Files that ONNX Runtime itself keeps among the temporary ones. */
const ONNX_RUNTIMES = /^(\.ses|mat-debug-\d+\.log)$/;

export interface Result {
  /** For each command that ran: a code of refusal, `done`, `agrees` … */
  readonly outcomes: readonly string[];
  /** What broke, if anything did. */
  readonly find?: string;
  readonly command?: Command;
}

/** Lays the case out in a folder of its own and runs its commands. `keep`: a folder to leave it in. */
export async function attempt(c: Case, ready: string, keep?: string): Promise<Result> {
  const root = keep ?? mkdtempSync(join(tmpdir(), "aimcc-fuzz-"));
  const home = process.cwd();
  const temporary = process.env["TMPDIR"];
  const outcomes: string[] = [];
  try {
    mkdirSync(join(root, "given"), { recursive: true });
    mkdirSync(join(root, "tmp"), { recursive: true });
    const surface = SURFACES[c.surface];
    if (!surface) throw new Error(`there is no surface ${c.surface}`);
    const commands = surface.lay(c, join(root, "given"), ready);
    if (keep) writeFileSync(join(root, "commands.txt"), commands.map(shown).join(""));
    process.chdir(root);
    process.env["TMPDIR"] = join(root, "tmp");
    for (const command of commands) {
      resetPeak();
      const ran = await runCommand(command);
      const find = broken(ran, root, command) ?? (await wrongAnswer(ran, command));
      if (find) return { outcomes, find, command };
      outcomes.push(outcomeOf(ran));
      if (ran.status !== 0 && command[0] === "compile") break;
    }
    return { outcomes };
  } finally {
    process.chdir(home);
    if (temporary === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = temporary;
    if (!keep) rmSync(root, { recursive: true, force: true });
  }
}

const shown = (command: Command): string =>
  `aimcc ${command.map((a) => JSON.stringify(a)).join(" ")}\n`;

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly error: unknown;
}

/** As main.ts does, with what is written caught. */
async function runCommand(command: Command): Promise<Ran> {
  const texts = { stdout: "", stderr: "" };
  const writers = { stdout: process.stdout.write, stderr: process.stderr.write };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].write = ((text: string | Uint8Array) => {
      texts[name] += text.toString();
      return true;
    }) as typeof process.stdout.write;
  }
  let error: unknown;
  process.exitCode = 0;
  try {
    await createProgram().parseAsync(["node", "aimcc", ...command]);
  } catch (thrown) {
    error = thrown;
    process.exitCode = explain(thrown);
  } finally {
    process.stdout.write = writers.stdout;
    process.stderr.write = writers.stderr;
  }
  const status = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { status, ...texts, error };
}

const REFUSAL = /^error\[(A\d{3})\]: .+\n(?:.*\n)*? {2}at .+\n {2}hint: .+/m;

const outcomeOf = ({ status, stderr }: Ran): string =>
  status === 2 ? (REFUSAL.exec(stderr)?.[1] ?? "refused") : status === 1 ? "undecided" : "done";

/** Which promise the run broke, if any. */
function broken(ran: Ran, root: string, command: Command): string | undefined {
  const { status, stdout, stderr, error } = ran;
  if (status === 70) return `internal error: ${stackOf(error)}`;
  if (/^\s+at .*[.]ts:\d+/m.test(stderr + stdout)) return `a stack trace: ${stderr}`;
  if (status === 2 && !REFUSAL.test(stderr) && !stderr.startsWith("Usage: "))
    return `a refusal without code, place or hint: ${stderr}`;
  if (status === 2 && stdout !== "") return `a refusal that also wrote results: ${stdout}`;
  if (stderr.length > 2 ** 20) return "more than a megabyte of messages";
  const strays = [
    ...readdirSync(root).filter((n) => !EXPECTED.has(n) && n !== "commands.txt"),
    ...readdirSync(join(root, "tmp"))
      .filter((n) => !ONNX_RUNTIMES.test(n))
      .map((n) => `tmp/${n}`),
  ];
  if (strays.length > 0) return `files beside the output: ${strays.join(", ")}`;
  if (command[0] === "compile" && status !== 0 && existsSync(join(root, "artifact"))) {
    return "a refused compilation left its output";
  }
  const peak = peakBytes();
  if (peak > MEMORY + base) return `memory: ${(peak / 2 ** 20).toFixed(0)} MiB`;
  return undefined;
}

function stackOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const lines = stack
    .split("\n")
    .filter((l) => !l.includes("node_modules") && !l.includes("node:"));
  return lines.slice(0, 8).join("\n").slice(0, 2000);
}

/** A verification that found a difference, where ONNX Runtime itself is sure of its answer. */
async function wrongAnswer(
  { status, stdout }: Ran,
  [name, dir = "", ...options]: Command,
): Promise<string | undefined> {
  if (name !== "verify" || status !== 1 || options.some((o) => o !== "--json")) return undefined;
  if (isLastDigit(stdout)) return undefined;
  return (await isDecided(loadArtifact(resolve(dir)))) ? `a wrong answer:\n${stdout}` : undefined;
}

/**
 * ONNX Runtime rounds halves below the normal range (2^-14) by a digit more or less than IEEE 754 asks; of
 * an output that small nothing is left to compare.
 */
function isLastDigit(stdout: string): boolean {
  const { runs } = JSON.parse(stdout) as { runs: { outputs: { maxReference: unknown }[] }[] };
  const largest = runs.flatMap((r) => r.outputs.map((o) => o.maxReference));
  return largest.every((v) => typeof v === "number" && v < 2 ** -14);
}

/** What the process has when it has done nothing yet. */
const base = process.memoryUsage.rss();

/** Linux can forget the largest size that a process has had; elsewhere the current size has to do. */
function resetPeak(): void {
  if (process.platform === "linux") writeFileSync("/proc/self/clear_refs", "5");
}

function peakBytes(): number {
  if (process.platform !== "linux") return process.memoryUsage.rss();
  const [, kilobytes = "0"] =
    /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}
