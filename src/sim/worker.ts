/** The body of a simulator thread; see pool.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { InputError } from "../diag/diagnostic.ts";
import type { Message, Order, Start } from "./pool.ts";
import { runPart } from "./run-part.ts";

const say = (message: Message): void => parentPort?.postMessage(message);

const { artifact, share } = workerData as Start;

parentPort?.on("message", ({ memory, ...how }: Order) => {
  try {
    const result = runPart(artifact, memory, { ...share, ...how }, () =>
      say({ kind: "inference" }),
    );
    say({ kind: "result", result });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    say({ kind: "fault", diagnostics: error.diagnostics });
  }
});
