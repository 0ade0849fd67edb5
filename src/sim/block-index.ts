/** Which blocks may touch a region, without a look at all of them: models of large batches have tens of thousands. */

import { type Range, volume } from "./domain.ts";

/** Blocks that have the same range on an axis. */
interface Shelf {
  readonly range: Range;
  readonly blocks: number[];
}

/** One axis: shelves in the order of their beginnings, and the furthest end so far. */
interface Axis {
  readonly shelves: readonly Shelf[];
  readonly furthest: readonly number[];
}

export interface BlockIndex {
  /** Numbers of blocks, ascending; those that touch the region are among them. */
  near(region: readonly Range[]): readonly number[];
}

function axisOf(blocks: readonly (readonly Range[])[], axis: number): Axis {
  const shelves = new Map<string, Shelf>();
  for (const [i, ranges] of blocks.entries()) {
    const range = ranges[axis] ?? [0, 0];
    const shelf = shelves.get(range.join()) ?? { range, blocks: [] };
    shelf.blocks.push(i);
    shelves.set(range.join(), shelf);
  }
  const sorted = [...shelves.values()].toSorted((a, b) => a.range[0] - b.range[0]);
  let end = 0;
  const furthest = sorted.map(({ range }) => {
    end = Math.max(end, range[1]);
    return end;
  });
  return { shelves: sorted, furthest };
}

/** The first index at which something becomes true, and stays so. */
function firstOf(count: number, isThere: (i: number) => boolean): number {
  let [from, to] = [0, count];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (isThere(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** Shelves that a range may touch. */
function touched({ shelves, furthest }: Axis, [lo, hi]: Range): readonly Shelf[] {
  const from = firstOf(shelves.length, (i) => (furthest[i] ?? 0) > lo);
  const to = firstOf(shelves.length, (i) => (shelves[i]?.range[0] ?? 0) >= hi);
  return shelves.slice(from, Math.max(from, to));
}

/** The axis that leaves the fewest is asked. */
export function blockIndex(blocks: readonly (readonly Range[])[]): BlockIndex {
  const axes = (blocks[0] ?? []).map((_, axis) => axisOf(blocks, axis));
  const all = [...blocks.keys()];
  const sizeOf = (shelves: readonly Shelf[]): number =>
    shelves.reduce((sum, s) => sum + s.blocks.length, 0);
  return {
    near(region) {
      if (volume(region) === 0) return [];
      let best: readonly Shelf[] | null = null;
      let fewest = all.length;
      for (const [i, axis] of axes.entries()) {
        const found = touched(axis, region[i] ?? [0, 0]);
        const count = found.length < axis.shelves.length ? sizeOf(found) : all.length;
        if (count < fewest) [best, fewest] = [found, count];
      }
      return best ? best.flatMap((s) => s.blocks).toSorted((a, b) => a - b) : all;
    },
  };
}
