/** Which blocks of a buffer each iteration of a reader needs, and where their elements go. */

import type { Buffer, Domain, Select } from "../artifact/schedule.ts";
import { iterations, overlap, type Range, regionOf, volume } from "./domain.ts";

/** Part of a region that lies in one block. */
export interface Piece {
  /** The block's number within the inference, which is the iteration of the writer. */
  readonly block: number;
  /** Shape of the block, start of the part in it and in the region, and size of the part. */
  readonly shape: readonly number[];
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly size: readonly number[];
}

export interface ReadPlan {
  readonly ranges: readonly Range[];
  readonly shape: readonly number[];
  readonly pieces: readonly Piece[];
  /** False when some element of the region is in no block. */
  readonly complete: boolean;
}

/** A buffer whose shape only the data decides is one block, read and written whole. */
export const isWhole = (buffer: Buffer): boolean => buffer.shape.includes(null);

export const staticShape = (buffer: Buffer): readonly number[] => buffer.shape.map((d) => d ?? 1);

/** The regions that the iterations of the writer write, by block number. */
export const blockRegions = (buffer: Buffer): readonly (readonly Range[])[] =>
  memoized("blocks", [buffer.domain, buffer.select, buffer.shape], () =>
    Array.from({ length: iterations(buffer.domain) }, (_, i) =>
      regionOf(buffer.select, buffer.domain, staticShape(buffer), i),
    ),
  );

/** One plan per iteration of the reader. */
export const readPlans = (
  buffer: Buffer,
  reader: Domain,
  select: readonly Select[],
): readonly ReadPlan[] =>
  memoized("reads", [buffer.domain, buffer.select, buffer.shape, reader, select], () =>
    Array.from({ length: iterations(reader) }, (_, i) =>
      planOf(blockRegions(buffer), regionOf(select, reader, staticShape(buffer), i)),
    ),
  );

function planOf(blocks: readonly (readonly Range[])[], ranges: readonly Range[]): ReadPlan {
  const pieces: Piece[] = [];
  let found = 0;
  for (const [block, region] of blocks.entries()) {
    const both = overlap(ranges, region);
    if (!both) continue;
    found += volume(both);
    pieces.push({
      block,
      shape: sizes(region),
      from: both.map(([lo], axis) => lo - (region[axis]?.[0] ?? 0)),
      to: both.map(([lo], axis) => lo - (ranges[axis]?.[0] ?? 0)),
      size: sizes(both),
    });
  }
  return { ranges, shape: sizes(ranges), pieces, complete: found === volume(ranges) };
}

export const sizes = (ranges: readonly Range[]): number[] => ranges.map(([lo, hi]) => hi - lo);

// Many steps share domains and selections, and a stream repeats them for every inference.
const memory = new Map<string, unknown>();

function memoized<T>(kind: string, key: readonly unknown[], make: () => T): T {
  const name = kind + JSON.stringify(key);
  const known = memory.get(name) as T | undefined;
  if (known !== undefined) return known;
  const made = make();
  memory.set(name, made);
  return made;
}
