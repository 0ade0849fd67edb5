/** Events of the clusters: what counts them, and the cores that sleep until they have. */

import { EVENTS_BASE } from "../../artifact/programs.ts";
import { transferNs } from "../../target/cost.ts";
import type { Hands } from "./hands.ts";
import type { Node } from "./node.ts";
import { cyclesOf, timingOf } from "./timing.ts";

/** In place of an event: until any has counted. */
const ANY = -1;

export class Events {
  private readonly hands: Hands;

  constructor(hands: Hands) {
    this.hands = hands;
  }

  /** Answers a read of how far an event has counted, which programs find behind all memory. */
  read(node: Node, core: number, address: number): void {
    const { hands } = this;
    const place = address - EVENTS_BASE;
    const where = `0x${address.toString(16)}`;
    const count =
      (place >= 0 && place % 4 === 0 ? node.counts[place / 4] : undefined) ??
      hands.refuse(node, core, `it read at ${where}, where no memory is`, address);
    const latency = timingOf(hands.artifact.target).loadLatency.value;
    hands.resume(node, core, count, hands.queue.now + latency);
  }

  /** Lets a core sleep until an event has counted to a number. */
  wait(node: Node, core: number, event: number, count: number): void {
    if (event !== ANY && node.counted(event) === undefined) {
      this.hands.refuse(node, core, `there is no event ${event}`);
    }
    node.sleepers.push({ core, event, count });
    this.wake(node);
  }

  /** Wakes the cores whose events have come. */
  wake(node: Node): void {
    const { account, queue } = this.hands;
    const { sleepers } = node;
    node.sleepers = [];
    for (const sleeper of sleepers) {
      const { core, event, count } = sleeper;
      const counted = node.counted(event) ?? 0;
      if (event === ANY ? node.hasNews : counted >= count) {
        if (core === 0) account.slept(node, queue.now);
        this.hands.resume(node, core, event === ANY ? 0 : counted, queue.now + 1);
      } else node.sleepers.push(sleeper);
    }
    if (sleepers.some((s) => s.event === ANY)) node.hasNews = false;
  }

  /** Every cluster that counts an event hears of it, when the news has reached it. */
  tell(event: string, times: number, from: number): void {
    const { artifact, nodes, queue } = this.hands;
    for (const node of nodes.values()) {
      const number = node.event(event);
      if (number === undefined) continue;
      const ns = transferNs(artifact.target, 0, this.hands.links(from, node.number));
      queue.at(queue.now + cyclesOf(artifact.target, ns), () => {
        node.counts[number] = (node.counts[number] ?? 0) + times;
        node.hasNews = true;
        this.wake(node);
      });
    }
  }
}
