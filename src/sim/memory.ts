/**
 * The rings of all buffers, shadowed: each slot knows which block it holds. Reading a block that is not
 * there, because it was never written or was overwritten, stops the run. The checks of the schedule
 * (check-hazards.ts) have excluded this; that it is looked at again keeps both honest.
 */

import type { Buffer, Domain, Region, Step } from "../artifact/schedule.ts";
import type { Elem, Tensor } from "../tensor/tensor.ts";
import { allocate, sizeOf } from "../tensor/tensor.ts";
import { copyBox, sliced } from "./box.ts";
import { iterations, type Range, regionOf } from "./domain.ts";
import { placeOf, refuse, type Source, showBuffer, showStep } from "./faults.ts";
import { HOST } from "./links.ts";
import { blockRegions, isWhole, type ReadPlan, readPlans, sizes } from "./plan.ts";

interface Slot {
  /** Number of the block, counted over inferences. */
  readonly block: number;
  readonly value: Tensor;
}

export class Memory {
  private readonly source: Source;
  private readonly slots = new Map<string, Slot[]>();
  private readonly steps: ReadonlyMap<string, Step>;

  constructor(source: Source, steps: ReadonlyMap<string, Step>) {
    this.source = source;
    this.steps = steps;
  }

  /** What iteration i of an inference reads of a buffer. */
  read(buffer: Buffer, reader: Step, region: Region, inference: number, i: number): Tensor {
    const perInference = iterations(buffer.domain);
    const first = inference * perInference;
    if (isWhole(buffer)) return this.held(buffer, first, reader, i);
    const plan = readPlans(buffer, reader.domain, region.select)[i] as ReadPlan;
    const [only] = plan.pieces;
    if (plan.pieces.length === 1 && only && sameShape(only.shape, plan.shape)) {
      return this.held(buffer, first + only.block, reader, i);
    }
    const elem = buffer.elem as Elem;
    const data = allocate(elem, sizeOf(plan.shape));
    for (const piece of plan.pieces) {
      const block = this.held(buffer, first + piece.block, reader, i);
      copyBox(
        { data: block.data, shape: piece.shape, at: piece.from },
        { data, shape: plan.shape, at: piece.to },
        piece.size,
      );
    }
    return { elem, shape: plan.shape, data };
  }

  write(buffer: Buffer, block: number, value: Tensor): void {
    const ring = this.slots.get(buffer.id) ?? [];
    this.slots.set(buffer.id, ring);
    ring[block % buffer.capacity] = { block, value };
  }

  private held(buffer: Buffer, block: number, reader: Step, i: number): Tensor {
    const slot = this.slots.get(buffer.id)?.[block % buffer.capacity];
    if (slot?.block === block) return slot.value;
    const writer = this.steps.get(buffer.writer);
    const found = slot ? `block ${slot.block}` : "nothing";
    const text =
      `${showStep(reader)}, iteration ${i}, reads block ${block} of ${showBuffer(buffer)}, whose slot ` +
      `holds ${found} of ${writer ? showStep(writer) : HOST}`;
    const nodes = [...reader.nodes, ...(writer?.nodes ?? [])];
    refuse("A409", text, placeOf(this.source, nodes, "schedule.json"));
  }
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

/** Ranges of block i (within an inference) of a buffer. */
export const blockRanges = (buffer: Buffer, i: number): readonly Range[] =>
  blockRegions(buffer)[i] ?? [];

/** The shape that a block must have; null where only the data decides. */
export const blockShape = (buffer: Buffer, i: number): readonly number[] | null =>
  isWhole(buffer) ? null : sizes(blockRanges(buffer, i));

/** The part of a constant that an iteration reads. */
export const constantPart = (value: Tensor, region: Region, domain: Domain, i: number): Tensor =>
  sliced(value, regionOf(region.select, domain, value.shape, i));
