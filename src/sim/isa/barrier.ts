/** Where the cores of a cluster meet. */

import type { Target } from "../../target/schema.ts";
import { bankConflicts, timingOf } from "./timing.ts";

interface Arrival {
  readonly core: number;
  readonly time: number;
  readonly accesses: number;
}

export class Barrier {
  private readonly target: Target;
  private readonly cores: number;
  private here: Arrival[] = [];
  private openedAt = 0;

  constructor(target: Target, cores: number) {
    this.target = target;
    this.cores = cores;
  }

  /** Cores that wait. */
  get waiting(): readonly number[] {
    return this.here.map((a) => a.core);
  }

  /**
   * A core arrives, with its accesses to memory since the last time. Gives when all go on if it is the last one: what
   * cores have lost at the banks of the memory makes them later.
   */
  arrive(core: number, time: number, accesses: number): number | null {
    this.here.push({ core, time, accesses });
    if (this.here.length < this.cores) return null;
    const all = this.here.reduce((n, a) => n + a.accesses, 0);
    const since = this.openedAt;
    const latest = this.here.reduce((most, a) => {
      const others = all - a.accesses;
      return Math.max(most, a.time + bankConflicts(this.target, a.accesses, others, time - since));
    }, 0);
    this.here = [];
    this.openedAt = latest + timingOf(this.target).barrierCycles.value;
    return this.openedAt;
  }
}
