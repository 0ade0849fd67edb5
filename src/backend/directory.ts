/**
 * Writes an output directory all at once: it is filled under another name beside its place and then
 * renamed, so that a run that fails leaves nothing half-written and what stood there before stays.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fail, inFile } from "../diag/diagnostic.ts";

/** Refuses a place that holds something other than an artifact of ours; creates nothing. */
export function checkDestination(dir: string): void {
  if (!existsSync(dir)) return;
  const entries = listed(dir);
  if (entries.length === 0 || isArtifact(dir)) return;
  const hint = "give another -o, or empty this directory; only an earlier artifact is replaced";
  fail("A450", "the output directory holds files that are not an artifact", inFile(dir), hint);
}

/** True when the directory holds an artifact's manifest. */
function isArtifact(dir: string): boolean {
  try {
    const manifest = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8")) as unknown;
    const isObject = typeof manifest === "object" && manifest !== null;
    return isObject && "format" in manifest && manifest.format === "aimcc-artifact";
  } catch {
    return false;
  }
}

/** Fills `dir` by `fill(temporary directory)`; on any failure nothing of it remains. */
export async function writeDirectory(
  dir: string,
  fill: (temporary: string) => void | Promise<void>,
): Promise<void> {
  checkDestination(dir);
  const place = resolve(dir);
  const temporary = join(dirname(place), `.${basename(place)}.${process.pid}.partial`);
  const firstMade = makeDirectory(temporary, dir);
  try {
    await fill(temporary);
    replace(place, temporary);
  } catch (error) {
    rmSync(firstMade ?? temporary, { recursive: true, force: true });
    throw error;
  }
}

/** The outermost directory that had to be made. */
function makeDirectory(path: string, asked: string): string | undefined {
  try {
    return mkdirSync(path, { recursive: true });
  } catch (error) {
    return unwritable(asked, error);
  }
}

function replace(place: string, temporary: string): void {
  const old = `${temporary}.old`;
  const existed = existsSync(place);
  if (existed) renameSync(place, old);
  renameSync(temporary, place);
  if (existed) rmSync(old, { recursive: true, force: true });
}

function listed(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    return unwritable(dir, error);
  }
}

function unwritable(dir: string, error: unknown): never {
  const reason = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
  fail("A451", `cannot write the directory (${reason})`, inFile(dir), "give a directory with -o");
}
