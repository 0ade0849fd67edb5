/** The body of a simulator thread; see pool.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { InputError } from "../diag/diagnostic.ts";
import type { Answer } from "../thread/ask.ts";
import { imagesIn } from "./load.ts";
import type { Order, Start } from "./pool.ts";
import { type PartResult, runPart } from "./run-part.ts";
import { programTurn, type TileMemory, withModes } from "./tile-memory.ts";

const say = (message: Answer<PartResult | null>): void => parentPort?.postMessage(message);

const { artifact: given, share, keep } = workerData as Start;
const { tiles, constants } = imagesIn(given.directory, keep);
const artifact = { ...given, tiles, constants: keep === undefined ? given.constants : constants };

/** Of the last order to program. */
let programmed: TileMemory | undefined;

function follow(order: Order): void {
  if (order.kind === "program") {
    programTurn(order.memory, artifact, order.how, order.turn);
    programmed = withModes(order.memory, artifact, order.how);
    say({ kind: "done", result: null });
    return;
  }
  const { seed, whole } = order;
  const part = { ...share, seed, whole };
  const tiles = order.tiles ?? programmed;
  if (!tiles) throw new Error("told to run before tiles were programmed");
  const result = runPart(artifact, tiles, part, () => say({ kind: "progress" }));
  say({ kind: "done", result });
}

parentPort?.on("message", (order: Order) => {
  try {
    follow(order);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    say({ kind: "fault", diagnostics: error.diagnostics });
  }
});
