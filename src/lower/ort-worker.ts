/** The body of a thread that runs a share of a stream; see ort-threads.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { InputError } from "../diag/diagnostic.ts";
import type { PartResult } from "../sim/run-part.ts";
import type { Answer } from "../thread/ask.ts";
import { OrtShare, type Share, type Tensors } from "./ort-share.ts";
import type { Order } from "./ort-threads.ts";

const share = new OrtShare(workerData as Share);
let chip: Tensors = new Map();
let isLeft = false;

const say = (answer: Answer<PartResult | null>): void => parentPort?.postMessage(answer);

async function follow(order: Exclude<Order, { kind: "leave" }>): Promise<PartResult | null> {
  switch (order.kind) {
    case "open":
      await share.open(order.sources);
      return null;
    case "inside":
      await share.lookInside(order.inside);
      return null;
    case "chip":
      chip = order.chip;
      return null;
    case "run":
      return share.run(
        chip,
        order.seed,
        () => say({ kind: "progress" }),
        () => isLeft,
      );
  }
}

async function answer(order: Order): Promise<void> {
  if (order.kind === "leave") {
    await share.close();
    parentPort?.close();
    return;
  }
  try {
    say({ kind: "done", result: await follow(order) });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    say({ kind: "fault", diagnostics: error.diagnostics });
  }
}

/** One order after the other, though they are heard between inferences, too. */
let before = Promise.resolve();

parentPort?.on("message", (order: Order) => {
  isLeft ||= order.kind === "leave";
  before = before.then(() => answer(order));
});
