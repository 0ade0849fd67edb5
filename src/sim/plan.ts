/** Which blocks of a buffer each iteration of a reader needs. */

import type { Buffer, Domain, Region } from "../artifact/schedule.ts";
import { type BlockIndex, blockIndex } from "./block-index.ts";
import { type Box, boxOf } from "./box.ts";
import { iterations, overlap, type Range, regionOf, volume } from "./domain.ts";

export interface ReadPlan {
  readonly box: Box;
  /** Numbers within the inference of the blocks that hold the region, ascending. */
  readonly blocks: readonly number[];
  /** False when some element of the region is in no block. */
  readonly complete: boolean;
}

/** A buffer whose shape only the data decides is one block, read and written whole. */
export const isWhole = (buffer: Buffer): boolean => buffer.shape.includes(null);

export const staticShape = (buffer: Buffer): readonly number[] => buffer.shape.map((d) => d ?? 1);

/** What the iterations of the writer write, by block number. */
export const blockBoxes = (buffer: Buffer): readonly Box[] =>
  cached(buffer, [buffer.domain, buffer.select, buffer.shape], () => {
    const shape = staticShape(buffer);
    return Array.from({ length: iterations(buffer.domain) }, (_, i) =>
      boxOf(shape, regionOf(buffer.select, buffer.domain, shape, i)),
    );
  });

/** One plan per iteration of the reader whose read `region` is. */
export const readPlans = (buffer: Buffer, reader: Domain, region: Region): readonly ReadPlan[] =>
  cached(region, [buffer.domain, buffer.select, buffer.shape, reader, region.select], () => {
    const shape = staticShape(buffer);
    const blocks = blockBoxes(buffer).map((box) => box.ranges);
    const index = blockIndex(blocks);
    return Array.from({ length: iterations(reader) }, (_, i) =>
      planOf(blocks, index, boxOf(shape, regionOf(region.select, reader, shape, i))),
    );
  });

function planOf(written: readonly (readonly Range[])[], index: BlockIndex, box: Box): ReadPlan {
  const blocks: number[] = [];
  let found = 0;
  for (const block of index.near(box.ranges)) {
    const both = overlap(box.ranges, written[block] ?? []);
    if (!both) continue;
    found += volume(both);
    blocks.push(block);
  }
  return { box, blocks, complete: found === volume(box.ranges) };
}

// A stream asks the same for every inference, and many buffers of a network are cut alike. The object
// that asks is looked up first: it belongs to one place of one schedule.
const byObject = new WeakMap<object, unknown>();
const byContent = new Map<string, unknown>();

function cached<T>(object: object, content: readonly unknown[], make: () => T): T {
  const known = byObject.get(object) as T | undefined;
  if (known !== undefined) return known;
  const key = JSON.stringify(content);
  const made = (byContent.get(key) as T | undefined) ?? make();
  byContent.set(key, made);
  byObject.set(object, made);
  return made;
}
