/**
 * A machine whose clusters run machine code. Time goes from event to event: a core runs until it asks for something that
 * others see, and is answered when all that happens before has happened. What cores of a cluster do to their common
 * memory between barriers is not ordered by time, only by who runs first.
 *
 * Contention on links is not modelled, as in machine.ts; transfers of a cluster's DMA engine go one after the other.
 */

import type { Step } from "../../artifact/schedule.ts";
import type { Stop } from "../../iss/cluster.ts";
import { STOP } from "../../iss/interpreter.ts";
import { hops } from "../../target/cost.ts";
import { type Tensor, toBytes } from "../../tensor/tensor.ts";
import type { Executor } from "../execute.ts";
import type { Artifact } from "../load.ts";
import { nodeCount, type Process, processesOf } from "../processes.ts";
import { Account } from "./account.ts";
import { blockOf, load } from "./blocks.ts";
import { Engines } from "./engines.ts";
import { Events } from "./events.ts";
import { faultText, stopAt, stuck } from "./explain.ts";
import type { Hands } from "./hands.ts";
import { Host } from "./host.ts";
import { launch } from "./launch.ts";
import { isFault, Node } from "./node.ts";
import { isOfEngine, Offload } from "./offload.ts";
import type { MachinePrograms } from "./programs.ts";
import { Actions } from "./queue.ts";
import type { Tiles } from "./tile-unit.ts";

/** Cycles that a core runs at most before others have their turn. */
const SLICE = 1 << 16;
/** A core that runs so long without asking for anything is in a loop without end. */
const MOST_SLICES = 1 << 16;

export interface MachineRun {
  readonly inferences: number;
  /** Hold every step against its kernel. */
  readonly judged: boolean;
  /** Stop at reads of what was never written. */
  readonly checked: boolean;
  /** Inferences whose slices are kept. */
  readonly traced: number;
  progress(done: number): void;
}

type Service = Extract<Stop, { kind: "service" }>;
type Access = Extract<Stop, { kind: "read" | "write" }>;

export class IsaMachine implements Hands {
  readonly account: Account;
  readonly host: Host;
  readonly tiles: Tiles;
  readonly artifact: Artifact;
  private readonly how: MachineRun;
  readonly queue = new Actions();
  readonly nodes: ReadonlyMap<number, Node>;
  private readonly count: number;
  private readonly processes: readonly Process[];
  private readonly byStep: ReadonlyMap<string, Process>;
  private readonly engines: Engines;
  private readonly events: Events;
  private readonly offload: Offload;
  private readonly left: number[];

  constructor(
    artifact: Artifact,
    machine: MachinePrograms,
    executor: Executor,
    tiles: (nodes: number) => Tiles,
    run: MachineRun,
  ) {
    const { schedule, target } = artifact;
    const steps = new Map(schedule.steps.map((s) => [s.id, s]));
    const shape = {
      cores: machine.programs.cores,
      target,
      timing: machine.timing,
      checked: run.checked,
    };
    this.artifact = artifact;
    this.how = run;
    this.account = new Account(target);
    this.nodes = new Map(machine.clusters.map((p) => [p.image.cluster, new Node(p, steps, shape)]));
    this.count = nodeCount(artifact);
    this.tiles = tiles(this.count);
    this.processes = processesOf(artifact);
    this.byStep = new Map(this.processes.flatMap((p) => (p.step ? [[p.step.id, p]] : [])));
    this.host = new Host(this.processes, executor, run.inferences, run.judged, (p, i, block) =>
      this.deliver(p, i, block),
    );
    const perInference = this.processes.reduce((n, p) => n + (p.step ? p.perInference : 0), 0);
    this.left = Array.from({ length: run.inferences }, () => perInference);
    this.engines = new Engines(this);
    this.events = new Events(this);
    this.offload = new Offload(this, this.events);
    for (const node of this.nodes.values()) load(this, node, run.inferences);
  }

  refuse(node: Node, core: number, what: string, address?: number): never {
    return stopAt(this.artifact, node, core, what, address);
  }

  /** Runs to the end, or until it is over from outside. Errors: A621 where a program does what it may not, A622 where nothing goes on. */
  async run(isOver: () => boolean): Promise<void> {
    this.host.feed();
    for (const node of this.nodes.values()) {
      for (let core = 0; core < node.cores; core++) this.queue.at(0, () => this.go(node, core));
    }
    await this.queue.run(isOver);
    if (isOver()) return;
    const nodes = [...this.nodes.values()];
    const done = this.processes.every((p) => this.host.finished[p.index] === this.host.total(p));
    if (!done || nodes.some((n) => n.ended.size < n.cores)) {
      stuck(this.artifact, nodes, this.processes, this.host);
    }
  }

  /** Lets a core run until it needs somebody. */
  private go(node: Node, core: number, slices = 0): void {
    const stop = node.machine.run(core, SLICE);
    const time = node.machine.cycle(core);
    if (core === 0) this.account.worked(node, time);
    switch (stop.kind) {
      case "budget":
        if (slices > MOST_SLICES) this.refuse(node, core, "it does not end");
        this.queue.at(time, () => this.go(node, core, slices + 1));
        return;
      case "exit":
        if (stop.status !== 0) this.refuse(node, core, `it ended with status ${stop.status}`);
        node.ended.set(core, stop.status);
        return;
      case "call":
        this.refuse(node, core, `it made the system call ${stop.number}`);
        break;
      case "trap":
        this.refuse(node, core, faultText(stop), stop.address);
        break;
      default:
        this.queue.at(time, () => this.ask(node, core, stop));
    }
  }

  /** Answers the instruction that a core has stopped at and lets it go on at a time. */
  resume(node: Node, core: number, value: number, time: number): void {
    node.machine.answer(core, value, time);
    this.queue.at(time, () => this.go(node, core));
  }

  private ask(node: Node, core: number, stop: Service | Access): void {
    if (stop.kind === "service") this.answer(node, core, stop);
    else if (isOfEngine(stop.address)) this.offload.access(node, core, stop);
    else if (stop.kind === "read") this.events.read(node, core, stop.address);
    else {
      const fault = { kind: "trap" as const, cause: STOP.store, address: stop.address };
      this.refuse(node, core, faultText(fault), stop.address);
    }
  }

  private answer(node: Node, core: number, { name, a, b }: Service): void {
    const next = this.queue.now + 1;
    switch (name) {
      case "barrier":
        this.barrier(node, core);
        return;
      case "event.wait":
        this.events.wait(node, core, a, b);
        return;
      case "event.signal":
        this.signal(node, core, a, b);
        this.resume(node, core, 0, next);
        return;
      case "dma.start":
        this.resume(node, core, this.engines.start(node, core, a), next);
        return;
      case "dma.wait":
        this.engines.wait(node, core, a);
        return;
      case "aimc.queue":
      case "aimc.process":
      case "aimc.dequeue":
        this.launch(node, core, name, a, b);
        return;
      default:
        this.refuse(node, core, "programs do not program tiles");
    }
  }

  private barrier(node: Node, core: number): void {
    const opened = node.barrier.arrive(core, this.queue.now, node.machine.takeAccesses(core));
    if (opened === null) return;
    for (let c = 0; c < node.cores; c++) this.resume(node, c, 0, opened);
  }

  /** The host is next to every cluster. */
  links(from: number, to: number): number {
    return from < 0 || to < 0 ? 0 : hops(this.artifact.target, this.count, from, to);
  }

  private signal(node: Node, core: number, place: number, times: number): void {
    const step = this.stepAt(node, core, place);
    const process = this.byStep.get(step.id) as Process;
    for (let n = 0; n < times; n++) {
      const iteration = this.host.finished[process.index] ?? 0;
      if (iteration >= this.host.total(process)) {
        this.refuse(node, core, `step '${step.id}' has no iteration ${iteration}`);
      }
      const blocks = process.writes.map((_, i) =>
        blockOf(this, node, core, { process, result: i, iteration }),
      );
      this.host.take(process, blocks);
      this.account.ended(node, process, iteration, this.queue.now, this.how.traced);
      const inference = Math.floor(iteration / process.perInference);
      this.left[inference] = (this.left[inference] ?? 0) - 1;
      if (this.left[inference] === 0) this.how.progress(inference + 1);
    }
    this.events.tell(step.id, times, node.number);
    // The host takes blocks of graph outputs as they are written.
    for (const { id } of process.writes) this.events.tell(`out:${id}`, times, -1);
    this.host.feed();
  }

  private launch(node: Node, core: number, name: string, place: number, operand: number): void {
    const step = this.stepAt(node, core, place);
    const process = this.byStep.get(step.id) as Process;
    const done = this.host.finished[process.index] ?? 0;
    const inference = Math.floor(done / process.perInference);
    if (name === "aimc.queue") this.account.launches(step.id, this.queue.now);
    launch(this, this.tiles, node, core, { name, step, inference, operand });
  }

  private stepAt(node: Node, core: number, place: number): Step {
    const step = node.steps[place];
    return step ?? this.refuse(node, core, `the cluster has no step number ${place}`);
  }

  /** The host writes a block of an input. */
  private deliver(process: Process, iteration: number, block: Tensor): void {
    for (const buffer of process.writes) {
      const holder = this.nodes.get(buffer.cluster);
      const slot = holder?.slot(buffer.id, iteration);
      const bytes = toBytes(block);
      const room = slot && holder ? holder.machine.room(slot.address, bytes.length) : null;
      if (room && !isFault(room)) room.set(bytes);
      else if (holder) this.refuse(holder, 0, `there is no room for input '${buffer.id}'`);
    }
    const port = this.artifact.schedule.inputs.find((p) => p.buffer === process.writes[0]?.id);
    this.events.tell(`host:${port?.name ?? ""}`, 1, -1);
  }
}
