/** What cores ask of the matrix engine of their cluster, in the machine's time. */

import { ENGINE_BASE } from "../../artifact/matrix-engine.ts";
import type { Stop } from "../../iss/cluster.ts";
import type { Events } from "./events.ts";
import { faultText } from "./explain.ts";
import type { Hands } from "./hands.ts";
import { EngineFault, EngineMisuse, type MatrixEngine } from "./matrix-engine.ts";
import type { Node } from "./node.ts";
import { timingOf } from "./timing.ts";

type Access = Extract<Stop, { kind: "read" | "write" }>;

/** Bytes that the registers have of the address space. */
const BYTES = 0x400;

export const isOfEngine = (address: number): boolean =>
  address >= ENGINE_BASE && address < ENGINE_BASE + BYTES;

export class Offload {
  private readonly hands: Hands;
  private readonly events: Events;

  constructor(hands: Hands, events: Events) {
    this.hands = hands;
    this.events = events;
  }

  /** Answers a load or a store of a register. Errors: A621. */
  access(node: Node, core: number, access: Access): void {
    const { hands } = this;
    const engine =
      node.engine ?? hands.refuse(node, core, "its cluster has no matrix engine", access.address);
    const { now } = hands.queue;
    const offset = access.address - ENGINE_BASE;
    this.guarded(node, core, () => {
      if (access.kind === "read") {
        const latency = timingOf(hands.artifact.target).loadLatency.value;
        hands.resume(node, core, engine.read(offset, now), now + latency);
        return;
      }
      const endsAt = engine.write(offset, access.value, now);
      if (endsAt !== null) hands.queue.at(endsAt, () => this.end(node, core, engine));
      hands.resume(node, core, 0, now + 1);
    });
  }

  private end(node: Node, core: number, engine: MatrixEngine): void {
    this.guarded(node, core, () => engine.settle(this.hands.queue.now));
    this.events.wake(node);
  }

  private guarded(node: Node, core: number, what: () => void): void {
    try {
      what();
    } catch (error) {
      if (error instanceof EngineMisuse) {
        this.hands.refuse(node, core, error.message, error.address);
      }
      if (error instanceof EngineFault) {
        const { fault } = error;
        const text = `a job of the matrix engine, which it triggered: ${faultText(fault)}`;
        this.hands.refuse(node, core, text, fault.address);
      }
      throw error;
    }
  }
}
