/** The DMA engines of a machine, one a cluster: each does its transfers one after the other. */

import { move, type Transfer, transferAt } from "./dma.ts";
import { faultText } from "./explain.ts";
import type { Hands } from "./hands.ts";
import type { Node } from "./node.ts";
import { timingOf, transferCycles } from "./timing.ts";

interface Engine {
  started: number;
  done: number;
  freeAt: number;
  waiting: { readonly core: number; readonly number: number }[];
}

export class Engines {
  private readonly hands: Hands;
  private readonly engines = new Map<Node, Engine>();

  constructor(hands: Hands) {
    this.hands = hands;
  }

  /** Starts the transfer that is described at an address, and gives its number. Bytes move when it ends. */
  start(node: Node, core: number, address: number): number {
    const { artifact, queue, account, nodes } = this.hands;
    const found = transferAt(node, address, nodes);
    if ("cluster" in found) {
      return this.hands.refuse(node, core, `there is no cluster ${found.cluster}`);
    }
    if ("kind" in found) return this.hands.refuse(node, core, faultText(found), found.address);
    const engine = this.engine(node);
    const number = ++engine.started;
    const rows = found.rows * found.planes;
    const links = this.way(node, found);
    account.sent(found.rowBytes * rows, links);
    engine.freeAt =
      Math.max(queue.now, engine.freeAt) +
      timingOf(artifact.target).dmaStartCycles.value +
      transferCycles(artifact.target, found.rowBytes, rows, links);
    queue.at(engine.freeAt, () => this.end(node, core, number, found));
    return number;
  }

  wait(node: Node, core: number, number: number): void {
    const engine = this.engine(node);
    if (number > engine.started) {
      const what = `it waits for transfer ${number}, and there were ${engine.started}`;
      this.hands.refuse(node, core, what);
    }
    if (number <= engine.done) this.hands.resume(node, core, 0, this.hands.queue.now + 1);
    else engine.waiting.push({ core, number });
  }

  private end(node: Node, core: number, number: number, transfer: Transfer<Node>): void {
    const wrong = move(transfer);
    if (wrong) {
      const { at, fault } = wrong;
      const what = `transfer ${number}, in the memory of cluster ${at.number}: ${faultText(fault)}`;
      this.hands.refuse(node, core, what, fault.address);
    }
    const engine = this.engine(node);
    engine.done = number;
    const ready = engine.waiting.filter((w) => w.number <= number);
    engine.waiting = engine.waiting.filter((w) => w.number > number);
    for (const w of ready) this.hands.resume(node, w.core, 0, this.hands.queue.now + 1);
  }

  /** Links that bytes cross on their way by the engine of a cluster. */
  private way(node: Node, { from, to }: Transfer<Node>): number {
    const { hands } = this;
    return hands.links(from.node.number, node.number) + hands.links(node.number, to.node.number);
  }

  private engine(node: Node): Engine {
    const known = this.engines.get(node) ?? { started: 0, done: 0, freeAt: 0, waiting: [] };
    this.engines.set(node, known);
    return known;
  }
}
