/** One cluster with its DMA and matrix engine, for kernels that are run alone: nobody else is there to wait for. */

import { ENGINE_BASE, ENGINE_EVENT } from "../../artifact/matrix-engine.ts";
import type { Cluster, Stop } from "../../iss/cluster.ts";
import type { Area } from "../../iss/cluster-memory.ts";
import type { Target } from "../../target/schema.ts";
import { Barrier } from "./barrier.ts";
import { move, transferAt } from "./dma.ts";
import { MatrixEngine } from "./matrix-engine.ts";
import { isOfEngine } from "./offload.ts";
import { timingOf, transferCycles } from "./timing.ts";

export class Bench {
  readonly machine: Cluster;
  private readonly target: Target;
  private readonly cores: number;
  private readonly engine: MatrixEngine | null;
  /** When each transfer is done, by its number from 1 on. */
  private readonly transfers: number[] = [];

  constructor(machine: Cluster, target: Target, cores: number, tcdm: Area) {
    const { matrixEngine } = target.cluster;
    this.machine = machine;
    this.target = target;
    this.cores = cores;
    this.engine = matrixEngine ? new MatrixEngine(matrixEngine, machine, tcdm) : null;
  }

  /** Meets all cores at each barrier; the first one is where the time begins. null: a core took more than `most`. */
  run(most: number): number | null {
    const { machine, cores } = this;
    const barrier = new Barrier(this.target, cores);
    let begin: number | null = null;
    for (let end = 0; ; ) {
      const stops = Array.from({ length: cores }, (_, core) => this.untilMeeting(core, most));
      if (stops.some((s) => s.kind === "budget")) return null;
      if (stops.every((s) => s.kind === "exit")) return end - (begin ?? 0);
      for (const [core, stop] of stops.entries()) {
        if (stop.kind !== "service" || stop.name !== "barrier") {
          throw new Error(`a kernel that is run alone stopped with ${JSON.stringify(stop)}`);
        }
        end = barrier.arrive(core, machine.cycle(core), machine.takeAccesses(core)) ?? end;
      }
      for (const core of stops.keys()) machine.answer(core, 0, end);
      begin ??= end;
    }
  }

  private untilMeeting(core: number, most: number): Stop {
    for (;;) {
      const stop = this.machine.run(core, most);
      const known = stop.kind === "service" ? this.serve(core, stop) : this.reach(core, stop);
      if (!known) return stop;
    }
  }

  /** Whether it was a service that there is here. */
  private serve(core: number, { name, a, b }: Extract<Stop, { kind: "service" }>): boolean {
    const { machine, engine } = this;
    const now = machine.cycle(core);
    if (name === "dma.start") {
      machine.answer(core, this.transfer(a, now), now + 1);
      return true;
    }
    if (name === "dma.wait") {
      machine.answer(core, 0, Math.max(now, this.transfers[a - 1] ?? 0) + 1);
      return true;
    }
    const done = name === "event.wait" && a === ENGINE_EVENT ? engine?.doneAt(b) : null;
    if (!engine || done === null || done === undefined) return false;
    const time = Math.max(now, done);
    engine.settle(time);
    machine.answer(core, engine.finished, time + 1);
    return true;
  }

  /** Bytes move at once: nobody else sees them before the transfer is waited for. */
  private transfer(address: number, now: number): number {
    const found = transferAt<{ machine: Cluster }>(this, address, new Map());
    const fault = "rows" in found ? move(found) : found;
    if (!("rows" in found) || fault) throw new Error(`a transfer failed: ${JSON.stringify(fault)}`);
    const { rows, planes, rowBytes } = found;
    const start = Math.max(now, this.transfers.at(-1) ?? 0);
    const own = timingOf(this.target).dmaStartCycles.value;
    this.transfers.push(start + own + transferCycles(this.target, rowBytes, rows * planes, 0));
    return this.transfers.length;
  }

  /** Whether it was a register of the engine. */
  private reach(core: number, stop: Stop): boolean {
    const { machine, engine } = this;
    if (!engine || (stop.kind !== "read" && stop.kind !== "write")) return false;
    if (!isOfEngine(stop.address)) return false;
    const now = machine.cycle(core);
    const offset = stop.address - ENGINE_BASE;
    if (stop.kind === "read") {
      const value = engine.read(offset, now);
      machine.answer(core, value, now + timingOf(this.target).loadLatency.value);
    } else {
      engine.write(offset, stop.value, now);
      machine.answer(core, 0, now + 1);
    }
    return true;
  }
}
