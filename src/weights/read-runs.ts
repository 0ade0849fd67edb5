/** Reading runs of bytes from a file. */

import { closeSync, openSync, readSync } from "node:fs";

/** One system call reads less than 2 GiB. */
const AT_ONCE = 1 << 30;

/**
 * Fills `into` with runs of one length from these places of a file. Throws when the file is shorter than it was when
 * it was checked.
 */
export function readRuns(path: string, places: readonly number[], into: Uint8Array): void {
  const fd = openSync(path, "r");
  const length = into.length / places.length;
  try {
    for (const [i, place] of places.entries()) {
      for (let done = 0; done < length; ) {
        const most = Math.min(AT_ONCE, length - done);
        const n = readSync(fd, into, i * length + done, most, place + done);
        if (n === 0) throw new Error(`${path} became shorter while it was read`);
        done += n;
      }
    }
  } finally {
    closeSync(fd);
  }
}
