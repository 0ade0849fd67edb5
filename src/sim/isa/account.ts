/** Where the cycles of a machine go: by step, as slices of time, and in sums. */

import { transferNj } from "../../target/cost.ts";
import type { Target } from "../../target/schema.ts";
import { share } from "../domain.ts";
import type { Slice } from "../machine.ts";
import type { Process } from "../processes.ts";
import type { Timeline } from "../timeline.ts";
import type { Node } from "./node.ts";
import type { Tiles } from "./tile-unit.ts";

/** Slices that are kept at most. */
const KEPT = 1 << 18;

export interface StepCycles {
  iterations: number;
  /** Of its cluster, from when its first core turned to it until it was signalled; waiting for tiles is in it. */
  cycles: number;
}

export class Account {
  readonly steps = new Map<string, StepCycles>();
  private readonly target: Target;
  private readonly slices: Slice[] = [];
  /** By cluster: until when its time is accounted for, and since when the present slice goes. */
  private readonly reached = new Map<Node, { until: number; since: number; busy: number }>();
  /** By step: since when vectors of its present iteration are in tiles. */
  private readonly launched = new Map<string, number>();
  private readonly ends: number[] = [];
  private sentNj = 0;
  private total = 0;

  constructor(target: Target) {
    this.target = target;
  }

  /** The first core of a cluster has worked until now. */
  worked(node: Node, now: number): void {
    const at = this.at(node);
    const cycles = Math.max(0, now - at.until);
    at.busy += cycles;
    at.until = Math.max(at.until, now);
    this.total = Math.max(this.total, now);
    const step = node.current;
    if (step) this.of(step.id).cycles += cycles;
  }

  /** It has slept until now. */
  slept(node: Node, now: number): void {
    const at = this.at(node);
    at.until = now;
    at.since = now;
  }

  /** A vector of a step goes into tiles. */
  launches(step: string, now: number): void {
    if (!this.launched.has(step)) this.launched.set(step, now);
  }

  sent(bytes: number, links: number): void {
    this.sentNj += transferNj(this.target, bytes, links);
  }

  /** An iteration of a step has ended. */
  ended(node: Node, process: Process, iteration: number, now: number, traced: number): void {
    const at = this.at(node);
    const { step, perInference, domain } = process;
    if (step) this.of(step.id).iterations++;
    const inference = Math.floor(iteration / perInference);
    if (process.leaves) this.ends[inference] = Math.max(this.ends[inference] ?? 0, now);
    if (inference < traced && this.slices.length < KEPT) {
      const [startNs, endNs] = [this.ns(at.since), this.ns(now)];
      const part = share(domain, iteration % perInference);
      const slice = { process, iteration, part, startNs, endNs };
      this.slices.push({ ...slice, freeNs: endNs });
      if (process.tiles > 0) {
        // The cluster may have done other things while vectors were in tiles.
        const start = this.ns(this.launched.get(step?.id ?? "") ?? at.since);
        this.slices.push({ ...slice, startNs: start, freeNs: start });
      }
    }
    if (step) this.launched.delete(step.id);
    at.since = now;
  }

  timeline(inferences: number, tiles: Tiles): Timeline {
    const totalNs = this.ns(this.total);
    const latencyNs = this.ns(this.ends[0] ?? this.total);
    const last = this.ns(this.ends.at(-1) ?? this.total);
    const intervalNs = inferences > 1 ? (last - latencyNs) / (inferences - 1) : latencyNs;
    const nodes = [...this.reached].sort(([a], [b]) => a.number - b.number);
    const busy = nodes.reduce((sum, [, n]) => sum + n.busy, 0);
    const use = (cycles: number) => {
      const busyNs = this.ns(cycles);
      return { busyNs, utilisation: totalNs > 0 ? busyNs / totalNs : 0 };
    };
    return {
      inferences,
      totalNs,
      latencyNs,
      intervalNs,
      inferencesPerSecond: intervalNs > 0 ? 1e9 / intervalNs : 0,
      mvms: tiles.mvms,
      energyNj: busy * this.target.cluster.njPerCycle.value + tiles.energyNj + this.sentNj,
      clusters: new Map(nodes.map(([node, n]) => [node.number, use(n.busy)])),
      tiles: new Map([...tiles.busy].map(([weight, cycles]) => [weight, use(cycles)])),
      slices: this.slices,
    };
  }

  private of(step: string): StepCycles {
    const known = this.steps.get(step) ?? { iterations: 0, cycles: 0 };
    this.steps.set(step, known);
    return known;
  }

  private at(node: Node) {
    const known = this.reached.get(node) ?? { until: 0, since: 0, busy: 0 };
    this.reached.set(node, known);
    return known;
  }

  private ns(cycles: number): number {
    return (cycles * 1000) / this.target.cluster.clockMHz.value;
  }
}
