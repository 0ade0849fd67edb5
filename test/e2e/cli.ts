/** Runs the command line as a user would, from the sources. */

import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { vi } from "vitest";
import { explain } from "../../src/cli/explain.ts";
import { createProgram } from "../../src/cli/program.ts";

const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** In this process: what src/cli/main.ts does, with what is printed kept. Starting a process takes a second. */
export async function aimcc(...args: readonly string[]): Promise<Ran> {
  const printed = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation((chunk) => {
      printed[stream] += String(chunk);
      return true;
    }),
  );
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    await createProgram().parseAsync(["node", "aimcc", ...args]);
  } catch (error) {
    process.exitCode = explain(error);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  const status = Number(process.exitCode);
  process.exitCode = before;
  return { status, ...printed };
}

/** In a process of its own. */
export function aimccProcess(...args: readonly string[]): Ran {
  const main = resolve("src/cli/main.ts");
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", tsx, main, ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, stdout, stderr };
}

/** A place for outputs, outside of the project. */
export const place = (): string => mkdtempSync(join(tmpdir(), "aimcc-e2e-"));
