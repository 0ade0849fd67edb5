/** Tries the cases that it is sent, one at a time, in a process of its own. */

import { join } from "node:path";
import { attempt } from "./attempt.ts";
import { makeReady } from "./ready.ts";
import type { Case } from "./surfaces.ts";

export interface Job {
  readonly case: Case;
  /** A folder to leave the files in. */
  readonly keep?: string;
}

const [, , folder = ""] = process.argv;
const ready = join(folder, "ready");
await makeReady(ready);

/** What the watch over the workers must notice; the tests of the watch ask for it. */
const MISBEHAVIOUR: Readonly<Record<string, () => unknown>> = {
  hang() {
    for (;;);
  },
  hoard() {
    const hoard: Buffer[] = [];
    for (;;) hoard.push(Buffer.alloc(2 ** 24, 1));
  },
};

process.on("message", async ({ case: c, keep }: Job) => {
  MISBEHAVIOUR[c.surface]?.();
  process.send?.(await attempt(c, ready, keep));
});
process.send?.("ready");
