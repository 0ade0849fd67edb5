/** Opens a changed copy of a model whose data may lie in other files. */

import {
  constants,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { externalFiles } from "../onnx/external.ts";
import type { ModelProto } from "../onnx/proto.ts";
import { openModel, type Session, type SessionOptions } from "./run.ts";

/**
 * Opens `bytes`, a changed copy of the model at `path`. Its external data files are linked, or copied, beside the
 * copy; the file itself is not touched, and nothing is written beside it.
 */
export async function openBeside(
  path: string,
  model: ModelProto,
  bytes: Uint8Array,
  options: SessionOptions,
): Promise<Session> {
  const files = filesOf(path, model);
  if (files.size === 0) return openModel(bytes, options);
  const folder = mkdtempSync(join(tmpdir(), "aimcc-"));
  try {
    for (const [location, file] of files) bring(file, join(folder, location));
    const copy = join(folder, "model.onnx");
    writeFileSync(copy, bytes);
    // ONNX Runtime has read or mapped all data when this returns, so the folder may go.
    return await openModel(copy, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether the data files of a model can be brought beside a copy at no cost. */
export function canLink(path: string, model: ModelProto): boolean {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-"));
  try {
    for (const [i, file] of [...filesOf(path, model).values()].entries()) {
      linkSync(file, join(folder, String(i)));
    }
    return true;
  } catch (error) {
    if (error instanceof Error && "syscall" in error) return false;
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Data files by the location that the model names. */
function filesOf(path: string, { graph, functions }: ModelProto): ReadonlyMap<string, string> {
  const inFunctions = { node: (functions ?? []).flatMap((f) => f.node ?? []) };
  return new Map([...externalFiles(graph ?? {}, path), ...externalFiles(inFunctions, path)]);
}

/** A hard link costs nothing but works only within a file system. */
function bring(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  }
}
