/** What the steps of a cluster do, before anything has an address. */

import { attributeConstants } from "../../artifact/attribute-constants.ts";
import type { Mapping } from "../../artifact/mapping.ts";
import type { Buffer, Region, Schedule, Step } from "../../artifact/schedule.ts";
import { fromNumbers } from "../../tensor/convert.ts";
import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { Assembler } from "../assembler.ts";
import type { Isa } from "../isa.ts";
import { type Block, KernelGap, type KernelRequest } from "../kernel.ts";
import { type Growth, grownShape, growthOf } from "./growing.ts";
import { type Guard, Sources } from "./guards.ts";
import type { KernelFunction, Kernels } from "./kernels.ts";
import { followEachOther, LISTED_BYTES } from "./launch.ts";
import { eachPart, type Read } from "./parts.ts";
import { tokenBlocks } from "./ranges.ts";
import type { Area, ClusterPlan, Launch, Operand, Result, StepPlan } from "./step-plan.ts";
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
    const growth = this.growthOf(step);
    const operands = this.operandsOf(step, growth);
    const results = step.writes.map((region, i): Result => {
      const store = this.stores(region);
      const name = `result ${i} of ${step.id}`;
      const there = store.cluster !== step.cluster;
      return { store, area: there ? { name, bytes: store.slotBytes } : null };
    });
    const given = { step, place, operands, results, guards, growth, pieces: null };
    if (step.kernel === "mvm") {
      return {
        ...given,
        kernels: [],
        launch: this.launchOf(step, operands, results),
        scratch: null,
      };
    }
    const kernels = this.kernelsOf(given);
    return { ...given, kernels, launch: null, scratch: scratchOf(step, kernels) };
  }

  private growthOf({ kernel, reads, domain }: Step): Growth | null {
    const read = (region: Region | null): Read | null =>
      region && { blocks: this.stores(region), select: region.select, domain };
    return growthOf(kernel, reads.map(read));
  }

  private operandsOf(step: Step, growth: Growth | null): readonly (Operand | null)[] {
    // What is read twice is gathered once.
    const made = new Map<string, Operand>();
    const operands = step.reads.map((region, i) => {
      if (!region) return null;
      const key = JSON.stringify(region);
      const operand = made.get(key) ?? this.operandOf(step, region, i, growth);
      made.set(key, operand);
      return operand;
    });
    for (const { at, name } of attributeConstants(step)) {
      while (operands.length < at) operands.push(null);
      const select = this.source.constant(name).shape.map(() => "all" as const);
      operands[at] ??= this.operandOf(step, { constant: name, select }, at, null);
    }
    return operands;
  }

  private operandOf(step: Step, region: Region, i: number, growth: Growth | null): Operand {
    const store = this.stores(region);
    const read: Read = { blocks: store, select: region.select, domain: step.domain };
    const axis = growth?.axes.find((g) => g.operand === i)?.axis ?? null;
    const room = growth && axis !== null ? { axis, most: growth.most } : null;
    const isHere = (store.cluster ?? step.cluster) === step.cluster;
    if (isHere && !room && liesTogether(read, store.elem)) {
      return { store, read, area: null, room, cut: null };
    }
    const most =
      room && growth
        ? bytesPer(store.elem) * sizeOf(grownShape(read, room.axis, growth))
        : mostBytes(read, store.elem);
    const area = { name: `operand ${i} of ${step.id}`, bytes: padded(most) };
    return { store, read, area, room, cut: null };
  }

  private launchOf(
    step: Step,
    [x, routing]: readonly (Operand | null)[],
    [y]: readonly Result[],
  ): Launch {
    const weight = this.weights.get(step.weight ?? "");
    if (!x || !y || !weight) throw new Error(`${step.id} has no input, no result or no weight`);
    if (routing && !ROUTINGS.includes(routing.store.elem)) {
      throw new KernelGap(`a routing of ${routing.store.elem}`);
    }
    const { rows, cols } = weight;
    const groups = weight.rowSplits.length - 1;
    const count = Math.max(...shapesOf(x.read).map((s) => sizeOf(s) / rows));
    const expert = routing ? Number(step.attrs["expert"]) : null;
    const all = expert === null && followEachOther(new Assembler("trial"), x.store, x.read);
    const list = { name: `rows of ${step.id}`, bytes: padded(count * LISTED_BYTES) };
    return { rows, cols, groups, expert, list: all ? null : list };
  }

  /** Kernels are made for shapes: one for each that differs. Errors: KernelGap. */
  kernelsOf(plan: Shaped): readonly KernelFunction[] {
    const { step, operands, results } = plan;
    const n = tokenBlocks(step.domain);
    const reads = operands.flatMap((o) => {
      if (!o) return [];
      return [o.room ? o.read.select.with(o.room.axis, "all") : o.read.select];
    });
    const differing = differingBlocks([...reads, ...results.map((r) => r.store.select)], n);
    const made = new Map(differing.map((t) => [t, this.kernels.get(this.requestAt(plan, t))]));
    return Array.from({ length: n }, (_, t) => made.get(t) ?? first(made));
  }

  /** What a token block, or a piece of it, asks of the kernel. */
  requestAt({ step, operands, results, growth, pieces }: Shaped, t: number): KernelRequest {
    const { isa, cores } = this.source;
    const blocks = operands.map((o): Block | null => {
      if (!o) return null;
      const { store, read, room, cut } = o;
      const whole = store.kind === "constant" && read.select.every((s) => s === "all");
      if (whole && cut === null) return this.source.constant(store.name);
      const shape = shapeAt(read, t);
      if (room) return { elem: store.elem, shape: shape.with(room.axis, room.most) };
      const isPart = pieces && cut !== null;
      return { elem: store.elem, shape: isPart ? shape.with(cut, pieces.size) : shape };
    });
    const wanted = results.map(({ store }): Block => {
      const { select, domain } = store;
      const shape = shapeAt({ blocks: store, select, domain }, t);
      return { elem: store.elem, shape: pieces ? shape.with(pieces.axis, pieces.size) : shape };
    });
    return {
      kernel: step.kernel,
      attrs: Object.fromEntries(Object.entries(step.attrs).map(([k, a]) => [k, revived(a)])),
      operands: blocks,
      results: wanted,
      isa,
      cores,
      ...(growth && { growing: growth.axes }),
    };
  }
}

type Shaped = Pick<StepPlan, "step" | "operands" | "results" | "growth" | "pieces">;

function first(made: ReadonlyMap<number, KernelFunction>): KernelFunction {
  const [kernel] = made.values();
  if (!kernel) throw new Error("a step without iterations");
  return kernel;
}

export function scratchOf({ id }: Step, kernels: readonly KernelFunction[]): Area | null {
  const bytes = kernels.reduce((most, k) => Math.max(most, k.scratchBytes), 0);
  const near = kernels.some((k) => k.near);
  return bytes > 0 ? { name: `scratch of ${id}`, bytes: padded(bytes), near } : null;
}

/** Types of the weights that experts have. */
const ROUTINGS: readonly Elem[] = ["f32", "f16", "bf16"];

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
