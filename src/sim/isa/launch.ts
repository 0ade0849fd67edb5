/** The instructions of custom-0, which start tiles. */

import type { Step } from "../../artifact/schedule.ts";
import { toBytes } from "../../tensor/tensor.ts";
import { faultText } from "./explain.ts";
import type { Hands } from "./hands.ts";
import { isFault, type Node } from "./node.ts";
import { TileMisuse, type Tiles } from "./tile-unit.ts";
import { transferCycles } from "./timing.ts";

export interface Launch {
  readonly name: string;
  readonly step: Step;
  /** Number of the inference. */
  readonly inference: number;
  /** The second operand: an address, or the number of a row. */
  readonly operand: number;
}

/** Does what a core asks of tiles, and lets it go on. */
export function launch(hands: Hands, tiles: Tiles, node: Node, core: number, what: Launch): void {
  try {
    answer(hands, tiles, node, core, what);
  } catch (error) {
    if (!(error instanceof TileMisuse)) throw error;
    hands.refuse(node, core, error.message);
  }
}

function answer(hands: Hands, tiles: Tiles, node: Node, core: number, what: Launch): void {
  const { name, step, inference, operand } = what;
  const { now } = hands.queue;
  if (step.kernel !== "mvm") hands.refuse(node, core, `step '${step.id}' has no tiles`);
  if (name === "aimc.process") {
    tiles.process(step, operand, inference, now);
    hands.resume(node, core, 0, now + 1);
    return;
  }
  const queues = name === "aimc.queue";
  const bytes = queues ? tiles.inputBytes(step) : tiles.outputBytes(step);
  const beats = transferCycles(hands.artifact.target, bytes, 1, 0);
  const at = operand >>> 0;
  const memory = queues ? node.machine.read(at, bytes) : node.machine.room(at, bytes);
  if (isFault(memory)) hands.refuse(node, core, faultText(memory), memory.address);
  if (queues) {
    hands.resume(node, core, tiles.queue(step, memory, now), now + beats);
    return;
  }
  const { sums, readyAt, left } = tiles.dequeue(step);
  memory.set(toBytes(sums));
  hands.resume(node, core, left, Math.max(now, readyAt) + beats);
}
