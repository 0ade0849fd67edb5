/**
 * The rings of all buffers, shadowed. The shadow of each slot knows which block it holds; reading a block
 * that is not there, because it was never written or was overwritten, stops the run. The checks of the
 * schedule (check-hazards.ts) have excluded this; that it is looked at again keeps both honest.
 *
 * The values themselves lie in one tensor an inference, so that most reads share memory with it.
 */

import type { Buffer, Region, Step } from "../artifact/schedule.ts";
import { giveBack } from "../tensor/storage.ts";
import { type Tensor, zeros } from "../tensor/tensor.ts";
import { type Box, fillBox, sliced } from "./box.ts";
import { iterations } from "./domain.ts";
import { placeOf, refuse, type Source, showBuffer, showStep } from "./faults.ts";
import { HOST } from "./links.ts";
import { blockBoxes, isWhole, type ReadPlan, readPlans, staticShape } from "./plan.ts";

interface Ring {
  /** Number of the block that each slot holds, counted over inferences. */
  readonly shadow: (number | undefined)[];
  /** By inference; those that no slot belongs to any more are gone. */
  readonly values: Map<number, Tensor>;
}

export class Memory {
  private readonly source: Source;
  private readonly steps: ReadonlyMap<string, Step>;
  private readonly rings = new Map<string, Ring>();

  constructor(source: Source, steps: ReadonlyMap<string, Step>) {
    this.source = source;
    this.steps = steps;
  }

  /** What iteration i of an inference reads of a buffer. */
  read(buffer: Buffer, reader: Step, region: Region, inference: number, i: number): Tensor {
    const ring = this.ringOf(buffer);
    const first = inference * iterations(buffer.domain);
    if (isWhole(buffer)) {
      this.expect(buffer, ring, first, reader, i);
      return ring.values.get(inference) as Tensor;
    }
    const plan = readPlans(buffer, reader.domain, region)[i] as ReadPlan;
    for (const block of plan.blocks) this.expect(buffer, ring, first + block, reader, i);
    const value = ring.values.get(inference);
    // Without a block there is nothing to read: the region is empty.
    return value ? sliced(value, plan.box) : zeros(buffer.elem, plan.box.shape);
  }

  /** `block` is counted over inferences; gives the inference's value, written so far. */
  write(buffer: Buffer, block: number, value: Tensor): Tensor {
    const ring = this.ringOf(buffer);
    const perInference = iterations(buffer.domain);
    const inference = Math.floor(block / perInference);
    ring.shadow[block % buffer.capacity] = block;
    ring.values.delete(Math.floor((block - buffer.capacity) / perInference) - 1);
    if (perInference === 1) {
      ring.values.set(inference, value);
      return value;
    }
    const whole = ring.values.get(inference) ?? zeros(buffer.elem, staticShape(buffer));
    ring.values.set(inference, whole);
    fillBox(whole, blockBoxes(buffer)[block % perInference] as Box, value.data);
    return whole;
  }

  /** Drops what a buffer holds; storage that no other buffer holds is given back. */
  forget(buffer: Buffer): void {
    const dropped = this.ringOf(buffer);
    this.rings.delete(buffer.id);
    for (const { data } of dropped.values.values()) {
      if (!this.holds(data.buffer)) giveBack(data.buffer);
    }
  }

  private holds(storage: ArrayBufferLike): boolean {
    for (const { values } of this.rings.values()) {
      for (const { data } of values.values()) if (data.buffer === storage) return true;
    }
    return false;
  }

  private ringOf(buffer: Buffer): Ring {
    const known = this.rings.get(buffer.id);
    if (known) return known;
    const ring: Ring = { shadow: [], values: new Map() };
    this.rings.set(buffer.id, ring);
    return ring;
  }

  private expect(buffer: Buffer, ring: Ring, block: number, reader: Step, i: number): void {
    const held = ring.shadow[block % buffer.capacity];
    if (held === block) return;
    const writer = this.steps.get(buffer.writer);
    const found = held === undefined ? "nothing yet" : `block ${held}`;
    const text =
      `${showStep(reader)}, iteration ${i}, reads block ${block} of ${showBuffer(buffer)}, whose slot ` +
      `holds ${found} of ${writer ? showStep(writer) : HOST}`;
    const nodes = [...reader.nodes, ...(writer?.nodes ?? [])];
    refuse("A409", text, placeOf(this.source, nodes, "schedule.json"));
  }
}
