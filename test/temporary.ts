/** What tests write lies in one folder, which goes when they have ended. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let folder: string | undefined;

/** Before any worker starts, so that all take the variable over. */
export function setup(): void {
  folder = mkdtempSync(join(tmpdir(), "aimcc-tests-"));
  process.env["TMPDIR"] = folder;
}

export function teardown(): void {
  if (folder) rmSync(folder, { recursive: true, force: true });
}
