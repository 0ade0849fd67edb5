/** Values in the memory of clusters. */

import { bytesPer, fromBytes, sizeOf, type Tensor, toBytes } from "../../tensor/tensor.ts";
import { blockBoxes } from "../plan.ts";
import type { Process } from "../processes.ts";
import { faultText } from "./explain.ts";
import type { Hands } from "./hands.ts";
import { isFault, type Node } from "./node.ts";

/** Puts constants where the program of a cluster expects them, and tells it how many inferences there are. */
export function load(hands: Hands, node: Node, inferences: number): void {
  for (const { constant, address } of node.image.constants) {
    const value = hands.artifact.constants.get(constant);
    if (!value) hands.refuse(node, 0, `there is no constant '${constant}'`);
    const room = node.machine.room(address, sizeOf(value.shape) * bytesPer(value.elem));
    if (!isFault(room)) room.set(toBytes(value));
    else hands.refuse(node, 0, `constant '${constant}': ${faultText(room)}`, address);
  }
  node.setWord("inferences", inferences);
}

interface Written {
  readonly process: Process;
  /** Which of its results. */
  readonly result: number;
  readonly iteration: number;
}

/** What an iteration has written, as it lies in the ring, for the core that says so. */
export function blockOf(
  hands: Hands,
  node: Node,
  core: number,
  { process, result, iteration }: Written,
): Tensor {
  const buffer = process.writes[result];
  if (!buffer) throw new Error(`${process.name} has no result ${result}`);
  const box = blockBoxes(buffer)[iteration % process.perInference];
  const holder = hands.nodes.get(buffer.cluster);
  const slot = holder?.slot(buffer.id, iteration);
  if (!holder || !slot || !box) return hands.refuse(node, core, `no cluster holds '${buffer.id}'`);
  const bytes = holder.machine.read(slot.address, sizeOf(box.shape) * bytesPer(buffer.elem));
  if (isFault(bytes)) {
    const what = `it signalled block ${iteration} of '${buffer.id}' too early: ${faultText(bytes)}`;
    return hands.refuse(node, core, what, bytes.address);
  }
  return fromBytes(buffer.elem, box.shape, bytes.slice());
}
