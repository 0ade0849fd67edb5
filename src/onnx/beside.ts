/** Writes files beside their places and renames them, so that a failure leaves what stood there before. */

import { existsSync, lstatSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * `write` gets a place for each path, and need not fill all of them. What is there already but no ordinary file, such
 * as /dev/stdout or a link, is written as it is.
 */
export function writeBeside(
  paths: readonly string[],
  write: (places: readonly string[]) => void,
): void {
  const places = paths.map(placeFor);
  try {
    write(places);
    for (const [i, path] of paths.entries()) {
      const place = places[i] as string;
      if (place !== path && existsSync(place)) renameSync(place, path);
    }
  } catch (error) {
    for (const place of places.filter((p, i) => p !== paths[i])) rmSync(place, { force: true });
    throw error;
  }
}

function placeFor(path: string): string {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there && !there.isFile()) return path;
  return join(dirname(path), `.${basename(path)}.${process.pid}.partial`);
}
