/** The body of a simulator thread; see pool.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { InputError } from "../diag/diagnostic.ts";
import type { Job, Message } from "./pool.ts";
import { runPart } from "./run-part.ts";

const say = (message: Message): void => parentPort?.postMessage(message);

const { artifact, memory, part } = workerData as Job;
try {
  say({
    kind: "result",
    result: runPart(artifact, memory, part, () => say({ kind: "inference" })),
  });
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  say({ kind: "fault", diagnostics: error.diagnostics });
}
