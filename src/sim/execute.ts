/** What iterations compute: values go from ring to ring, through kernels and tiles. */

import { attributeConstants } from "../artifact/attribute-constants.ts";
import type { Buffer, Region, Step } from "../artifact/schedule.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { KERNELS } from "../tensor/kernels/index.ts";
import type { Kernel } from "../tensor/kernels/kernel.ts";
import { neverGiveBack } from "../tensor/storage.ts";
import { type Elem, type Tensor, TensorFault } from "../tensor/tensor.ts";
import { type Box, boxOf, sliced } from "./box.ts";
import type { Crossbars } from "./crossbar.ts";
import { type Range, regionOf } from "./domain.ts";
import { placeOf, refuse, showStep } from "./faults.ts";
import { inParts } from "./in-parts.ts";
import { Launches } from "./launches.ts";
import { type Links, linksOf } from "./links.ts";
import type { Artifact } from "./load.ts";
import { Memory } from "./memory.ts";
import { blockBoxes, isWhole, staticShape } from "./plan.ts";
import type { Process } from "./processes.ts";
import { withRowsAlone } from "./table-rows.ts";

export type Values = ReadonlyMap<string, Tensor>;

/** Whole values by buffer id, put together as their blocks are written. */
type Collected = Map<string, Tensor>;

/** An iteration of a process: what of it decides values. */
export interface Work {
  readonly process: Pick<Process, "name" | "step" | "writes" | "perInference">;
  /** Number of the iteration over the stream. */
  readonly iteration: number;
}

/** Whether the value of a buffer is kept, by its id and the number of the inference in this part. */
type Collect = (buffer: string, inference: number) => boolean;

export class Executor {
  private readonly artifact: Artifact;
  private readonly links: Links;
  private readonly memory: Memory;
  private readonly launches: Launches;
  private readonly attrs = new Map<Step, Readonly<Record<string, unknown>>>();
  private readonly inputs: readonly Values[];
  private readonly first: number;
  private readonly collect: Collect;
  private readonly collected: readonly Collected[];

  /** `first` is the number of inputs[0] in the stream. */
  constructor(
    artifact: Artifact,
    crossbars: Crossbars,
    inputs: readonly Values[],
    first: number,
    collect: Collect,
  ) {
    this.artifact = artifact;
    this.links = linksOf(artifact.schedule);
    this.memory = new Memory(artifact, this.links.steps);
    this.launches = new Launches(crossbars, artifact.mapping.weights, this.links.buffers);
    this.inputs = inputs;
    this.first = first;
    this.collect = collect;
    this.collected = inputs.map(() => new Map());
  }

  /** Values of the collected buffers of one inference. */
  valuesOf(inference: number): Values {
    return this.collected[inference] ?? new Map();
  }

  /** Does what a finished iteration did. */
  perform(work: Work): void {
    this.store(work, this.compute(work));
  }

  /** What an iteration gives, from what the rings hold; of a step perhaps with its operands changed. */
  compute({ process, iteration }: Work, change?: (operand: Tensor) => Tensor): readonly Tensor[] {
    const inference = Math.floor(iteration / process.perInference);
    const i = iteration % process.perInference;
    return process.step
      ? this.runStep(process.step, inference, i, change)
      : this.deliver(process.writes, inference, i);
  }

  /** Puts what an iteration gave into the rings. */
  store({ process, iteration }: Work, results: readonly Tensor[]): void {
    const inference = Math.floor(iteration / process.perInference);
    for (const [k, buffer] of process.writes.entries()) {
      const value = results[k];
      if (!value) throw new Error(`${process.name} gave no result ${k}`);
      const whole = this.memory.write(buffer, iteration, value);
      if (this.collect(buffer.id, inference)) {
        neverGiveBack(whole.data.buffer);
        this.collected[inference]?.set(buffer.id, whole);
      }
    }
  }

  /** The values of these buffers are read no more. */
  forget(buffers: readonly Buffer[]): void {
    for (const buffer of buffers) this.memory.forget(buffer);
  }

  private deliver(writes: readonly Buffer[], inference: number, i: number): Tensor[] {
    return writes.map((buffer) => {
      const port = this.artifact.schedule.inputs.find((p) => p.buffer === buffer.id);
      const value = this.inputs[inference]?.get(port?.name ?? "");
      if (!value) throw new Error(`input '${port?.name}' was not given`);
      neverGiveBack(value.data.buffer);
      return isWhole(buffer) ? value : sliced(value, blockBoxes(buffer)[i] as Box);
    });
  }

  private runStep(
    step: Step,
    inference: number,
    i: number,
    change = (operand: Tensor): Tensor => operand,
  ): readonly Tensor[] {
    const operands = step.reads.map(
      (region) => region && change(this.fetch(step, region, inference, i)),
    );
    if (step.kernel === "mvm") {
      const when = { inference: this.first + inference, iteration: i };
      return [
        this.checked(step, step.writes[0] as Region, i, this.launches.run(step, operands, when)),
      ];
    }
    const shapes = step.writes.map((w) => this.shapeOf(w, i));
    const known = shapes.every((s) => s !== null);
    const kernel = KERNELS.get(step.kernel) as Kernel;
    const call = {
      inputs: withRowsAlone(step, this.withConstants(step, operands)),
      attrs: this.attrsOf(step),
      outShapes: known ? shapes : null,
    };
    const results = this.answer(step, () => inParts(step.kernel, call, kernel));
    return step.writes.map((w, k) => this.checked(step, w, i, results[k]));
  }

  /** Errors: A413 when the values are such that the operation has no answer. */
  private answer(step: Step, compute: () => readonly Tensor[]): readonly Tensor[] {
    try {
      return compute();
    } catch (e) {
      if (!(e instanceof TensorFault)) throw e;
      const at = placeOf(this.artifact, step.nodes, "schedule.json");
      return refuse("A413", `${showStep(step)}: ${e.message}`, at);
    }
  }

  /** Adds the constants that the step's attributes name. */
  private withConstants(
    step: Step,
    operands: readonly (Tensor | null)[],
  ): readonly (Tensor | null)[] {
    const named = attributeConstants(step);
    if (named.length === 0) return operands;
    const all = [...operands];
    for (const { at, name } of named) {
      while (all.length < at) all.push(null);
      all[at] ??= this.artifact.constants.get(name) ?? null;
    }
    return all;
  }

  private fetch(step: Step, region: Region, inference: number, i: number): Tensor {
    if (region.constant !== undefined) {
      const value = this.artifact.constants.get(region.constant) as Tensor;
      if (region.select.every((s) => s === "all")) return value;
      return sliced(
        value,
        boxOf(value.shape, regionOf(region.select, step.domain, value.shape, i)),
      );
    }
    const buffer = this.links.buffers.get(region.buffer ?? "") as Buffer;
    return this.memory.read(buffer, step, region, inference, i);
  }

  /** The shape that a block must have; null where only the data decides. */
  private shapeOf(region: Region, i: number): readonly number[] | null {
    const buffer = this.links.buffers.get(region.buffer ?? "") as Buffer;
    return isWhole(buffer) ? null : (blockBoxes(buffer)[i] as Box).shape;
  }

  /**
   * A result must be what the schedule says: anything else would be read as something that it is not.
   * A kernel that works along a whole axis gives all of it, and the iteration keeps its part.
   */
  private checked(step: Step, region: Region, i: number, value: Tensor | undefined): Tensor {
    const buffer = this.links.buffers.get(region.buffer ?? "") as Buffer;
    const shape = this.shapeOf(region, i);
    if (value?.elem === buffer.elem) {
      if (!shape || sameShape(shape, value.shape)) return value;
      const part = partOf(value, blockBoxes(buffer)[i] as Box, staticShape(buffer));
      if (part) return part;
    }
    const found = value ? `${value.shape.join("x")} ${value.elem}` : "nothing";
    const expected = `${shape?.join("x") ?? ""} ${buffer.elem}`.trim();
    const text = `${showStep(step)}, iteration ${i}, gives ${found} where ${expected} is expected`;
    refuse("A410", text, placeOf(this.artifact, step.nodes, "schedule.json"));
  }

  private attrsOf(step: Step): Readonly<Record<string, unknown>> {
    const known = this.attrs.get(step);
    if (known) return known;
    const entries = Object.entries(step.attrs).map(([k, a]) => [k, revived(a)] as const);
    const attrs = Object.fromEntries(entries);
    this.attrs.set(step, attrs);
    return attrs;
  }
}

/** Tensors stand in JSON as { elem, shape, data }. */
function revived(a: unknown): unknown {
  if (typeof a !== "object" || a === null || !("elem" in a) || !("data" in a)) return a;
  const { elem, shape, data } = a as { elem: Elem; shape: number[]; data: number[] };
  const value = fromNumbers(elem, shape, data);
  neverGiveBack(value.data.buffer);
  return value;
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

/** The box's part of a value that holds some axes in full and of the others just the box; null otherwise. */
function partOf(value: Tensor, box: Box, whole: readonly number[]): Tensor | null {
  if (value.shape.length !== whole.length) return null;
  const ranges: Range[] = [];
  for (const [axis, d] of value.shape.entries()) {
    if (d === box.shape[axis]) ranges.push([0, d]);
    else if (d === whole[axis]) ranges.push(box.ranges[axis] as Range);
    else return null;
  }
  return sliced(value, boxOf(value.shape, ranges));
}
