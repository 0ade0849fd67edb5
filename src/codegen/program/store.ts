/** Values in memory: rings of blocks, and constants. Where each lies is decided later, by its name. */

import type { Buffer, Region, Schedule, Select } from "../../artifact/schedule.ts";
import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { Assembler } from "../assembler.ts";
import { type Block, KernelGap } from "../kernel.ts";
import type { Blocks, Read } from "./parts.ts";
import { type At, iterations, rangesOf, tokenBlocks } from "./ranges.ts";
import { Calc, type Value } from "./value.ts";

/** Values begin at multiples of this. */
const ALIGN = 16;
export const padded = (bytes: number): number => Math.ceil(bytes / ALIGN) * ALIGN;

export interface Store extends Blocks {
  readonly kind: "ring" | "constant";
  /** The id of a buffer, or the name of a constant. */
  readonly name: string;
  readonly elem: Elem;
  /** Block number g lies in slot g mod capacity. */
  readonly capacity: number;
  readonly slotBytes: number;
  /** Whose memory it lies in; every cluster has its own copy of a constant: null. */
  readonly cluster: number | null;
  /** The host writes it. */
  readonly input: boolean;
}

/** Errors: KernelGap where only the data decides the shape. */
function ringOf(buffer: Buffer): Store {
  const { id, elem, select, domain, capacity, cluster, writer } = buffer;
  const shape = staticShape(buffer);
  const blocks = { shape, select, domain };
  const slotBytes = padded(mostBytes({ blocks, select, domain }, elem));
  const input = writer === HOST;
  return { kind: "ring", name: id, elem, ...blocks, capacity, slotBytes, cluster, input };
}

function staticShape({ id, shape }: Buffer): readonly number[] {
  return shape.map((d) => {
    if (d === null) throw new KernelGap(`'${id}', whose shape only the data decides`);
    return d;
  });
}

/** Who writes graph inputs. */
const HOST = "host";

const ONCE = { batch: 1, tokens: 1, block: 1 };

function constantStore(name: string, { elem, shape }: Block): Store {
  const select = shape.map((): Select => "all");
  const slotBytes = bytesPer(elem) * sizeOf(shape);
  const blocks = { shape, select, domain: ONCE };
  const one = { capacity: 1, slotBytes, cluster: null, input: false };
  return { kind: "constant", name, elem, ...blocks, ...one };
}

/** Computes with numbers that are all known. */
const KNOWN = new Calc(new Assembler("known"));

/** The shape of what an iteration reads; it does not depend on the batch. */
export const shapeAt = ({ blocks, select, domain }: Read, t: number): readonly number[] =>
  rangesOf(KNOWN, select, domain, blocks.shape, { b: 0, t }).map(({ size }) => Number(size));

/** Token blocks whose iterations may differ in shape from all others. */
export function differingBlocks(selects: readonly (readonly Select[])[], n: number): number[] {
  const grows = selects.flat().some((s) => typeof s === "object");
  if (grows) return Array.from({ length: n }, (_, t) => t);
  return n === 1 ? [0] : [0, n - 1];
}

/** Of all iterations, the most bytes that one reads. */
export function mostBytes(read: Read, elem: Elem): number {
  const blocks = differingBlocks([read.select], tokenBlocks(read.domain));
  return Math.max(...blocks.map((t) => bytesPer(elem) * sizeOf(shapeAt(read, t))));
}

/** The address of a block of a store that begins at `address`. */
export function blockAddress(
  c: Calc,
  store: Store,
  address: number,
  inference: Value,
  at: At,
): Value {
  const { capacity, domain, slotBytes } = store;
  if (capacity === 1) return address;
  const per = iterations(domain);
  const own = c.add(c.mul(at.b, tokenBlocks(domain)), at.t);
  // Rings of whole inferences have the same slots in each.
  const number = per % capacity === 0 ? own : c.add(c.mul(inference, per), own);
  const slot = per === capacity ? number : c.rem(number, capacity);
  return c.add(address, c.mul(slot, slotBytes));
}

export type Stores = (region: Region) => Store;

/** The stores that regions of a schedule name. Errors: KernelGap. */
export function storesOf(schedule: Schedule, constant: (name: string) => Block): Stores {
  const buffers = new Map(schedule.buffers.map((b) => [b.id, b]));
  const known = new Map<string, Store>();
  return (region) => {
    const key =
      region.buffer === undefined ? `constant ${region.constant}` : `ring ${region.buffer}`;
    const found = known.get(key);
    if (found) return found;
    const buffer = buffers.get(region.buffer ?? "");
    const name = region.constant ?? "";
    const made = buffer ? ringOf(buffer) : constantStore(name, constant(name));
    known.set(key, made);
    return made;
  };
}
