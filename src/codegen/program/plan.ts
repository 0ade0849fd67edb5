/** What the steps of a cluster do, before anything has an address. */

import { attributeConstants } from "../../artifact/attribute-constants.ts";
import type { Mapping } from "../../artifact/mapping.ts";
import type { Buffer, Region, Schedule, Step } from "../../artifact/schedule.ts";
import { fromNumbers } from "../../tensor/convert.ts";
import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { Assembler } from "../assembler.ts";
import type { Isa } from "../isa.ts";
import { type Block, KernelGap } from "../kernel.ts";
import { type Guard, Sources } from "./guards.ts";
import type { KernelFunction, Kernels } from "./kernels.ts";
import { followEachOther, LISTED_BYTES } from "./launch.ts";
import { eachPart, type Read } from "./parts.ts";
import { tokenBlocks } from "./ranges.ts";
import { differingBlocks, mostBytes, padded, type Store, type Stores, shapeAt } from "./store.ts";
import { shapeOf } from "./transfer.ts";
import { Calc } from "./value.ts";

/** What programs are made from. */
export interface Source {
  readonly schedule: Schedule;
  readonly mapping: Mapping;
  readonly isa: Isa;
  readonly cores: number;
  readonly tcdmBytes: number;
  /** A constant of the schedule, with its values where they are few. */
  constant(name: string): Block;
}

/** Memory that a step uses while it runs. */
export interface Area {
  readonly name: string;
  readonly bytes: number;
}

/** An operand: `area` is where it is gathered; null where it is read in place. */
export interface Operand {
  readonly store: Store;
  readonly read: Read;
  readonly area: Area | null;
}

/** A result: `area` is where it waits to be sent to another cluster; null where the ring is this cluster's. */
export interface Result {
  readonly store: Store;
  readonly area: Area | null;
}

/** A launch of tiles. */
export interface Launch {
  /** Inputs of a vector, outputs of a group of tiles that share their rows, and how many groups there are. */
  readonly rows: number;
  readonly cols: number;
  readonly groups: number;
  /** Column of the routing that decides which vectors go through; null for all. */
  readonly expert: number | null;
  /** Where numbers of vectors are listed, if not all go through or they do not follow each other. */
  readonly list: Area | null;
}

export interface StepPlan {
  readonly step: Step;
  readonly place: number;
  readonly operands: readonly (Operand | null)[];
  readonly results: readonly Result[];
  readonly guards: readonly Guard[];
  /** By token block: the kernel of its shapes; empty for a launch. */
  readonly kernels: readonly KernelFunction[];
  readonly launch: Launch | null;
  readonly scratch: Area | null;
}

export interface ClusterPlan {
  readonly cluster: number;
  /** All its steps, in order; `steps` has those that have machine code. */
  readonly ids: readonly string[];
  readonly steps: readonly StepPlan[];
  readonly events: readonly string[];
  /** Rings that lie in this cluster's memory, and constants that its steps read. */
  readonly rings: readonly Store[];
  readonly constants: readonly Store[];
  /** Why steps have no machine code, by their id. */
  readonly missing: ReadonlyMap<string, string>;
}

export class Planner {
  private readonly source: Source;
  private readonly stores: Stores;
  private readonly kernels: Kernels;
  private readonly sources: Sources;
  private readonly steps: ReadonlyMap<string, Step>;
  private readonly lists: ReadonlyMap<number, readonly string[]>;
  private readonly buffers = new Map<number, Buffer[]>();
  private readonly weights: ReadonlyMap<string, Mapping["weights"][number]>;

  constructor(source: Source, stores: Stores, kernels: Kernels) {
    this.source = source;
    this.stores = stores;
    this.kernels = kernels;
    this.sources = new Sources(source.schedule);
    const { schedule, mapping } = source;
    this.steps = new Map(schedule.steps.map((s) => [s.id, s]));
    this.lists = new Map(schedule.clusters.map((c) => [c.cluster, c.steps]));
    this.weights = new Map(mapping.weights.map((w) => [w.name, w]));
    for (const buffer of schedule.buffers) {
      const there = this.buffers.get(buffer.cluster);
      if (there) there.push(buffer);
      else this.buffers.set(buffer.cluster, [buffer]);
    }
  }

  plan(cluster: number): ClusterPlan {
    const ids = this.lists.get(cluster) ?? [];
    const places = new Map(ids.map((id, i) => [id, i]));
    const missing = new Map<string, string>();
    const events: string[] = [];
    const steps = ids.flatMap((id, place): StepPlan[] => {
      const step = this.steps.get(id);
      if (!step) throw new Error(`cluster ${cluster} lists ${id}, which is no step`);
      const guards = this.sources.guardsOf(step, places, events);
      try {
        return [this.planStep(step, place, guards)];
      } catch (e) {
        if (!(e instanceof KernelGap)) throw e;
        missing.set(id, e.message);
        return [];
      }
    });
    const own = (this.buffers.get(cluster) ?? []).filter((b) => !b.shape.includes(null));
    const rings = own.map(({ id, select }) => this.stores({ buffer: id, select }));
    return { cluster, ids, steps, events, rings, constants: constantsOf(steps), missing };
  }

  private planStep(step: Step, place: number, guards: readonly Guard[]): StepPlan {
    const operands = this.operandsOf(step);
    const results = step.writes.map((region, i): Result => {
      const store = this.stores(region);
      const name = `result ${i} of ${step.id}`;
      const there = store.cluster !== step.cluster;
      return { store, area: there ? { name, bytes: store.slotBytes } : null };
    });
    const given = { step, place, operands, results, guards };
    if (step.kernel === "mvm") {
      return {
        ...given,
        kernels: [],
        launch: this.launchOf(step, operands, results),
        scratch: null,
      };
    }
    const kernels = this.kernelsOf(step, operands, results);
    const bytes = Math.max(0, ...kernels.map((k) => k.scratchBytes));
    const scratch = bytes > 0 ? { name: `scratch of ${step.id}`, bytes: padded(bytes) } : null;
    return { ...given, kernels, launch: null, scratch };
  }

  private operandsOf(step: Step): readonly (Operand | null)[] {
    // What is read twice is gathered once.
    const made = new Map<string, Operand>();
    const operands = step.reads.map((region, i) => {
      if (!region) return null;
      const key = JSON.stringify(region);
      const operand = made.get(key) ?? this.operandOf(step, region, i);
      made.set(key, operand);
      return operand;
    });
    for (const { at, name } of attributeConstants(step)) {
      while (operands.length < at) operands.push(null);
      const select = this.source.constant(name).shape.map(() => "all" as const);
      operands[at] ??= this.operandOf(step, { constant: name, select }, at);
    }
    return operands;
  }

  private operandOf(step: Step, region: Region, i: number): Operand {
    const store = this.stores(region);
    const read: Read = { blocks: store, select: region.select, domain: step.domain };
    if ((store.cluster ?? step.cluster) === step.cluster && liesTogether(read, store.elem)) {
      return { store, read, area: null };
    }
    const bytes = padded(mostBytes(read, store.elem));
    return { store, read, area: { name: `operand ${i} of ${step.id}`, bytes } };
  }

  private launchOf(
    step: Step,
    [x, routing]: readonly (Operand | null)[],
    [y]: readonly Result[],
  ): Launch {
    const weight = this.weights.get(step.weight ?? "");
    if (!x || !y || !weight) throw new Error(`${step.id} has no input, no result or no weight`);
    if (routing && routing.store.elem !== "f32") throw new KernelGap("a routing that is not f32");
    const { rows, cols } = weight;
    const groups = weight.rowSplits.length - 1;
    const count = Math.max(...shapesOf(x.read).map((s) => sizeOf(s) / rows));
    const expert = routing ? Number(step.attrs["expert"]) : null;
    const all = expert === null && followEachOther(new Assembler("trial"), x.store, x.read);
    const list = { name: `rows of ${step.id}`, bytes: padded(count * LISTED_BYTES) };
    return { rows, cols, groups, expert, list: all ? null : list };
  }

  /** Kernels are made for shapes: one for each that differs. */
  private kernelsOf(
    step: Step,
    operands: readonly (Operand | null)[],
    results: readonly Result[],
  ): readonly KernelFunction[] {
    const n = tokenBlocks(step.domain);
    const attrs = Object.fromEntries(Object.entries(step.attrs).map(([k, a]) => [k, revived(a)]));
    const reads = operands.flatMap((o) => (o ? [o.read.select] : []));
    const differing = differingBlocks([...reads, ...results.map((r) => r.store.select)], n);
    const made = new Map(
      differing.map((t) => [t, this.kernelAt(step, t, attrs, operands, results)]),
    );
    return Array.from({ length: n }, (_, t) => made.get(t) ?? this.first(made));
  }

  private first(made: ReadonlyMap<number, KernelFunction>): KernelFunction {
    const [kernel] = made.values();
    if (!kernel) throw new Error("a step without iterations");
    return kernel;
  }

  private kernelAt(
    step: Step,
    t: number,
    attrs: Readonly<Record<string, unknown>>,
    operands: readonly (Operand | null)[],
    results: readonly Result[],
  ): KernelFunction {
    const { isa, cores } = this.source;
    const blocks = operands.map((o): Block | null => {
      if (!o) return null;
      const { store, read } = o;
      const whole = store.kind === "constant" && read.select.every((s) => s === "all");
      return whole
        ? this.source.constant(store.name)
        : { elem: store.elem, shape: shapeAt(read, t) };
    });
    const wanted = results.map(({ store }): Block => {
      const { select, domain } = store;
      return { elem: store.elem, shape: shapeAt({ blocks: store, select, domain }, t) };
    });
    return this.kernels.get({
      kernel: step.kernel,
      attrs,
      operands: blocks,
      results: wanted,
      isa,
      cores,
    });
  }
}

const shapesOf = (read: Read): readonly (readonly number[])[] =>
  differingBlocks([read.select], tokenBlocks(read.domain)).map((t) => shapeAt(read, t));

/** Whether what any iteration reads lies in one block and without gaps, from a multiple of 4 on. */
function liesTogether(read: Read, elem: Elem): boolean {
  const k = new Assembler("trial");
  const c = new Calc(k);
  let together = true;
  const always = eachPart(c, read, { b: k.newX(), t: k.newX() }, ({ axes }) => {
    const { repeats, from } = shapeOf(c, axes, bytesPer(elem));
    together = repeats.length === 0 && (bytesPer(elem) >= 4 || from === 0);
  });
  return always && together;
}

/** Tensors stand in JSON as { elem, shape, data }. */
function revived(a: unknown): unknown {
  if (typeof a !== "object" || a === null || !("elem" in a) || !("data" in a)) return a;
  const { elem, shape, data } = a as { elem: Elem; shape: number[]; data: number[] };
  return fromNumbers(elem, shape, data);
}

function constantsOf(steps: readonly StepPlan[]): readonly Store[] {
  const stores = steps.flatMap((s) => s.operands.flatMap((o) => (o ? [o.store] : [])));
  const constants = stores.filter((s) => s.kind === "constant");
  return [...new Map(constants.map((s) => [s.name, s])).values()];
}
