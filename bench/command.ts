/** Runs the command line in a process of its own, and measures it. */

import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

export interface Measured {
  readonly seconds: number;
  /** Largest resident set, in bytes. */
  readonly peak: number;
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const ROOT = resolve(import.meta.dirname, "..");

/** `aimcc ARGUMENTS`, with options for node before it. */
export function aimcc(args: readonly string[], node: readonly string[] = []): Measured {
  const files = ["--import", "./bench/peak.ts", "src/cli/main.ts"];
  const before = performance.now();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...node, "--import", "tsx", ...files, ...args],
    { cwd: ROOT, encoding: "utf8" },
  );
  const seconds = (performance.now() - before) / 1000;
  const [, kib = "0"] = /peak-rss-kib (\d+)/.exec(stderr) ?? [];
  return { seconds, peak: Number(kib) * 1024, status, stdout, stderr };
}
